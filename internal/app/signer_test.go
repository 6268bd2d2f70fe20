package app

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"callbus/internal/callbacks"
)

const (
	signerAudience = "0efc74f7-41c3-47a4-8775-7259bfef4241"
	signerTenant   = "1fdd12d0-4620-44ed-baec-459b611f84b2"
)

// signer plays the one who signs notifications, apart from the simulated Graph:
// these tests send bodies that it would never send.
type signer struct{ key *rsa.PrivateKey }

func newSigner(tb testing.TB) *signer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return &signer{key}
}

// serve publishes the key and gives the URL of the discovery document.
func (s *signer) serve(tb testing.TB) (url string) {
	tb.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	mux := http.NewServeMux()
	mux.HandleFunc("/openid", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"jwks_uri": "http://" + r.Host + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "kid": "k", "n": b64(s.key.N.Bytes()), "e": b64(big.NewInt(int64(s.key.E)).Bytes()),
		}}})
	})
	srv := httptest.NewServer(mux)
	tb.Cleanup(srv.Close)
	return srv.URL + "/openid"
}

// token is a good one; the id makes it differ from others.
func (s *signer) token(tb testing.TB, id string) string {
	tb.Helper()
	now := time.Now()
	tok := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud": signerAudience, "iss": callbacks.IssuerBotFramework, "tid": signerTenant, "jti": id,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(65 * time.Minute).Unix(),
	})
	tok.Header["kid"] = "k"
	signed, err := tok.SignedString(s.key)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}
