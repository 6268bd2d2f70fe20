package callbacks

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWeKnowOurselves: the receiver's own refusals, and what others say there.
func TestWeKnowOurselves(t *testing.T) {
	r, _ := setup(t, func(o *Options) {
		auth := newAuth(t, AuthOptions{OIDCURLs: []string{"http://127.0.0.1:1/keys"}})
		o.Auth = auth
	})
	answer := func(path string) (int, http.Header, []byte) {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, post(path, "", ""))
		return w.Code, w.Result().Header, w.Body.Bytes()
	}
	for path, want := range map[string]Answerer{webhook: Ours, callPath: Ours, "/hooks/v2": OursElsewhere} {
		if got := WhoAnswered(answer(path)); got != want {
			t.Errorf("%s: %s; want %s", path, got, want)
		}
	}
	bearer := http.Header{"Www-Authenticate": {"Bearer"}}
	for _, row := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   Answerer
	}{
		{"the door when every seat is taken", 503, nil, "too many connections\n", OursFull},
		{"a proxy that wants a login", 401, http.Header{"Www-Authenticate": {"Basic"}}, RefusedNoToken.Error(), Stranger},
		{"somebody else's API", 401, bearer, `{"error":"unauthorized"}`, Stranger},
		{"a proxy's page", 404, nil, "<html>404 Not Found</html>", Stranger},
		{"a proxy with nothing behind it", 503, nil, "no healthy upstream", Stranger},
		{"a proxy that says nothing", 503, nil, "", Stranger},
		{"anything that is taken", 202, nil, "", Stranger},
	} {
		if got := WhoAnswered(row.status, row.header, []byte(row.body)); got != row.want {
			t.Errorf("%s: %s; want %s", row.name, got, row.want)
		}
	}
}

func TestLookAtKeys(t *testing.T) {
	keys := testKeys()
	src := &issuer{keys: []map[string]any{jwk("a", keys[0]), jwk("b", keys[1]), {"kty": "EC"}}}
	srv := httptest.NewServer(src)
	t.Cleanup(srv.Close)
	got, err := LookAtKeys(t.Context(), srv.URL+"/openid")
	if err != nil || got.Keys != 2 || got.Issuer != IssuerBotFramework || time.Since(got.Date) > time.Minute {
		t.Errorf("LookAtKeys() = %+v, %v; want two keys, just now", got, err)
	}
	if !SameIssuer(got.Issuer+"/", got.Issuer) || SameIssuer(got.Issuer, "https://other.example") {
		t.Errorf("issuer %q: want a slash not to matter, and another issuer to", got.Issuer)
	}
	src.set(func(i *issuer) { i.status = 500 })
	for url, says := range map[string]string{srv.URL + "/openid": "status 500", "http://keys.example/openid": "want https", "http://127.0.0.1:1/": "refused"} {
		if _, err := LookAtKeys(t.Context(), url); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("LookAtKeys(%s) = %v; want %q in it", url, err, says)
		}
	}
}
