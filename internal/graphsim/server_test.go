package graphsim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// A receiver of notifications does what a bot does: it reads the discovery
// document, loads the keys and verifies the token, over real connections.
func TestNotificationsCanBeVerified(t *testing.T) {
	srv := started(t, Options{Token: testToken, AnswerAfter: -1, StepDuration: -1})
	tokens := make(chan string, 16)
	bot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		tokens <- strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.WriteHeader(http.StatusAccepted)
	}))
	defer bot.Close()

	client := trusting(t, srv)
	get := func(url string) []byte {
		t.Helper()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	verify := func(token string) (kid any) {
		t.Helper()
		var discovery struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(get(srv.OIDCURL()), &discovery); err != nil {
			t.Fatal(err)
		}
		keys, err := keyfunc.NewJWKSetJSON(get(discovery.JWKSURI))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.Parse(token, keys.Keyfunc, jwt.WithIssuer(srv.Issuer()), jwt.WithAudience(srv.AppID()), jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
		if err != nil {
			t.Fatal(err)
		}
		if discovery.Issuer != srv.Issuer() || parsed.Claims.(jwt.MapClaims)["tid"] != DefaultTenantID {
			t.Errorf("issuer %s, claims %v", discovery.Issuer, parsed.Claims)
		}
		return parsed.Header["kid"]
	}
	place := func() {
		t.Helper()
		if res, text := ask(t, srv, "POST", "/communications/calls", testToken, with(userCall("a"), "callbackUri", bot.URL+"/x")); res.StatusCode != 201 {
			t.Fatalf("create answered %d %s", res.StatusCode, text)
		}
	}
	place()
	old := <-tokens
	first := verify(old)
	<-tokens
	<-tokens
	rotated, err := srv.Sim.RotateKey()
	if err != nil {
		t.Fatal(err)
	}
	place()
	if second := verify(<-tokens); second != rotated || second == first {
		t.Errorf("signed with %v after the rotation to %s, before with %v", second, rotated, first)
	}
	if kid := verify(old); kid != first {
		t.Errorf("a token from before was signed with %v; want %v, still published", kid, first)
	}
	if _, err := srv.Sim.RotateKey(); err != nil {
		t.Fatal(err)
	}
	if keys, err := keyfunc.NewJWKSetJSON(get(srv.URL() + "/oidc/keys")); err != nil {
		t.Fatal(err)
	} else if _, err := jwt.Parse(old, keys.Keyfunc); err == nil {
		t.Error("a key is published after two rotations")
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	srv := started(t, Options{Token: testToken, AnswerAfter: -1, StepDuration: -1})
	type key struct{ call, message string }
	var mu sync.Mutex
	seen := map[key]bool{}
	ended := make(chan string, 64)
	bot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[key{r.URL.Path, r.Header.Get("X-Microsoft-Skype-Message-ID")}] = true
		mu.Unlock()
		if bytes.Contains(raw, []byte(`"terminated"`)) {
			ended <- r.URL.Path
		}
	}))
	defer bot.Close()
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			res, text := ask(t, srv, "POST", "/communications/calls", testToken, with(userCall("a"), "callbackUri", bot.URL+"/"+string(rune('a'+i))))
			if res.StatusCode != 201 {
				t.Errorf("create answered %d %s", res.StatusCode, text)
				return
			}
			if res, _ := ask(t, srv, "DELETE", strings.TrimPrefix(res.Header.Get("Location"), srv.GraphURL()), testToken, nil); res.StatusCode != 204 {
				t.Errorf("delete answered %d", res.StatusCode)
			}
		})
	}
	wg.Wait()
	for range n {
		<-ended
	}
	mu.Lock()
	defer mu.Unlock()
	if stats := srv.Sim.Stats(); stats.Calls.Created != n || stats.Calls.Live != 0 || len(seen) < 3*n {
		t.Errorf("stats %+v, %d notifications; want %d ended calls", stats, len(seen), n)
	}
}

func TestStartRefuses(t *testing.T) {
	srv := started(t, Options{})
	taken := strings.TrimPrefix(srv.URL(), "http://")
	for name, start := range map[string]func() (*Server, error){
		"a taken address":          func() (*Server, error) { return Start(t.Context(), Options{}, taken, "") },
		"a taken address for TLS":  func() (*Server, error) { return Start(t.Context(), Options{}, "", taken) },
		"no address for TLS":       func() (*Server, error) { return Start(t.Context(), Options{}, "", "nonsense") },
		"options that are nothing": func() (*Server, error) { return Start(t.Context(), Options{LogSize: -1}, "", "") },
	} {
		if s, err := start(); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	plain, err := Start(t.Context(), Options{}, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if plain.AuthorityURL() != "" || plain.CAPEM() != nil || plain.CACertPool() != nil {
		t.Error("a server without a token endpoint has one")
	}
	plain.Close() // twice is fine
}
