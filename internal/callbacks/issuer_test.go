package callbacks

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	appID  = "0efc74f7-41c3-47a4-8775-7259bfef4241"
	tenant = "1fdd12d0-4620-44ed-baec-459b611f84b2"
)

// testKeys are made once: they cost more than all tests together.
var testKeys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func jwk(kid string, key *rsa.PrivateKey) map[string]any {
	return map[string]any{
		"kty": "RSA", "use": "sig", "kid": kid, "x5t": kid, "endorsements": []string{"msteams"},
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

// issuer plays a key source: a discovery document and the keys it names.
type issuer struct {
	mu      sync.Mutex
	keys    []map[string]any
	status  int    // of every answer when not 0
	jwksURI string // instead of our own
	loads   int    // of the keys
	hold    chan struct{}
}

func (i *issuer) set(f func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(i)
}

func (i *issuer) loaded() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.loads
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	hold := i.hold
	i.mu.Unlock()
	if hold != nil {
		<-hold
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.status != 0 {
		http.Error(w, "<html>out of order", i.status)
		return
	}
	switch r.URL.Path {
	case "/openid":
		uri := i.jwksURI
		if uri == "" {
			uri = "http://" + r.Host + "/keys"
		}
		// The published metadata really says "RSA256".
		json.NewEncoder(w).Encode(map[string]any{"issuer": IssuerBotFramework, "jwks_uri": uri, "id_token_signing_alg_values_supported": []string{"RSA256"}})
	case "/keys":
		i.loads++
		json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
	case "/away":
		http.Redirect(w, r, "http://keys.example/openid", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

func serve(t *testing.T, i *issuer) (url string) {
	t.Helper()
	srv := httptest.NewServer(i)
	t.Cleanup(srv.Close)
	return srv.URL + "/openid"
}

// wire answers requests without a network, so that time can be synthetic. It
// knows sources by their host.
type wire map[string]*issuer

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	source := w[r.URL.Hostname()]
	if source == nil {
		return nil, errors.New("no such host")
	}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	// Wrapped, since a handler that waits must end with its request.
	done := make(chan *http.Response, 1)
	go func() {
		rec := httptest.NewRecorder()
		source.ServeHTTP(rec, r)
		done <- rec.Result()
	}()
	select {
	case resp := <-done:
		body, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// token says how to make one; the zero value of the rest is right.
type token struct {
	kid    string
	key    any
	method jwt.SigningMethod
	change jwt.MapClaims // nil values take a claim away
}

func (tk token) sign(t testing.TB, now time.Time) string {
	t.Helper()
	claims := jwt.MapClaims{
		"aud": appID, "iss": IssuerBotFramework, "tid": tenant,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(65 * time.Minute).Unix(),
	}
	maps.Copy(claims, tk.change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	if tk.method == nil {
		tk.method = jwt.SigningMethodRS256
	}
	tok := jwt.NewWithClaims(tk.method, claims)
	if tk.kid != "" {
		tok.Header["kid"] = tk.kid
	}
	signed, err := tok.SignedString(tk.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func encodeSegment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
