package graph

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// certificateFile writes a certificate and its key as AZURE_CLIENT_CERTIFICATE_PATH
// wants them.
func certificateFile(t testing.TB, key any, public any) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "callbus"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "app.pem")
	data := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func rsaCertificateFile(t testing.TB) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certificateFile(t, key, &key.PublicKey)
}

func getToken(t *testing.T, c azcore.TokenCredential, tenant string) (string, error) {
	t.Helper()
	token, err := c.GetToken(t.Context(), policy.TokenRequestOptions{
		Scopes: []string{PublicCloud.Scope()}, TenantID: tenant, EnableCAE: true})
	return token.Token, err
}

func TestCredentialsAskTheAuthority(t *testing.T) {
	federated := filepath.Join(t.TempDir(), "federated")
	if err := os.WriteFile(federated, []byte("pod-assertion"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := map[string]string{"AZURE_TENANT_ID": "home", "AZURE_CLIENT_ID": "app-1"}
	for _, row := range []struct {
		name      string
		kind      CredentialKind
		env       map[string]string
		assertion bool // else the secret
	}{
		{"a client secret", EnvironmentCredential, map[string]string{"AZURE_CLIENT_SECRET": "s3cret"}, false},
		{"a client certificate", EnvironmentCredential, map[string]string{"AZURE_CLIENT_CERTIFICATE_PATH": rsaCertificateFile(t), "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN": "true"}, true},
		{"a workload identity", WorkloadCredential, map[string]string{"AZURE_FEDERATED_TOKEN_FILE": federated}, true},
		{"the chain, with a workload identity", ChainCredential, map[string]string{"AZURE_FEDERATED_TOKEN_FILE": federated}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := startAuthority(t)
			o := a.secretOptions("")
			o.Kind, o.Tenants = row.kind, []string{"home", "other"}
			o.Getenv = func(name string) string { return firstOf(row.env[name], base[name]) }
			c, err := NewCredential(o)
			if err != nil {
				t.Fatal(err)
			}
			for _, tenant := range []string{"home", "other", "home"} {
				if got, err := getToken(t, c, tenant); err != nil || got != tenant+"-1" {
					t.Errorf("GetToken(%s) = %q, %v; want %s-1", tenant, got, err, tenant)
				}
			}
			if _, err := getToken(t, c, "stranger"); err == nil {
				t.Error("GetToken() of a tenant that is not configured succeeded")
			}
			form := a.requests()[0]
			if hasAssertion := form.Get("client_assertion") != ""; hasAssertion != row.assertion || (form.Get("client_secret") == "s3cret") == row.assertion {
				t.Errorf("token request = %v", form)
			}
		})
	}
}

func TestFactoryMakesOneCredentialATenant(t *testing.T) {
	a := startAuthority(t)
	factory := CredentialFactory(a.secretOptions("s3cret"))
	for tenant, want := range map[string]string{"": "home-1", "elsewhere": "elsewhere-1"} {
		c, err := factory(tenant)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := getToken(t, c, tenant); err != nil || got != want {
			t.Errorf("GetToken(%q) = %q, %v; want %s", tenant, got, err, want)
		}
	}
}

func TestCredentialMistakes(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	elliptical := certificateFile(t, key, &key.PublicKey)
	app := map[string]string{"AZURE_TENANT_ID": "home", "AZURE_CLIENT_ID": "app-1"}
	with := func(name, value string) map[string]string {
		env := map[string]string{name: value}
		for k, v := range app {
			env[k] = v
		}
		return env
	}
	for name, row := range map[string]struct {
		options CredentialOptions
		env     map[string]string
		want    string
	}{
		"an unknown kind":             {CredentialOptions{Kind: "password"}, nil, "unknown kind"},
		"an unknown cloud":            {CredentialOptions{Cloud: "china"}, nil, `unknown cloud "china"`},
		"no tenant":                   {CredentialOptions{Kind: EnvironmentCredential}, nil, "AZURE_TENANT_ID"},
		"no client":                   {CredentialOptions{Kind: EnvironmentCredential, Tenants: []string{"t"}}, nil, "AZURE_CLIENT_ID"},
		"neither secret nor key":      {CredentialOptions{Kind: EnvironmentCredential}, app, "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH"},
		"a certificate that is gone":  {CredentialOptions{Kind: EnvironmentCredential}, with("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere/app.pem"), "AZURE_CLIENT_CERTIFICATE_PATH"},
		"a key Entra ID does not use": {CredentialOptions{Kind: EnvironmentCredential}, with("AZURE_CLIENT_CERTIFICATE_PATH", elliptical), "environment credential"},
		"no federated token":          {CredentialOptions{Kind: WorkloadCredential}, app, "workload credential"},
		"a managed identity for two":  {CredentialOptions{Kind: ManagedCredential, Tenants: []string{"a", "b"}}, nil, "one tenant"},
		"an authority without https":  {CredentialOptions{Kind: EnvironmentCredential, AuthorityHost: "http://127.0.0.1"}, with("AZURE_CLIENT_SECRET", "s3cret"), "https"},
	} {
		t.Run(name, func(t *testing.T) {
			row.options.Getenv = func(name string) string { return row.env[name] }
			_, err := NewCredential(row.options)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("NewCredential() = %v; want it to say %q", err, row.want)
			}
		})
	}
}

func TestCredentialsThatNeedNothingAreMade(t *testing.T) {
	for _, kind := range []CredentialKind{ManagedCredential, CLICredential, ChainCredential, DefaultCredential, ""} {
		if _, err := NewCredential(CredentialOptions{Kind: kind, Getenv: func(string) string { return "" }}); err != nil {
			t.Errorf("NewCredential(%q) = %v", kind, err)
		}
	}
}
