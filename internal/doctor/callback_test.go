package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"callbus/internal/callbacks"
	"callbus/internal/commands"
	"callbus/internal/graph"
)

// ca is an authority of a test's own.
type ca struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newCA(t *testing.T, name string, by *ca) *ca {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(2, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	c := &ca{t: t, key: newKey(t), pool: x509.NewCertPool()}
	signer := c.key
	parent := template
	if by != nil {
		signer, parent = by.key, by.cert
	}
	c.cert = signed(t, template, parent, c.key, signer)
	c.pool.AddCert(c.cert)
	return c
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// leaf is a certificate for a host, good for so long from now.
func (c *ca) leaf(host string, left time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().Add(left),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	key := newKey(c.t)
	return signed(c.t, template, c.cert, key, c.key), key
}

func TestCertificates(t *testing.T) {
	root := newCA(t, "Public Root", nil)
	between := newCA(t, "Public Intermediate", root)
	private := newCA(t, "Private Root", nil)
	const host = "calls.contoso.com"
	certificate := func(by *ca, host string, left time.Duration) *x509.Certificate { c, _ := by.leaf(host, left); return c }
	year := 365 * 24 * time.Hour
	for _, row := range []struct {
		name  string
		chain []*x509.Certificate
		want  string
	}{
		{"good", []*x509.Certificate{certificate(root, host, year)}, "ok callback: the certificate for calls.contoso.com, of Public Root, is valid for another 364 days"},
		{"good, with its intermediate", []*x509.Certificate{certificate(between, host, year), between.cert}, "ok callback: of Public Intermediate"},
		{"ends soon", []*x509.Certificate{certificate(root, host, 13*24*time.Hour)}, "warn callback: another 12 days"},
		{"ends today", []*x509.Certificate{certificate(root, host, 5*time.Hour)}, "warn callback: is valid for another "},
		{"expired", []*x509.Certificate{certificate(root, host, -time.Hour)}, "FAIL callback: expired 1h0m ago"},
		{"expired and of nobody", []*x509.Certificate{certificate(private, host, -time.Hour)}, "FAIL callback: expired"},
		{"for another name", []*x509.Certificate{certificate(root, "www.contoso.com", year)}, "FAIL callback: www.contoso.com"},
		{"without its intermediate", []*x509.Certificate{certificate(between, host, year)}, "FAIL callback: no intermediate comes with it"},
		{"of a private authority", []*x509.Certificate{certificate(private, host, year), private.cert}, "FAIL callback: of Private Root, leads to no root"},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := &examination{Options: Options{Now: time.Now, Roots: root.pool}}
			assertFindings(t, x.judgeCertificate(host, row.chain), row.want)
		})
	}
	x := &examination{Options: Options{Now: func() time.Time { return time.Now().AddDate(-3, 0, 0) }, Roots: root.pool}}
	assertFindings(t, x.judgeCertificate(host, []*x509.Certificate{certificate(root, host, year)}), "FAIL callback: valid only from")
	assertFindings(t, x.judgeCertificate(host, nil))
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"20.190.128.1":         "",
		"2603:1030::1":         "",
		"10.1.2.3":             "warn callback: resolves to 10.1.2.3",
		"192.168.0.1 8.8.8.8":  "warn callback: resolves to 192.168.0.1 here",
		"127.0.0.1":            "warn callback: 127.0.0.1",
		"::1":                  "warn callback: ::1",
		"fd00::1":              "warn callback: fd00::1",
		"169.254.1.1":          "warn callback: 169.254.1.1",
		"100.64.0.1":           "warn callback: 100.64.0.1",
		"::ffff:10.0.0.1":      "warn callback: 10.0.0.1",
		"0.0.0.0 172.16.0.100": "warn callback: 0.0.0.0, 172.16.0.100",
	} {
		var addrs []netip.Addr
		for a := range strings.FieldsSeq(text) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		var expected []string
		if want != "" {
			expected = []string{want}
		}
		assertFindings(t, judgeAddresses("calls.contoso.com", addrs), expected...)
	}
}

func TestWhoIsAtTheCallbackURL(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html"}}
	for _, row := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   string
	}{
		{"our endpoint", 401, http.Header{"Www-Authenticate": {"Bearer"}}, "token refused: noToken\n", "ok callback: leads to our endpoint"},
		{"our endpoint on another path", 404, nil, "no such path\n", "FAIL callback: with another path"},
		{"our endpoint, full", 503, nil, "too many connections\n", "FAIL callback: too many connections"},
		{"a login in front", 401, html, "<html>", "FAIL callback: in front of our endpoint answers 401"},
		{"a firewall", 403, html, "<html>", "FAIL callback: answers 403"},
		{"a redirect", 308, http.Header{"Location": {"https://www.contoso.com/"}}, "", "FAIL callback: redirects (308) to https://www.contoso.com/"},
		{"a proxy without a backend", 502, html, "", "FAIL callback: nobody is behind it"},
		{"an ingress without a backend", 503, html, "", "FAIL callback: nobody is behind it"},
		{"somebody else", 200, html, "welcome", "FAIL callback: somebody else answers there (200)"},
		{"nothing of the kind", 404, html, "not found", "FAIL callback: somebody else answers there (404)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			assertFindings(t, []Finding{judgeEndpoint("https://x/v1/notifications", row.status, row.header, []byte(row.body))}, row.want)
		})
	}
}

// noStore is for a receiver that refuses everything.
type noStore struct{}

func (noStore) Append(context.Context, commands.Event, string) error { return errors.New("none") }

type noAuth struct{}

func (noAuth) Verify(context.Context, string, bool) (callbacks.Claims, error) {
	return callbacks.Claims{}, callbacks.RefusedNoToken
}

// receive runs our endpoint over TLS and returns its host and port.
func receive(t *testing.T, base string, pair tls.Certificate) string {
	t.Helper()
	r, err := callbacks.NewReceiver(callbacks.Options{BasePath: base, Auth: noAuth{}, Store: noStore{},
		Lookup: func(context.Context, string) (commands.CallKey, bool, error) { return commands.CallKey{}, false, nil }})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(r)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// TestTheCallbackURL asks real endpoints.
func TestTheCallbackURL(t *testing.T) {
	t.Parallel()
	root := newCA(t, "Public Root", nil)
	pair := func(left time.Duration) tls.Certificate {
		cert, key := root.leaf("127.0.0.1", left)
		return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
	}
	sound := receive(t, "", pair(24*365*time.Hour))
	deeper := receive(t, "/hooks", pair(24*365*time.Hour))
	expired := receive(t, "", pair(-time.Minute))
	silent := "https://" + listen(t).Addr().String()
	closed := closedPort(t)
	simulated, real := &graph.Options{BaseURL: "http://127.0.0.1:1/v1.0"}, &graph.Options{}
	private := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
	}
	unknown := func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	for _, row := range []struct {
		name    string
		url     string
		graph   *graph.Options
		resolve func(context.Context, string) ([]netip.Addr, error)
		want    []string
	}{
		{"everything on this machine", "https://" + sound, simulated, nil, []string{"ok callback: the certificate for 127.0.0.1", "ok callback: leads to our endpoint"}},
		{"a path of its own", "https://" + deeper + "/hooks/", simulated, nil, []string{"ok callback", "ok callback: /hooks/v1/notifications"}},
		{"another path", "https://" + deeper + "/other", simulated, nil, []string{"ok callback", "FAIL callback: with another path"}},
		{"an expired certificate hides nobody", "https://" + expired, simulated, nil, []string{"FAIL callback: expired", "ok callback: leads to our endpoint"}},
		{"a loopback address for the real Graph", "https://" + sound, real, nil, []string{"warn callback: 127.0.0.1", "ok callback", "ok callback"}},
		{"nobody there, on this machine", "http://" + closed, simulated, nil, []string{"FAIL callback: refused"}},
		{"nobody there", "https://" + closed, real, nil, []string{"warn callback: 127.0.0.1", "warn callback: this proves nothing"}},
		{"somebody who says nothing", silent, real, nil, []string{"warn callback", "warn callback: curl -i -X POST " + silent + "/v1/notifications` must answer 401"}},
		{"a private address", "https://calls.invalid", real, private, []string{"warn callback: calls.invalid resolves to 10.0.0.1", "warn callback: this proves nothing"}},
		{"an unknown name", "https://calls.invalid", real, unknown, []string{"warn callback: cannot be resolved here", "warn callback: this proves nothing"}},
		{"a URL with a password", "https://me:hunter2@" + sound, simulated, nil, []string{"ok callback", "ok callback: https://me:xxxxx@"}},
		{"no URL", "", real, nil, []string{"skip callback"}},
		{"what is none", "calls.contoso.com", real, nil, []string{"skip callback"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := &examination{Options: Options{CallbackURL: row.url, Graph: row.graph, Roots: root.pool, Resolve: row.resolve, Limit: time.Second}.withDefaults()}
			found := x.callback(t.Context())
			assertFindings(t, found, row.want...)
			if strings.Contains(listed(found), "hunter2") {
				t.Errorf("the password is shown:\n%s", listed(found))
			}
		})
	}
}
