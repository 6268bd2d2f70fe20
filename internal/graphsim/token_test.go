package graphsim

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
)

const (
	clientID = "0efc74f7-41c3-47a4-8775-7259bfef4241"
	scope    = "https://graph.microsoft.com/.default"
)

func started(t *testing.T, opts Options) *Server {
	t.Helper()
	srv, err := Start(t.Context(), opts, "", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// TestATokenForSomebodyElse is none that Graph takes.
func TestATokenForSomebodyElse(t *testing.T) {
	for audience, want := range map[string]int{"": http.StatusNotFound, "00000003-0000-0000-c000-000000000000": http.StatusNotFound, "https://vault.azure.net": http.StatusUnauthorized} {
		srv := started(t, Options{TokenAudience: audience})
		bearer := token(t, secretCredential(t, srv, tenantA, "s3cret")).Token
		if res, text := ask(t, srv, http.MethodGet, "/communications/calls/00000000-0000-0000-0000-000000000000", bearer, nil); res.StatusCode != want {
			t.Errorf("audience %q: %d %s; want %d", audience, res.StatusCode, text, want)
		}
	}
}

// trusting is a client that trusts the server's authority and nobody else.
func trusting(t *testing.T, srv *Server) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.CACertPool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func entra(t *testing.T, srv *Server) azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: srv.AuthorityURL()},
		Transport: trusting(t, srv),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

func secretCredential(t *testing.T, srv *Server, tenant, secret string) azcore.TokenCredential {
	t.Helper()
	credential, err := azidentity.NewClientSecretCredential(tenant, clientID, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: entra(t, srv), DisableInstanceDiscovery: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

func token(t *testing.T, credential azcore.TokenCredential) azcore.AccessToken {
	t.Helper()
	token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// ask makes one request to Graph with a token.
func ask(t *testing.T, srv *Server, method, path, bearer string, body any) (*http.Response, string) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, srv.GraphURL()+path, strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	client := trusting(t, srv)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func TestAzidentityWithASecret(t *testing.T) {
	srv := started(t, Options{AppID: clientID, ClientSecret: "s3cret", TokenLifetime: 90 * time.Minute})
	got := token(t, secretCredential(t, srv, tenantA, "s3cret"))
	if left := time.Until(got.ExpiresOn); left < 89*time.Minute || left > 90*time.Minute {
		t.Errorf("the token lives for %v; want 90m", left)
	}
	var claims accessClaims
	if _, _, err := jwt.NewParser().ParseUnverified(got.Token, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.TenantID != tenantA || claims.AppID != clientID || claims.Roles[0] != "Calls.Initiate.All" || claims.Audience[0] != "https://graph.microsoft.com" {
		t.Errorf("claims %+v; want tenant, app, role and audience", claims)
	}
	if res, text := ask(t, srv, "GET", "/communications/calls/x", got.Token, nil); res.StatusCode != 404 {
		t.Errorf("Graph answers %d %s; want 404, the token is good", res.StatusCode, text)
	}
	if n := srv.Sim.Stats().Tokens[tenantA]; n != 1 {
		t.Errorf("%d tokens counted; want 1", n)
	}
}

func TestAzidentityWithACertificate(t *testing.T) {
	mine, mineKey := selfSigned(t)
	other, otherKey := selfSigned(t)
	srv := started(t, Options{ClientCertificate: mine})
	get := func(certificate *x509.Certificate, key *rsa.PrivateKey, chain bool) (azcore.AccessToken, error) {
		credential, err := azidentity.NewClientCertificateCredential(tenantA, clientID, []*x509.Certificate{certificate}, key, &azidentity.ClientCertificateCredentialOptions{
			ClientOptions: entra(t, srv), DisableInstanceDiscovery: true, SendCertificateChain: chain,
		})
		if err != nil {
			t.Fatal(err)
		}
		return credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	}
	for _, chain := range []bool{false, true} {
		if got, err := get(mine, mineKey, chain); err != nil || got.Token == "" {
			t.Errorf("with the registered certificate: %v", err)
		}
	}
	if _, err := get(other, otherKey, false); err == nil || !strings.Contains(err.Error(), "AADSTS700027") {
		t.Errorf("with another certificate: %v; want AADSTS700027", err)
	}

	// The library refuses to sign with another key, so this one is made by hand.
	url := srv.AuthorityURL() + "/" + tenantA + "/oauth2/v2.0/token"
	for name, key := range map[string]*rsa.PrivateKey{"its": mineKey, "another": otherKey} {
		sum := sha256.Sum256(mine.Raw)
		assertion := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{"iss": clientID, "sub": clientID, "aud": url, "exp": time.Now().Add(time.Hour).Unix()})
		assertion.Header["x5t#S256"] = base64.StdEncoding.EncodeToString(sum[:])
		signed, err := assertion.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		res := postForm(t, srv, url, map[string][]string{
			"grant_type": {"client_credentials"}, "client_id": {clientID}, "scope": {scope},
			"client_assertion_type": {assertionType}, "client_assertion": {signed},
		})
		if want := map[string]int{"its": 200, "another": 401}[name]; res != want {
			t.Errorf("signed with %s key: %d; want %d", name, res, want)
		}
	}
}

func postForm(t *testing.T, srv *Server, url string, form url.Values) int {
	t.Helper()
	res, err := trusting(t, srv).PostForm(url, form)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func selfSigned(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func TestAzidentityWithAnAssertion(t *testing.T) {
	srv := started(t, Options{})
	for name, assertion := range map[string]string{
		"of a workload identity": "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2s4cyIsInN1YiI6InN5c3RlbTpzYSJ9.",
		"that is none":           "x",
	} {
		credential, err := azidentity.NewClientAssertionCredential(tenantA, clientID, func(context.Context) (string, error) { return assertion, nil },
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: entra(t, srv), DisableInstanceDiscovery: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		if want := name == "that is none"; (err != nil) != want {
			t.Errorf("an assertion %s: %v; want an error: %v", name, err, want)
		}
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	srv := started(t, Options{AppID: clientID, ClientSecret: "s3cret"})
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {"s3cret"}, "scope": {scope}}
	change := func(key, value string) url.Values {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form.Set(key, value)
		return form
	}
	// An assertion that the app signed for itself, for another authority.
	stray, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": clientID, "sub": clientID, "aud": "https://other", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	asserted := change("client_assertion", stray)
	asserted.Set("client_assertion_type", assertionType)
	tests := []struct {
		name   string
		form   url.Values
		status int
		oauth  string
		aadsts string
	}{
		{"nothing wrong", good, 200, "", ""},
		{"another grant", change("grant_type", "password"), 400, "unsupported_grant_type", "AADSTS70003"},
		{"no client", change("client_id", ""), 400, "invalid_request", "AADSTS900144"},
		{"another client", change("client_id", "x"), 400, "unauthorized_client", "AADSTS700016"},
		{"a single permission", change("scope", "https://graph.microsoft.com/Calls.Initiate.All"), 400, "invalid_scope", "AADSTS1002012"},
		{"two scopes", change("scope", scope+" "+scope), 400, "invalid_scope", "AADSTS1002012"},
		{"no secret", change("client_secret", ""), 401, "invalid_client", "AADSTS7000218"},
		{"a wrong secret", change("client_secret", "x"), 401, "invalid_client", "AADSTS7000215"},
		{"an assertion for somebody else", asserted, 401, "invalid_client", "AADSTS700027"},
	}
	client := trusting(t, srv)
	for _, tt := range tests {
		res, err := client.PostForm(srv.AuthorityURL()+"/"+tenantA+"/oauth2/v2.0/token", tt.form)
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		err = json.NewDecoder(res.Body).Decode(&body)
		res.Body.Close()
		if err != nil || res.StatusCode != tt.status || body.Error != tt.oauth || !strings.HasPrefix(body.Description, tt.aadsts) {
			t.Errorf("%s: %d %+v %v; want %d %s %s", tt.name, res.StatusCode, body, err, tt.status, tt.oauth, tt.aadsts)
		}
	}
}

func TestInstanceDiscovery(t *testing.T) {
	srv := started(t, Options{})
	client := trusting(t, srv)
	res, err := client.Get(srv.AuthorityURL() + "/common/discovery/instance?api-version=1.1&authorization_endpoint=x")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct {
		Endpoint string `json:"tenant_discovery_endpoint"`
		Metadata []struct{ Aliases []string }
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(srv.AuthorityURL(), "https://")
	if !strings.HasPrefix(body.Endpoint, srv.AuthorityURL()) || len(body.Metadata) != 1 || body.Metadata[0].Aliases[0] != host {
		t.Errorf("instance discovery %+v; want this host alone", body)
	}
}

func TestTokenEndpointOutage(t *testing.T) {
	srv := started(t, Options{})
	credential := secretCredential(t, srv, tenantA, "any")
	if err := srv.Sim.SetFaults(Fault{Operation: "token", TenantID: tenantA, Status: 503, Count: 1}); err != nil {
		t.Fatal(err)
	}
	_, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); !ok || failed.RawResponse.StatusCode != 503 {
		t.Errorf("during the outage: %v; want 503", err)
	}
	token(t, credential) // it is over
	for _, f := range []Fault{{Operation: "token", DropRequest: true}, {Operation: "token", DropAnswer: true}} {
		srv.Sim.SetFaults(f)
		if _, err := secretCredential(t, srv, tenantA, "any").GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}}); err == nil {
			t.Errorf("with %+v: no error", f)
		}
	}
}

func TestTokensAreBound(t *testing.T) {
	srv := started(t, Options{Roles: []string{"Calls.Initiate.All"}})
	mine := token(t, secretCredential(t, srv, tenantA, "any")).Token
	foreign := token(t, secretCredential(t, srv, DefaultTenantID, "any")).Token
	from := func(app string) object {
		return with(userCall("a"), "source", object{"identity": object{"application": object{"id": app}}})
	}
	tests := []struct {
		name  string
		token string
		body  object
		want  int
		code  string
	}{
		{"a call in the token's tenant", mine, with(userCall("a"), "tenantId", strings.ToUpper(tenantA)), 201, ""},
		{"a call without a tenant", mine, userCall("a"), 201, ""},
		{"a call in another tenant", foreign, with(userCall("a"), "tenantId", tenantA), 403, "7505"},
		{"a call from the token's app", mine, from(clientID), 201, ""},
		{"a call from another app", mine, from("other"), 403, "7507"},
		{"a group call without its role", mine, userCall("a", "b"), 403, "7504"},
		{"a meeting without its role", mine, meetingCall("o"), 403, "7504"},
		{"app hosted media without its role", mine, with(userCall("a"), "mediaConfig", typed("appHostedMediaConfig", object{"blob": "b"})), 403, "7504"},
	}
	for _, tt := range tests {
		res, text := ask(t, srv, "POST", "/communications/calls", tt.token, with(tt.body, "callbackUri", "http://127.0.0.1:1/x"))
		var body object
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Fatal(err)
		}
		if got := (response{body: body}).code(); res.StatusCode != tt.want || got != tt.code {
			t.Errorf("%s: %d %s; want %d %s", tt.name, res.StatusCode, text, tt.want, tt.code)
		}
	}
	call := srv.Sim.Calls()[0]
	if call.TenantID != strings.ToUpper(tenantA) || call.AppID != clientID {
		t.Errorf("call %+v; want the token's tenant and app", call)
	}
	if res, text := ask(t, srv, "GET", "/communications/calls/"+call.ID, foreign, nil); res.StatusCode != 403 || !strings.Contains(text, "7505") {
		t.Errorf("the call with another tenant's token: %d %s; want 403 7505", res.StatusCode, text)
	}
}

func TestTokensExpire(t *testing.T) {
	story(t, func(o *Options) { o.TokenLifetime = time.Minute }, func(w *world) {
		w.tokenKeys.keys = notifySigner.keys
		fresh, err := w.accessToken(tenantA, clientID, "https://graph.microsoft.com")
		if err != nil {
			t.Fatal(err)
		}
		if res := w.do("GET", calls+"/x", nil, "Authorization", "Bearer "+fresh); res.status != 404 {
			t.Errorf("a fresh token: %d; want 404", res.status)
		}
		w.pass(time.Minute)
		if res := w.do("GET", calls+"/x", nil, "Authorization", "Bearer "+fresh); res.status != 401 || !strings.Contains(res.text, "expired") {
			t.Errorf("an old token: %d %s; want 401", res.status, res.text)
		}
		var stranger keyring
		forged, _, err := stranger.sign(accessClaims{TenantID: tenantA})
		if err != nil {
			t.Fatal(err)
		}
		if res := w.do("GET", calls+"/x", nil, "Authorization", "Bearer "+forged); res.status != 401 {
			t.Errorf("a forged token: %d; want 401", res.status)
		}
	})
}

func TestTheAuthorityIsNotTrustedByOthers(t *testing.T) {
	srv := started(t, Options{})
	other, err := newAuthority("")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: other.pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	if _, err := (&http.Client{Transport: transport}).Get(srv.AuthorityURL()); err == nil {
		t.Error("another authority's certificate was accepted")
	}
	if _, ok := other.server.PrivateKey.(*ecdsa.PrivateKey); !ok || len(srv.CAPEM()) == 0 {
		t.Error("no certificate authority")
	}
}
