package graph

import (
	"strings"
	"testing"
	"time"
)

func TestBaseURLs(t *testing.T) {
	credential := func(o *Options) { o.Credential = fixedCredential("t") }
	static := func(o *Options) { o.StaticToken = "t" }
	for _, row := range []struct {
		name, base string
		tokens     func(*Options)
		want       string // "" accepts
	}{
		{"the default", "", credential, ""},
		{"Graph", "https://graph.microsoft.com/v1.0", credential, ""},
		{"a slash at the end", "https://graph.microsoft.com/v1.0/", credential, ""},
		{"beta", "https://graph.microsoft.com/beta", credential, ""},
		{"a path before the version", "https://gateway.contoso.com/graph/v1.0", credential, ""},
		{"plain http to loopback", "http://127.0.0.1:8080/v1.0", static, ""},
		{"plain http to loopback, IPv6", "http://[::1]:8080/v1.0", static, ""},
		{"plain http to localhost", "http://localhost:8080/v1.0", credential, ""},
		{"plain http elsewhere", "http://graph.microsoft.com/v1.0", credential, "plain http is for loopback only"},
		{"plain http to a private address", "http://10.0.0.1/v1.0", credential, "plain http is for loopback only"},
		{"a host that begins like loopback", "http://127.0.0.1.contoso.com/v1.0", credential, "plain http is for loopback only"},
		{"a fixed token elsewhere", "https://graph.microsoft.com/v1.0", static, "loopback only"},
		{"a fixed token with the default base", "", static, "loopback only"},
		{"no version", "https://graph.microsoft.com", credential, "must end in a version"},
		{"a version in the middle", "https://graph.microsoft.com/v1.0/communications", credential, "must end in a version"},
		{"no scheme", "graph.microsoft.com/v1.0", credential, "want https://host/version"},
		{"another scheme", "ftp://graph.microsoft.com/v1.0", credential, "want https://host/version"},
		{"user info", "https://user:hunter2@graph.microsoft.com/v1.0", credential, "must not have user info"},
		{"a query", "https://graph.microsoft.com/v1.0?x=1", credential, "must not have user info, a query"},
		{"not a URL", "https://graph microsoft com/v1.0", credential, "cannot be parsed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := Options{BaseURL: row.base}
			row.tokens(&o)
			_, err := New(o)
			switch {
			case row.want == "" && err != nil:
				t.Errorf("New() = %v; want it accepted", err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("New() = %v; want it to say %q", err, row.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("New() = %v; leaks a password", err)
			}
		})
	}
}

func TestNewReportsEverythingAtOnce(t *testing.T) {
	_, err := New(Options{Cloud: "mars", BaseURL: "http://x/v1.0", Route: "calls", Timeout: -time.Second,
		StaticToken: "a b", TokenFile: "f"})
	if err == nil {
		t.Fatal("New() accepted it")
	}
	for _, want := range []string{`unknown cloud "mars"`, "plain http", `unknown route family "calls"`, "negative", "2 sources of tokens"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New() = %v; want it to say %q", err, want)
		}
	}
	for want, o := range map[string]Options{
		"0 sources of tokens":            {},
		"holds more than one bearer":     {StaticToken: "a b", BaseURL: "http://localhost/v1.0"},
		"exactly one of a credential, a": {StaticToken: "a", Credential: fixedCredential("b"), BaseURL: "http://localhost/v1.0"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() = %v; want it to say %q", err, want)
		}
	}
}

// Microsoft page "National cloud deployments".
func TestClouds(t *testing.T) {
	for cloud, want := range map[Cloud][3]string{
		PublicCloud: {"https://graph.microsoft.com/v1.0", "https://graph.microsoft.com/.default", "https://login.microsoftonline.com"},
		USGov:       {"https://graph.microsoft.us/v1.0", "https://graph.microsoft.us/.default", "https://login.microsoftonline.us"},
		USGovDoD:    {"https://dod-graph.microsoft.us/v1.0", "https://dod-graph.microsoft.us/.default", "https://login.microsoftonline.us"},
	} {
		got := [3]string{cloud.BaseURL(), cloud.Scope(), strings.TrimRight(cloud.Authority(), "/")}
		if got != want {
			t.Errorf("%s = %v; want %v", cloud, got, want)
		}
		c, err := New(Options{Cloud: cloud, Credential: fixedCredential("t")})
		if err != nil || c.base.String() != want[0] || c.tokens.(*credentialTokens).scope != want[1] {
			t.Errorf("New(%s) = %+v, %v", cloud, c, err)
		}
	}
}
