package graph

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

func TestTokenIsFetchedOnceATenant(t *testing.T) {
	a := startAuthority(t)
	g := startGraph(t, answering(200, `{"id":"c1"}`))
	c := newClient(t, g.base(), withCredential(CredentialFactory(a.secretOptions("s3cret"))))
	for _, tenant := range []string{"", "home", "other", "other", ""} {
		if _, err := c.Do(t.Context(), Request{Operation: GetCall, CallID: "c", TenantID: tenant}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, s := range g.seen() {
		got = append(got, s.Authorization)
	}
	want := []string{"Bearer home-1", "Bearer home-1", "Bearer other-1", "Bearer other-1", "Bearer home-1"}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("tokens = %v; want %v", got, want)
	}
	for _, form := range a.requests() {
		if form.Get("client_id") != "app-1" || form.Get("client_secret") != "s3cret" ||
			!strings.Contains(form.Get("scope"), "https://graph.microsoft.com/.default") || !strings.Contains(form.Get("claims"), "CP1") {
			t.Errorf("token request = %v; want app, secret, scope and the capability CP1", form)
		}
	}
}

// refusing answers 401 to the given tokens.
func refusing(challenge string, tokens ...string) handler {
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		for _, refused := range tokens {
			if r.Header.Get("Authorization") == "Bearer "+refused || refused == "*" {
				reply(w, 401, `{"error":{"code":"InvalidAuthenticationToken","message":"Access token has expired or is not yet valid."}}`,
					"WWW-Authenticate", challenge)
				return
			}
		}
		reply(w, 201, `{"id":"c1"}`)
	}
}

func TestPlain401FetchesAFreshTokenOnce(t *testing.T) {
	a := startAuthority(t)
	g := startGraph(t, refusing("", "home-1"))
	c := newClient(t, g.base(), withCredential(CredentialFactory(a.secretOptions("s3cret"))))
	guarded := 0
	r := createRequest
	r.Guard = func() error { guarded++; return nil }
	if _, err := c.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	all := g.seen()
	if len(all) != 2 || all[1].Authorization != "Bearer home-2" || all[1].Body != createBody || guarded != 2 {
		t.Errorf("Graph saw %+v, guard asked %d times; want the whole request again with home-2, guarded again", all, guarded)
	}
	if all[0].Header.Get("client-request-id") != all[1].Header.Get("client-request-id") {
		t.Error("the second request has another client-request-id")
	}
}

func TestSecond401IsUnauthorized(t *testing.T) {
	a := startAuthority(t)
	g := startGraph(t, refusing("", "*"))
	c := newClient(t, g.base(), withCredential(CredentialFactory(a.secretOptions("s3cret"))))
	for range 3 {
		_, err := c.Do(t.Context(), createRequest)
		if e := wantError(t, err, Unauthorized); !e.Definite() || e.Status != 401 {
			t.Errorf("error = %+v", e)
		}
	}
	// 1 and its renewal; then the storm guard holds: one request each.
	if n := len(g.seen()); n != 4 {
		t.Errorf("Graph saw %d requests; want 4", n)
	}
	if n := a.tokens("home"); n != 2 {
		t.Errorf("authority issued %d tokens; want 2", n)
	}
}

func TestStormOf401sFetchesOneToken(t *testing.T) {
	a := startAuthority(t)
	g := startGraph(t, refusing("", "home-1"))
	c := newClient(t, g.base(), withCredential(CredentialFactory(a.secretOptions("s3cret"))))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Do(t.Context(), createRequest); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := a.tokens("home"); n != 2 {
		t.Errorf("authority issued %d tokens; want 2", n)
	}
}

func TestClaimsChallengeIsPassedOn(t *testing.T) {
	a := startAuthority(t)
	claims := `{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}`
	challenge := `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="` +
		base64.StdEncoding.EncodeToString([]byte(claims)) + `"`
	g := startGraph(t, refusing(challenge, "home-1"))
	credential, err := NewCredential(a.secretOptions("s3cret")) // one for all: claims go past its cache
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, g.base(), func(o *Options) { o.StaticToken, o.Credential, o.DefaultTenant = "", credential, "home" })
	if _, err := c.Do(t.Context(), createRequest); err != nil {
		t.Fatal(err)
	}
	forms := a.requests()
	if len(forms) != 2 || !strings.Contains(forms[1].Get("claims"), `"1702682181"`) {
		t.Errorf("token requests = %v; want the second with Graph's claims", forms)
	}
	if strings.Contains(forms[0].Get("claims"), `"1702682181"`) {
		t.Error("claims sent before they were asked for")
	}
}

func TestClaimsChallengeParsing(t *testing.T) {
	claims := `{"access_token":{"acrs":{"value":"c1"}}}`
	std := base64.StdEncoding.EncodeToString([]byte(claims))
	for name, row := range map[string]struct {
		header []string
		want   string
	}{
		"a challenge":               {[]string{`Bearer error="insufficient_claims", claims="` + std + `"`}, claims},
		"URL-safe and unpadded":     {[]string{`Bearer claims="` + base64.RawURLEncoding.EncodeToString([]byte(claims)) + `",error="insufficient_claims"`}, claims},
		"the second of two schemes": {[]string{`Negotiate`, `Pop realm="x", Bearer realm="", error="insufficient_claims", claims="` + std + `"`}, claims},
		"another error":             {[]string{`Bearer error="invalid_token", claims="` + std + `"`}, ""},
		"no claims":                 {[]string{`Bearer error="insufficient_claims"`}, ""},
		"claims that are no base64": {[]string{`Bearer error="insufficient_claims", claims="!!"`}, ""},
		"claims that are no JSON":   {[]string{`Bearer error="insufficient_claims", claims="YWJj"`}, ""},
		"nothing":                   {nil, ""},
	} {
		if got := claimsChallenge(http.Header{"Www-Authenticate": row.header}); got != row.want {
			t.Errorf("%s: claimsChallenge() = %q; want %q", name, got, row.want)
		}
	}
}

func TestOneCredentialWithoutClaimsLetsThe401Stand(t *testing.T) {
	g := startGraph(t, refusing("", "same"))
	c := newClient(t, g.base(), func(o *Options) { o.StaticToken, o.Credential = "", fixedCredential("same") })
	_, err := c.Do(t.Context(), createRequest)
	wantError(t, err, Unauthorized)
	if n := len(g.seen()); n != 1 {
		t.Errorf("Graph saw %d requests; want 1: the token did not change", n)
	}
}

func TestAuthorityOutage(t *testing.T) {
	a := startAuthority(t)
	g := startGraph(t, answering(200, `{"id":"c1"}`))
	c := newClient(t, g.base(), withCredential(CredentialFactory(a.secretOptions("top-secret"))))
	source := c.tokens.(*credentialTokens)
	now := time.Now()
	source.now = func() time.Time { return now }

	a.setOutage(true)
	for range 3 {
		_, err := c.Do(t.Context(), createRequest)
		e := wantError(t, err, TokenFailed)
		if e.Sent != NotSent || !e.Definite() || e.Message != "AADSTS90033: A transient error has occurred." {
			t.Errorf("error = %+v; want Entra ID's words alone, nothing sent", e)
		}
		assertNoSecret(t, "token error", e.Error(), "top-secret")
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("authority was asked %d times within a second; want 1", n)
	}

	a.setOutage(false)
	now = now.Add(failurePause)
	if _, err := c.Do(t.Context(), createRequest); err != nil {
		t.Fatalf("after the outage: %v", err)
	}

	// A token in hand outlives an outage as long as it is good.
	a.setOutage(true)
	now = now.Add(57 * time.Minute)
	for range 3 {
		if _, err := c.Do(t.Context(), createRequest); err != nil {
			t.Fatalf("with a good token during an outage: %v", err)
		}
	}
	if n := len(g.seen()); n != 4 {
		t.Errorf("Graph saw %d requests; want 4", n)
	}
}

func TestWrongSecretIsToldShortly(t *testing.T) {
	a := startAuthority(t)
	c := newClient(t, "http://127.0.0.1:1/v1.0", withCredential(CredentialFactory(a.secretOptions("wrong-secret"))))
	_, err := c.Token(t.Context(), "")
	e := wantError(t, err, TokenFailed)
	if want := "AADSTS7000215: Invalid client secret provided."; e.Message != want {
		t.Errorf("Message = %q; want %q", e.Message, want)
	}
}

func TestUnreachableAuthority(t *testing.T) {
	a := startAuthority(t)
	a.Close()
	c := newClient(t, "http://127.0.0.1:1/v1.0", withCredential(CredentialFactory(a.secretOptions("s3cret"))))
	_, err := c.Do(t.Context(), createRequest)
	e := wantError(t, err, TokenFailed)
	assertNoSecret(t, "token error", e.Error(), "s3cret")
}

func TestCredentialThatCannotBeMade(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1/v1.0", withCredential(func(string) (azcore.TokenCredential, error) {
		return NewCredential(CredentialOptions{Kind: EnvironmentCredential, Getenv: func(string) string { return "" }})
	}))
	_, err := c.Do(t.Context(), createRequest)
	if e := wantError(t, err, TokenFailed); !strings.Contains(e.Message, "AZURE_TENANT_ID is not set") {
		t.Errorf("error = %v", e)
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now().Add(-time.Hour)
	write("first", start)
	g := startGraph(t, refusing("", "second", "fourth"))
	c := newClient(t, g.base(), func(o *Options) { o.StaticToken, o.TokenFile = "", path })
	do := func() error {
		_, err := c.Do(t.Context(), createRequest)
		return err
	}
	last := func() string { all := g.seen(); return all[len(all)-1].Authorization }

	if err := do(); err != nil || last() != "Bearer first" {
		t.Fatalf("Do() = %v with %s; want the first token", err, last())
	}
	write("longer-token", start.Add(time.Second))
	if err := do(); err != nil || last() != "Bearer longer-token" {
		t.Errorf("Do() = %v with %s; want the token of the changed file", err, last())
	}
	write("second", start.Add(2*time.Second))
	wantError(t, do(), Unauthorized)
	if last() != "Bearer second" {
		t.Errorf("last token = %s", last())
	}
	// The same size and time: only the 401 makes the file be read.
	write("fourth", start.Add(3*time.Second))
	wantError(t, do(), Unauthorized)
	write("fifth!", start.Add(3*time.Second))
	if err := do(); err != nil || last() != "Bearer fifth!" {
		t.Errorf("Do() = %v with %s; want the file read again after the 401", err, last())
	}
	for _, bad := range []string{"", "two tokens", "line\nbreak"} {
		write(bad, start.Add(time.Minute+time.Duration(len(bad))))
		if e := wantError(t, do(), TokenFailed); !strings.Contains(e.Message, "token file: ") {
			t.Errorf("error = %v", e)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantError(t, do(), TokenFailed)
}
