package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"callbus/internal/callbacks"
)

// callback does at the public URL what Graph does, without a token, and looks
// whether it is our endpoint that refuses.
func (x *examination) callback(ctx context.Context) []Finding {
	const check = "callback"
	base, err := url.Parse(strings.TrimRight(x.CallbackURL, "/"))
	if err != nil || base.Host == "" {
		return skipped("the settings name no URL", check)
	}
	target := base.String() + callbacks.WebhookPath
	shown := base.Redacted() + callbacks.WebhookPath
	found := x.within(ctx, func(ctx context.Context) []Finding { return x.resolve(ctx, base.Hostname()) })
	return append(found, x.within(ctx, func(ctx context.Context) []Finding { return x.post(ctx, base, target, shown) })...)
}

// resolve tells of a name that leads to where Graph cannot go.
func (x *examination) resolve(ctx context.Context, host string) []Finding {
	const check = "callback"
	if x.developing(host) {
		return nil
	}
	var addrs []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{ip}
	} else if addrs, err = x.Resolve(ctx, host); err != nil {
		return []Finding{warn(check, "look the name up from outside: `nslookup "+host+" 1.1.1.1`; Graph has to find it", "the name %s cannot be resolved here: %v", host, err)}
	}
	return judgeAddresses(host, addrs)
}

// developing tells whether everything is on this machine: then Graph, which is
// simulated, reaches a loopback address.
func (x *examination) developing(host string) bool {
	if x.Graph == nil || !loopback(host) {
		return false
	}
	u, err := url.Parse(x.Graph.BaseURL)
	return err == nil && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func judgeAddresses(host string, addrs []netip.Addr) []Finding {
	var private []string
	for _, a := range addrs {
		a = a.Unmap()
		if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || sharedSpace.Contains(a) {
			private = append(private, a.String())
		}
	}
	if len(private) == 0 {
		return nil
	}
	return []Finding{warn("callback", "give --callback-url a public name; where only this network resolves it so, look it up from outside: `nslookup "+host+" 1.1.1.1`",
		"%s resolves to %s here, which Graph cannot reach", host, strings.Join(private, ", "))}
}

// sharedSpace is behind carriers' translators (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// post asks the endpoint. The certificate is looked at afterwards, so that one that
// is not valid does not hide who answers.
func (x *examination) post(ctx context.Context, base *url.URL, target, shown string) []Finding {
	var state *tls.ConnectionState
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // nothing is sent that anybody may not know; see judgeCertificate
			VerifyConnection:   func(s tls.ConnectionState) error { state = &s; return nil },
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader("{}"))
	if err != nil {
		return []Finding{fail("callback", "correct --callback-url", "%s: %v", shown, err)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "callbus-doctor")
	resp, err := transport.RoundTrip(req)
	var found []Finding
	if state != nil {
		found = x.judgeCertificate(base.Hostname(), state.PeerCertificates)
	}
	if err != nil {
		return append(found, judgeSilence(shown, x.developing(base.Hostname()), err))
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what there is of it will do
	return append(found, judgeEndpoint(shown, resp.StatusCode, resp.Header, body))
}

const fromOutside = "from a machine outside of this network `curl -i -X POST %s` must answer 401 and say \"token refused: noToken\""

// judgeSilence is for an endpoint that cannot be reached from here.
func judgeSilence(shown string, developing bool, err error) Finding {
	if developing {
		return fail("callback", "start a worker or receiver, or correct --callback-url", "%s: %v", shown, err)
	}
	return warn("callback", strings.ReplaceAll(fromOutside, "%s", shown),
		"%s cannot be reached from here: %v; this proves nothing, for many networks do not lead back in", shown, err)
}

// judgeEndpoint tells who answered a POST without a token.
func judgeEndpoint(shown string, status int, header http.Header, body []byte) Finding {
	const check = "callback"
	switch callbacks.WhoAnswered(status, header, body) {
	case callbacks.Ours:
		return ok(check, "%s leads to our endpoint from here; whether it does for Microsoft, callbus_calls_silent_total tells", shown)
	case callbacks.OursElsewhere:
		return fail(check, "let the proxy leave the path as it is, or take away nothing but the path of --callback-url", "%s leads to our endpoint, but with another path", shown)
	case callbacks.OursFull:
		return fail(check, "find out who holds connections open, or raise --callback-max-connections", "%s: our endpoint has too many connections", shown)
	}
	switch {
	case status >= 300 && status < 400:
		return fail(check, "give --callback-url the address that it leads to: Graph does not follow", "%s redirects (%d) to %s", shown, status, orUnknown(header.Get("Location")))
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return fail(check, "look whether receivers are ready, and at the proxy's route to them", "%s: a proxy answers %d, nobody is behind it", shown, status)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fail(check, "let requests without a login pass: the endpoint checks Graph's token by itself", "%s: something in front of our endpoint answers %d", shown, status)
	}
	return fail(check, "correct --callback-url, or the proxy's route", "%s: somebody else answers there (%d)", shown, status)
}

// judgeCertificate holds what the endpoint shows against what Microsoft wants: a
// chain to a public root, for the name, in its time.
func (x *examination) judgeCertificate(host string, chain []*x509.Certificate) []Finding {
	const check = "callback"
	if len(chain) == 0 {
		return nil
	}
	leaf, between := chain[0], x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	now := x.Now()
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Intermediates: between, Roots: x.Roots, CurrentTime: now})
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	const renew = "renew it"
	switch {
	case now.After(leaf.NotAfter):
		return []Finding{fail(check, renew+": Graph does not send to an endpoint whose certificate is not valid", "the certificate for %s expired %s, on %s", host, ago(now, leaf.NotAfter), stamp(leaf.NotAfter))}
	case now.Before(leaf.NotBefore):
		return []Finding{fail(check, "look at the line about clocks", "the certificate for %s is valid only from %s on", host, stamp(leaf.NotBefore))}
	case isUnknown && len(chain) == 1:
		return []Finding{fail(check, "use a certificate of a public CA, and have the endpoint show its intermediates too", "the certificate for %s, of %s, leads to no root that is trusted here, and no intermediate comes with it", host, issuerOf(leaf))}
	case isUnknown:
		return []Finding{fail(check, "use a certificate of a public CA", "the certificate for %s, of %s, leads to no root that is trusted here", host, issuerOf(leaf))}
	case err != nil:
		return []Finding{fail(check, "use a certificate of a public CA for that name", "the certificate for %s: %v", host, err)}
	}
	left := leaf.NotAfter.Sub(now)
	text := "the certificate for " + host + ", of " + issuerOf(leaf) + ", is valid for another " + days(left)
	if own := ownRoots(); own != "" {
		text += "; " + own + " adds roots here that Microsoft may not know"
	}
	if left < expiresSoon {
		return []Finding{warn(check, renew, "%s", text)}
	}
	return []Finding{ok(check, "%s", text)}
}

func issuerOf(c *x509.Certificate) string {
	if name := slices.Concat(c.Issuer.Organization, []string{c.Issuer.CommonName})[0]; name != "" {
		return name
	}
	return "an issuer without a name"
}

// ownRoots names the variable that changes which roots are trusted.
func ownRoots() string {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}
