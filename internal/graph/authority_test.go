package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// authority is a token endpoint over TLS, as much of Entra ID as azidentity
// asks for. Tokens are "<tenant>-<n>".
type authority struct {
	*httptest.Server

	mu        sync.Mutex
	issued    map[string]int // by tenant
	forms     []url.Values
	expiresIn int
	outage    bool
}

func startAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{issued: map[string]int{}, expiresIn: 3599}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		base := a.URL + "/" + r.PathValue("tenant")
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer":                 base + "/v2.0",
			"authorization_endpoint": base + "/oauth2/v2.0/authorize",
			"token_endpoint":         base + "/oauth2/v2.0/token",
		})
	})
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", a.token)
	a.Server = httptest.NewUnstartedServer(mux)
	a.Config.ErrorLog = discardLog
	a.StartTLS()
	t.Cleanup(a.Close)
	return a
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = r.ParseForm()
	a.forms = append(a.forms, r.PostForm)
	w.Header().Set("Content-Type", "application/json")
	if a.outage {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"error":"temporarily_unavailable","error_description":"AADSTS90033: A transient error has occurred. Trace ID: 11 Correlation ID: 22","x":"client_secret=top-secret"}`)
		return
	}
	if r.PostForm.Get("client_secret") == "wrong-secret" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 11 Correlation ID: 22"}`)
		return
	}
	tenant := r.PathValue("tenant")
	a.issued[tenant]++
	_ = json.NewEncoder(w).Encode(map[string]any{
		"token_type": "Bearer", "expires_in": a.expiresIn, "ext_expires_in": a.expiresIn,
		"access_token": fmt.Sprintf("%s-%d", tenant, a.issued[tenant]),
	})
}

func (a *authority) tokens(tenant string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issued[tenant]
}

func (a *authority) requests() []url.Values {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]url.Values(nil), a.forms...)
}

func (a *authority) setOutage(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outage = on
}

// secretOptions are those of a client secret for this authority.
func (a *authority) secretOptions(secret string) CredentialOptions {
	return CredentialOptions{
		Kind: EnvironmentCredential, AuthorityHost: a.URL, DisableInstanceDiscovery: true,
		Transport: a.Client().Transport,
		Getenv: func(name string) string {
			return map[string]string{
				"AZURE_TENANT_ID": "home", "AZURE_CLIENT_ID": "app-1", "AZURE_CLIENT_SECRET": secret,
			}[name]
		},
	}
}

// withCredential makes a client use credentials in place of the fixed token.
func withCredential(newCredential func(string) (azcore.TokenCredential, error)) func(*Options) {
	return func(o *Options) {
		o.StaticToken, o.NewCredential, o.DefaultTenant = "", newCredential, "home"
	}
}
