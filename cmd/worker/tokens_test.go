package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/ports"
)

const (
	clientID     = "00001111-aaaa-2222-bbbb-3333cccc4444"
	clientSecret = "~the-secret-of-the-app~"
	tenant       = graphsim.DefaultTenantID
)

func decodeResult(data []byte) (r commands.Result, err error) { return r, json.Unmarshal(data, &r) }

// office is a worker process that gets its tokens as in production: azidentity
// asks an authority over TLS, which here is the simulator's.
type office struct {
	*producer
	sim     *graphsim.Server
	metrics string // address
}

// openOffice starts the program without any argument, which means serve, and
// with every setting in the environment.
func openOffice(t *testing.T, o graphsim.Options, credential ...string) *office {
	t.Helper()
	url := server(t, embednats.Options{})
	o.AppID, o.AnswerAfter = clientID, 20*time.Millisecond
	sim, err := graphsim.Start(t.Context(), o, "", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, sim.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	callbacks, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	p := startProcess(t, append([]string{
		"SSL_CERT_FILE=" + ca, "AZURE_AUTHORITY_HOST=" + sim.AuthorityURL(), "AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_ID=" + clientID,
		"NATS_URL=" + url, "CALLBUS_GRAPH_URL=" + sim.GraphURL(), "CALLBUS_AZURE_CREDENTIAL=environment",
		"CALLBUS_GRAPH_TIMEOUT=3s", "CALLBUS_ACK_WAIT=5s",
		"CALLBUS_CALLBACK_URL=http://" + callbacks, "CALLBUS_CALLBACK_LISTEN=" + callbacks,
		"CALLBUS_CALLBACK_OIDC_URL=" + sim.OIDCURL(), "CALLBUS_CALLBACK_ISSUER=" + sim.Issuer(),
		"CALLBUS_METRICS_LISTEN=127.0.0.1:0", "CALLBUS_WORKER_NAME=office",
	}, credential...))
	started := p.printed(&p.err, `(?m)^(.*"msg":"worker started".*)$`)
	var line struct{ Metrics string }
	if err := json.Unmarshal([]byte(started), &line); err != nil {
		t.Fatal(err)
	}
	return &office{p.producer(url), sim, line.Metrics}
}

// close stops the worker, which must end cleanly and must not have shown its
// credentials.
func (o *office) close() {
	o.t.Helper()
	if code, took := o.stop(syscall.SIGTERM); code != 0 || took > 10*time.Second {
		o.t.Errorf("exit %d after %s; want 0 soon", code, took)
	}
	for _, text := range []string{o.out.String(), o.err.String()} {
		for _, secret := range []string{clientSecret, "eyJ", "Bearer "} {
			if strings.Contains(text, secret) {
				o.t.Errorf("output shows %q:\n%s", secret, text)
			}
		}
	}
}

// issued is how many tokens the authority has given out.
func (o *office) issued() int { return o.sim.Sim.Stats().Tokens[tenant] }

func (o *office) faults(list ...graphsim.Fault) {
	o.t.Helper()
	if err := o.sim.Sim.SetFaults(list...); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) ready() bool {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, "http://"+o.metrics+"/readyz", nil)
	if err != nil {
		o.t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		o.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// aCall is placed, looked at and hung up, each with a token.
func (o *office) aCall(callRef string) {
	o.t.Helper()
	o.want(o.send(callRef, "p", commands.Place, toUser))
	o.want(o.send(callRef, "g", commands.GetCall, ""))
	o.want(o.send(callRef, "h", commands.Hangup, ""))
}

// outage is what Microsoft Entra answers when it is down.
var outage = graphsim.Fault{Operation: "token", Status: http.StatusServiceUnavailable}

// TestACallWithTokensFromTheAuthority: one token serves a whole call, and Graph
// knows the app by it.
func TestACallWithTokensFromTheAuthority(t *testing.T) {
	t.Parallel()
	path, certificate := newCertificate(t)
	for _, row := range []struct {
		name       string
		sim        graphsim.Options
		credential string
	}{
		{"with a secret", graphsim.Options{ClientSecret: clientSecret}, "AZURE_CLIENT_SECRET=" + clientSecret},
		{"with a certificate", graphsim.Options{ClientCertificate: certificate}, "AZURE_CLIENT_CERTIFICATE_PATH=" + path},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o := openOffice(t, row.sim, row.credential)
			o.eventually("ready", o.ready)
			o.aCall("a")
			if n := o.issued(); n != 1 {
				t.Errorf("%d tokens issued; want 1 for the whole call", n)
			}
			for _, r := range o.sim.Sim.Requests() {
				if r.AppID != clientID || r.Status >= 400 {
					t.Errorf("%s %s by app %q was answered %d; want our app and a success", r.Method, r.Path, r.AppID, r.Status)
				}
			}
			o.close()
		})
	}
}

// newCertificate writes an app's certificate and key as azidentity reads them.
func newCertificate(t *testing.T) (path string, certificate *x509.Certificate) {
	t.Helper()
	certPEM, keyPEM := selfSigned(t, time.Hour)
	text := append(keyPEM, certPEM...)
	path = filepath.Join(t.TempDir(), "app.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(certPEM)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return path, certificate
}

// selfSigned makes a certificate that vouches for itself, good for an app and for a
// server on 127.0.0.1, and its key, as PEM. It ends after left.
func selfSigned(t *testing.T, left time.Duration) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "callbus"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(left),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// TestAWrongSecret: the worker starts, is not ready, says Entra's own words,
// and holds its commands instead of failing them.
func TestAWrongSecret(t *testing.T) {
	t.Parallel()
	o := openOffice(t, graphsim.Options{ClientSecret: "another"}, "AZURE_CLIENT_SECRET="+clientSecret)
	o.printed(&o.err, `(AADSTS7000215: Invalid client secret provided)`)
	waits := o.send("a", "p", commands.Place, toUser)
	o.reaches(waits, "waiting", func(r commands.Result) bool { return r.Status == commands.Waiting })
	if o.ready() {
		t.Error("the worker is ready without a token")
	}
	if n := o.sim.Sim.Stats().Total; n != 0 {
		t.Errorf("Graph saw %d requests without a token; want none", n)
	}
	o.close()
}

// TestTokensAreRenewed: tokens of three seconds are replaced while commands go
// on, none of which Graph refuses; and not one is fetched for every request.
func TestTokensAreRenewed(t *testing.T) {
	t.Parallel()
	o := openOffice(t, graphsim.Options{ClientSecret: clientSecret, TokenLifetime: 3 * time.Second}, "AZURE_CLIENT_SECRET="+clientSecret)
	o.want(o.send("a", "p", commands.Place, toUser))
	asked := 0
	o.eventually("a third token", func() bool {
		asked++
		o.want(o.send("a", fmt.Sprintf("g%d", asked), commands.GetCall, ""))
		return o.issued() >= 3
	})
	if n := o.issued(); asked < 2*n {
		t.Errorf("%d tokens for %d requests; want them kept", n, asked)
	}
	for _, r := range o.sim.Sim.Requests() {
		if r.Status == http.StatusUnauthorized {
			t.Errorf("%s %s met an expired token", r.Method, r.Path)
		}
	}
	o.close()
}

// TestAnOutageWithAGoodToken disturbs nothing, even when the token is due for
// renewal and the authority was asked for another.
func TestAnOutageWithAGoodToken(t *testing.T) {
	t.Parallel()
	o := openOffice(t, graphsim.Options{ClientSecret: clientSecret, TokenRefreshIn: time.Second}, "AZURE_CLIENT_SECRET="+clientSecret)
	o.eventually("ready", o.ready)
	first := outage
	first.Count = 1
	o.faults(first, outage)

	calls := 0
	o.eventually("a renewal that fails", func() bool {
		calls++
		o.aCall(fmt.Sprintf("call-%d", calls))
		return len(o.sim.Sim.Faults()) == 1
	})
	o.aCall("afterwards")
	if n := o.issued(); n != 1 || !o.ready() {
		t.Errorf("%d tokens, ready: %t; want the first one, and the worker ready", n, o.ready())
	}
	o.close()
}

// TestAnOutageWithoutAGoodToken: commands wait, nothing is sent, and they go on
// by themselves when the authority is back.
func TestAnOutageWithoutAGoodToken(t *testing.T) {
	t.Parallel()
	waiting := func(r commands.Result) bool { return r.Status == commands.Waiting }
	t.Run("from the start", func(t *testing.T) {
		t.Parallel()
		o := openOffice(t, graphsim.Options{ClientSecret: clientSecret, Faults: []graphsim.Fault{outage}}, "AZURE_CLIENT_SECRET="+clientSecret)
		place := o.send("a", "p", commands.Place, toUser)
		o.reaches(place, "waiting", waiting)
		if n := o.sim.Sim.Stats().Total; n != 0 || o.ready() {
			t.Errorf("Graph saw %d requests, ready: %t; want none, and the worker not ready", n, o.ready())
		}
		o.faults()
		o.want(place)
		o.eventually("ready", o.ready)
		if n := o.sim.Sim.Stats().Calls.Created; n != 1 {
			t.Errorf("%d calls; want 1", n)
		}
		o.close()
	})
	t.Run("when the token has expired", func(t *testing.T) {
		t.Parallel()
		o := openOffice(t, graphsim.Options{ClientSecret: clientSecret, TokenLifetime: 2 * time.Second}, "AZURE_CLIENT_SECRET="+clientSecret)
		o.want(o.send("first", "p", commands.Place, toUser))
		o.faults(outage)
		var last commands.Key
		calls := 0
		o.eventually("a command that waits", func() bool {
			calls++
			last = o.send(fmt.Sprintf("call-%d", calls), "p", commands.Place, toUser)
			return o.reaches(last, "waiting or final", func(r commands.Result) bool { return waiting(r) || r.Final }).Status == commands.Waiting
		})
		o.faults()
		o.want(last)
		if n := o.sim.Sim.Stats().Calls.Created; n != calls+1 {
			t.Errorf("%d calls; want %d, each dialled once", n, calls+1)
		}
		o.close()
	})
}

// TestARefusedTokenIsReplacedOnce: after a 401 one new token is fetched and the
// request sent once more with it; a 401 that stays does not hammer the authority.
func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	refusal := graphsim.Fault{Operation: "createCall", Status: http.StatusUnauthorized, Code: "InvalidAuthenticationToken"}
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		o := openOffice(t, graphsim.Options{ClientSecret: clientSecret}, "AZURE_CLIENT_SECRET="+clientSecret)
		o.eventually("ready", o.ready)
		one := refusal
		one.Count = 1
		o.faults(one)
		r := o.want(o.send("a", "p", commands.Place, toUser))
		if n := o.issued(); n != 2 || r.Attempts != 1 || created(o) != 2 {
			t.Errorf("%d tokens, %d attempts, %d requests; want 2, 1 and 2", n, r.Attempts, created(o))
		}
		o.close()
	})
	t.Run("again and again", func(t *testing.T) {
		t.Parallel()
		o := openOffice(t, graphsim.Options{ClientSecret: clientSecret}, "AZURE_CLIENT_SECRET="+clientSecret)
		o.eventually("ready", o.ready)
		o.faults(refusal)
		place := o.send("a", "p", commands.Place, toUser)
		o.reaches(place, "waiting after a second attempt", func(r commands.Result) bool { return r.Status == commands.Waiting && r.Attempts >= 2 })
		if n := o.issued(); n > 3 {
			t.Errorf("%d tokens; want no more than one in five seconds", n)
		}
		o.faults()
		o.want(place)
		if n := o.sim.Sim.Stats().Calls.Created; n != 1 {
			t.Errorf("%d calls; want 1", n)
		}
		o.close()
	})
}

// created counts the requests to create a call.
func created(o *office) (n int) {
	for _, r := range o.sim.Sim.Requests() {
		if r.Operation == "createCall" {
			n++
		}
	}
	return n
}
