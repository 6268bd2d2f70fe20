package callbacks

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

func newAuth(t *testing.T, opts AuthOptions) *Auth {
	t.Helper()
	if opts.Audience == "" {
		opts.Audience = appID
	}
	a, err := NewAuth(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func TestVerify(t *testing.T) {
	keys := testKeys()
	skype := &issuer{keys: []map[string]any{jwk("skype", keys[0]), jwk("shared", keys[0]),
		{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}, {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
		{"kty": "RSA", "use": "enc", "kid": "enc", "n": jwk("", keys[2])["n"], "e": "AQAB"}}}
	bots := &issuer{keys: []map[string]any{jwk("bots", keys[1]), jwk("shared", keys[1])}}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	a := newAuth(t, AuthOptions{
		OIDCURLs: []string{serve(t, skype), serve(t, bots)}, Tenants: []string{strings.ToUpper(tenant), "t2"},
		Now: func() time.Time { return now },
		// Every token below may cause a load of its own.
		UnknownKeyInterval: time.Nanosecond,
	})
	if err := a.Ready(); err != nil {
		t.Fatalf("Ready() = %v", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&keys[0].PublicKey)})
	good := token{kid: "skype", key: keys[0]}
	with := func(claim string, v any) token { return token{"skype", keys[0], nil, jwt.MapClaims{claim: v}} }

	tests := []struct {
		name    string
		token   string
		webhook bool
		want    error
	}{
		{"Skype's key for the Bot Framework", good.sign(t, now), false, nil},
		{"Skype's key for Graph", with("iss", IssuerGraph).sign(t, now), false, nil},
		{"the Bot Framework's key for the Bot Framework", token{kid: "bots", key: keys[1]}.sign(t, now), false, nil},
		{"the Bot Framework's key for Graph", token{"bots", keys[1], nil, jwt.MapClaims{"iss": IssuerGraph}}.sign(t, now), false, nil},
		{"both sources use a key id, the first signed", token{kid: "shared", key: keys[0]}.sign(t, now), false, nil},
		{"both sources use a key id, the second signed", token{kid: "shared", key: keys[1]}.sign(t, now), false, nil},
		{"no key id", token{key: keys[1]}.sign(t, now), false, nil},
		{"an issuer with a trailing slash", with("iss", IssuerBotFramework+"/").sign(t, now), false, nil},
		{"an audience among others", with("aud", []string{"x", appID}).sign(t, now), false, nil},
		{"expired within the skew", good.sign(t, now.Add(-69*time.Minute)), false, nil},
		{"valid soon, within the skew", good.sign(t, now.Add(4*time.Minute)), false, nil},
		{"no nbf", with("nbf", nil).sign(t, now), false, nil},
		{"a tenant in capitals", with("tid", strings.ToUpper(tenant)).sign(t, now), false, nil},
		{"the second tenant", with("tid", "t2").sign(t, now), false, nil},
		{"no tenant on the webhook", with("tid", nil).sign(t, now), true, nil},

		{"no token", "", false, RefusedNoToken},
		{"no token on the webhook", "", true, RefusedNoToken},
		{"no JWT", "abc", false, RefusedMalformed},
		{"no base64", "a.b.c", false, RefusedMalformed},
		{"a token without end", strings.Repeat("a", maxTokenBytes) + "." + good.sign(t, now), false, RefusedMalformed},
		{"alg none", token{kid: "skype", key: jwt.UnsafeAllowNoneSignatureType, method: jwt.SigningMethodNone}.sign(t, now), false, RefusedAlgorithm},
		{"HS256 with the public key", token{kid: "skype", key: public, method: jwt.SigningMethodHS256}.sign(t, now), false, RefusedAlgorithm},
		{"HS256 with a key of the source", token{kid: "secret", key: []byte("secret"), method: jwt.SigningMethodHS256}.sign(t, now), false, RefusedAlgorithm},
		{"RS512", token{kid: "skype", key: keys[0], method: jwt.SigningMethodRS512}.sign(t, now), false, RefusedAlgorithm},
		{"PS256", token{kid: "skype", key: keys[0], method: jwt.SigningMethodPS256}.sign(t, now), false, RefusedAlgorithm},
		{"an algorithm of nowhere", replaceHeader(good.sign(t, now), `{"alg":"RSA256","kid":"skype"}`), false, RefusedAlgorithm},
		{"no algorithm", replaceHeader(good.sign(t, now), `{"kid":"skype"}`), false, RefusedAlgorithm},
		{"an unknown key", token{kid: "nobody", key: keys[0]}.sign(t, now), false, RefusedUnknownKey},
		{"a key for encryption", token{kid: "enc", key: keys[2]}.sign(t, now), false, RefusedUnknownKey},
		{"another key under a known id", token{kid: "skype", key: keys[2]}.sign(t, now), false, RefusedSignature},
		{"another key without an id", token{key: keys[2]}.sign(t, now), false, RefusedSignature},
		{"claims changed after signing", swapClaims(good.sign(t, now), with("tid", "t2").sign(t, now)), false, RefusedSignature},
		{"another issuer", with("iss", "https://sts.windows.net").sign(t, now), false, RefusedIssuer},
		{"no issuer", with("iss", nil).sign(t, now), false, RefusedIssuer},
		{"another audience", with("aud", "someone").sign(t, now), false, RefusedAudience},
		{"no audience", with("aud", nil).sign(t, now), false, RefusedAudience},
		{"expired", good.sign(t, now.Add(-71*time.Minute)), false, RefusedExpired},
		{"no exp", with("exp", nil).sign(t, now), false, RefusedExpired},
		{"not yet valid", good.sign(t, now.Add(6*time.Minute)), false, RefusedNotYetValid},
		{"a foreign tenant", with("tid", "t3").sign(t, now), false, RefusedTenant},
		{"a foreign tenant on the webhook", with("tid", "t3").sign(t, now), true, RefusedTenant},
		{"no tenant on a call's URL", with("tid", nil).sign(t, now), false, RefusedNoTenant},
		{"a tenant that is no string", with("tid", 7).sign(t, now), false, RefusedMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			claims, err := a.Verify(t.Context(), tt.token, !tt.webhook)
			if err != tt.want {
				t.Errorf("Verify() = %v; want %v", err, tt.want)
			}
			if err != nil && claims != (Claims{}) {
				t.Errorf("a refused token gave %+v", claims)
			}
			if err != nil && len(tt.token) > 40 && strings.Contains(err.Error(), tt.token[:20]) {
				t.Errorf("error quotes the token: %v", err)
			}
		})
	}
}

func parts(token string) []string { return strings.Split(token, ".") }

func replaceHeader(token, header string) string {
	p := parts(token)
	p[0] = encodeSegment([]byte(header))
	return strings.Join(p, ".")
}

func swapClaims(token, other string) string {
	p := parts(token)
	p[1] = parts(other)[1]
	return strings.Join(p, ".")
}

func TestTheTokenOfTheDocumentation(t *testing.T) {
	raw, err := os.ReadFile("testdata/token.callback-jwt-claims.json")
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.MapClaims
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	key := testKeys()[0]
	now := time.Unix(1466741440, 0)
	a := newAuth(t, AuthOptions{OIDCURLs: []string{serve(t, &issuer{keys: []map[string]any{jwk("k", key)}})},
		Now: func() time.Time { return now }})
	got, err := a.Verify(t.Context(), token{"k", key, nil, claims}.sign(t, now), true)
	if diff := cmp.Diff(Claims{TenantID: tenant}, got); err != nil || diff != "" {
		t.Errorf("Verify() = %+v, %v", got, err)
	}
}

func TestWhereATenantIsRequired(t *testing.T) {
	key := testKeys()[0]
	source := serve(t, &issuer{keys: []map[string]any{jwk("k", key)}})
	tests := []struct {
		mode             RequireTID
		perCall, webhook error
	}{
		{"", RefusedNoTenant, nil},
		{TIDAuto, RefusedNoTenant, nil},
		{TIDAlways, RefusedNoTenant, RefusedNoTenant},
		{TIDNever, nil, nil},
	}
	for _, tt := range tests {
		t.Run("mode "+string(tt.mode), func(t *testing.T) {
			a := newAuth(t, AuthOptions{OIDCURLs: []string{source}, RequireTID: tt.mode, Tenants: []string{tenant}})
			none := token{"k", key, nil, jwt.MapClaims{"tid": nil}}.sign(t, time.Now())
			if _, err := a.Verify(t.Context(), none, true); err != tt.perCall {
				t.Errorf("on a call's URL: %v; want %v", err, tt.perCall)
			}
			if _, err := a.Verify(t.Context(), none, false); err != tt.webhook {
				t.Errorf("on the webhook: %v; want %v", err, tt.webhook)
			}
		})
	}
}

func TestNewAuthRefusesOptions(t *testing.T) {
	tests := []struct {
		name string
		opts AuthOptions
		want string
	}{
		{"plain http", AuthOptions{Audience: appID, OIDCURLs: []string{"http://keys.example/openid"}}, "want https"},
		{"another scheme", AuthOptions{Audience: appID, OIDCURLs: []string{"file:///etc/keys"}}, "want https"},
		{"no URL", AuthOptions{Audience: appID, OIDCURLs: []string{"keys"}}, "want https"},
		{"no audience", AuthOptions{OIDCURLs: []string{"https://keys.example"}}, "client) id"},
		{"another mode", AuthOptions{Audience: appID, RequireTID: "sometimes"}, "auto, always or never"},
		{"a negative time", AuthOptions{Audience: appID, FetchTimeout: -1}, "positive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := NewAuth(t.Context(), tt.opts)
			if err == nil {
				a.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewAuth() = %v; want an error with %q", err, tt.want)
			}
		})
	}
}

func TestReadyNamesTheSourceThatFails(t *testing.T) {
	up := serve(t, &issuer{keys: []map[string]any{jwk("k", testKeys()[0])}})
	down := serve(t, &issuer{status: 500})
	empty := serve(t, &issuer{})
	plain := serve(t, &issuer{jwksURI: "http://keys.example/keys"})
	away := strings.TrimSuffix(serve(t, &issuer{}), "/openid") + "/away"

	if err := newAuth(t, AuthOptions{OIDCURLs: []string{down, up}}).Ready(); err != nil {
		t.Errorf("Ready() = %v with one source up", err)
	}
	for name, u := range map[string]struct{ url, want string }{
		"down":               {down, "status 500"},
		"no keys":            {empty, "none of 0 keys"},
		"keys by plain http": {plain, "want https"},
		"redirected to http": {away, "want https"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuth(t, AuthOptions{OIDCURLs: []string{u.url}})
			err := a.Ready()
			if !errors.Is(err, ErrNoKeys) || !strings.Contains(err.Error(), u.want) || !strings.Contains(err.Error(), u.url) {
				t.Errorf("Ready() = %v; want %q of %s", err, u.want, u.url)
			}
		})
	}
}
