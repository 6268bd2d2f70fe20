package callbacks

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// counts counts outcomes.
type counts struct {
	mu  sync.Mutex
	all map[string]int
}

func (c *counts) Notification(_, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]int{}
	}
	c.all[outcome]++
}

func (c *counts) of(outcome string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[outcome]
}

// admission is a receiver behind a real server, with two key sources.
type admission struct {
	url         string
	skype, bots *issuer
	*fakes
}

func newAdmission(t *testing.T) *admission {
	keys := testKeys()
	a := &admission{
		skype: &issuer{keys: []map[string]any{jwk("skype", keys[0])}},
		bots:  &issuer{keys: []map[string]any{jwk("bots", keys[1])}},
	}
	auth := newAuth(t, AuthOptions{
		OIDCURLs: []string{serve(t, a.skype), serve(t, a.bots)}, Tenants: []string{tenant},
		UnknownKeyInterval: time.Nanosecond, // each row may cause a load of its own
	})
	var r *Receiver
	r, a.fakes = setup(t, func(o *Options) {
		o.Auth, o.BasePath, o.Now = auth, "", time.Now
		o.ReadTimeout = 100 * time.Millisecond
	})
	a.url = listen(t, NewServer(r, ServerOptions{Counter: a.fakes}))
	return a
}

// answer posts a body with a token, "" for none, and gives the status.
func (a *admission) answer(t *testing.T, path, token string, body io.Reader) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Over a real connection, with real signatures: who is let in, and what the
// others are told. Whoever is refused leaves nothing but one count behind.
func TestWhoIsLetIn(t *testing.T) {
	keys := testKeys()
	now := time.Now()
	public, err := x509.MarshalPKIXPublicKey(&keys[0].PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	good := token{kid: "skype", key: keys[0]}
	with := func(claim string, v any) token { return token{"skype", keys[0], nil, jwt.MapClaims{claim: v}} }
	const (
		call = "/v1/notifications/crm/order-4711/01JDC9Z6M4Q8/1"
		hook = "/v1/notifications"
	)
	established := func() io.Reader { return strings.NewReader(body(value("updated", "", `{"state":"established"}`))) }
	never := func() io.Reader { // a body that does not come
		r, w := io.Pipe()
		t.Cleanup(func() { w.Close() })
		return r
	}
	rotate := func(a *admission) {
		a.skype.set(func(i *issuer) { i.keys = []map[string]any{jwk("rotated", keys[2])} })
	}

	tests := []struct {
		name   string
		path   string
		token  string
		body   io.Reader // established when nil
		before func(*admission)
		status int
		count  string
	}{
		{name: "Skype's key for the Bot Framework", path: call, token: good.sign(t, now), status: 202, count: "state stored"},
		{name: "Skype's key for Graph", path: call, token: with("iss", IssuerGraph).sign(t, now), status: 202, count: "state stored"},
		{name: "the Bot Framework's key for the Bot Framework", path: call, token: token{kid: "bots", key: keys[1]}.sign(t, now), status: 202, count: "state stored"},
		{name: "the Bot Framework's key for Graph", path: call, token: token{"bots", keys[1], nil, jwt.MapClaims{"iss": IssuerGraph}}.sign(t, now), status: 202, count: "state stored"},
		{name: "an issuer with a trailing slash", path: call, token: with("iss", IssuerGraph+"/").sign(t, now), status: 202, count: "state stored"},
		{name: "a key that was rotated in the middle", path: call, token: token{kid: "rotated", key: keys[2]}.sign(t, now), before: rotate, status: 202, count: "state stored"},
		{name: "no tid on the global webhook", path: hook, token: with("tid", nil).sign(t, now), status: 202, count: "state stored"},
		{name: "expired within five minutes of skew", path: call, token: good.sign(t, now.Add(-69*time.Minute)), status: 202, count: "state stored"},
		{name: "valid within five minutes of skew", path: call, token: good.sign(t, now.Add(4*time.Minute)), status: 202, count: "state stored"},

		{name: "no token", path: call, status: 401, count: " noToken"},
		{name: "HS256 with the public key", path: call, token: token{kid: "skype", key: secret, method: jwt.SigningMethodHS256}.sign(t, now), status: 403, count: " badAlgorithm"},
		{name: "alg none", path: call, token: token{kid: "skype", key: jwt.UnsafeAllowNoneSignatureType, method: jwt.SigningMethodNone}.sign(t, now), status: 403, count: " badAlgorithm"},
		{name: "another issuer", path: call, token: with("iss", "https://sts.windows.net").sign(t, now), status: 403, count: " issuer"},
		{name: "an issuer with two trailing slashes", path: call, token: with("iss", IssuerGraph+"//").sign(t, now), status: 403, count: " issuer"},
		{name: "another audience", path: call, token: with("aud", "ffffffff-41c3-47a4-8775-7259bfef4241").sign(t, now), status: 403, count: " audience"},
		{name: "expired", path: call, token: good.sign(t, now.Add(-71*time.Minute)), status: 403, count: " expired"},
		{name: "not yet valid", path: call, token: good.sign(t, now.Add(6*time.Minute)), status: 403, count: " notYetValid"},
		{name: "an unknown key", path: call, token: token{kid: "nobody", key: keys[2]}.sign(t, now), status: 403, count: " unknownKey"},
		{name: "a key that was rotated away", path: call, token: good.sign(t, now), before: func(a *admission) {
			rotate(a)
			a.answer(t, call, token{kid: "rotated", key: keys[2]}.sign(t, now), strings.NewReader(`{"value":[]}`))
		}, status: 403, count: " unknownKey"},
		{name: "another key under a known id", path: call, token: token{kid: "skype", key: keys[2]}.sign(t, now), status: 403, count: " badSignature"},
		{name: "a foreign tid", path: call, token: with("tid", "ffffffff-4620-44ed-baec-459b611f84b2").sign(t, now), status: 403, count: " tenant"},
		{name: "a foreign tid on the global webhook", path: hook, token: with("tid", "ffffffff-4620-44ed-baec-459b611f84b2").sign(t, now), status: 403, count: " tenant"},
		{name: "no tid on a call's URL", path: call, token: with("tid", nil).sign(t, now), status: 403, count: " noTenant"},
		{name: "an oversized body", path: call, token: good.sign(t, now), body: strings.NewReader(strings.Repeat(" ", 5<<10)), status: 413, count: " tooLarge"},
		{name: "a slow body", path: call, token: good.sign(t, now), body: never(), status: 408, count: " tooSlow"},
		{name: "a slow body of a stranger", path: call, token: "a.b.c", body: never(), status: 403, count: " malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAdmission(t)
			if tt.before != nil {
				tt.before(a)
			}
			if tt.body == nil {
				tt.body = established()
			}
			if got := a.answer(t, tt.path, tt.token, tt.body); got != tt.status {
				t.Errorf("status %d; want %d", got, tt.status)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if diff := cmp.Diff([]string{tt.count}, a.counted); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			if _, outcome, _ := strings.Cut(tt.count, " "); !slices.Contains(Outcomes, outcome) {
				t.Errorf("outcome %q is not in Outcomes", outcome)
			}
			if want := btoi(tt.status == 202); len(a.stored) != want {
				t.Errorf("%d events stored; want %d", len(a.stored), want)
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
