package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/ports"
	"callbus/internal/streams"
)

// runDoctor runs "worker doctor" as an operator does beside a worker: as another
// process with the worker's environment, some of it changed.
func runDoctor(t *testing.T, env []string, args ...string) ended {
	t.Helper()
	p := startProcess(t, env, append([]string{"doctor"}, args...)...)
	select {
	case <-p.ended:
	case <-time.After(2 * patience):
		t.Fatalf("doctor has not ended after %s", 2*patience)
	}
	got := ended{p.cmd.ProcessState.ExitCode(), p.out.String(), p.err.String()}
	for _, secret := range []string{clientSecret, "eyJ", "hunter2"} {
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("doctor shows %q:\n%s%s", secret, got.out, got.err)
		}
	}
	return got
}

// notOK are the lines of a report that are not ok, without what they say.
func notOK(report string) (heads []string) {
	for line := range strings.Lines(report) {
		if words := strings.Fields(line); slices.Contains([]string{"warn", "FAIL", "skip"}, words[0]) {
			heads = append(heads, words[0]+" "+words[1])
		}
	}
	return heads
}

// TestDoctorFindsNothing beside a worker that has everything: three NATS servers,
// tokens from an authority, an endpoint with TLS.
func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	cluster, err := embednats.StartCluster(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	sim, err := graphsim.Start(t.Context(), graphsim.Options{AppID: clientID, ClientSecret: clientSecret}, "", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	shown, key, root := newEndpointCertificate(t, 365*24*time.Hour)
	trusted := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(trusted, append(slices.Clone(sim.CAPEM()), root...), 0o600); err != nil {
		t.Fatal(err)
	}
	callbacks := keptPort(t)
	env := []string{
		"SSL_CERT_FILE=" + trusted, "AZURE_AUTHORITY_HOST=" + sim.AuthorityURL(), "AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_ID=" + clientID, "AZURE_CLIENT_SECRET=" + clientSecret,
		"NATS_URL=" + cluster.URL(), "CALLBUS_STREAM_REPLICAS=3", "CALLBUS_GRAPH_URL=" + sim.GraphURL(), "CALLBUS_AZURE_CREDENTIAL=environment", "CALLBUS_ALLOW_PHONE=+49",
		"CALLBUS_CALLBACK_URL=https://" + callbacks, "CALLBUS_CALLBACK_LISTEN=" + callbacks, "CALLBUS_CALLBACK_TLS_CERT=" + shown, "CALLBUS_CALLBACK_TLS_KEY=" + key,
		"CALLBUS_CALLBACK_OIDC_URL=" + sim.OIDCURL(), "CALLBUS_CALLBACK_ISSUER=" + sim.Issuer(), "CALLBUS_METRICS_LISTEN=127.0.0.1:0",
	}
	worker := startProcess(t, env)
	worker.printed(&worker.err, `(?m)^(.*"msg":"worker started".*)$`)

	// Replicas may catch up for a moment after their streams were made.
	var got ended
	worker.eventually("nothing to be found", func() bool {
		got = runDoctor(t, env)
		return len(notOK(got.out)) == 0
	})
	if got.code != 0 || got.err != "" {
		t.Errorf("exit %d, %q; want 0 and nothing on standard error\n%s", got.code, got.err, got.out)
	}
	for _, check := range []string{"settings", "nats", "durability", "streams", "queue", "dead", "rights", "budgets", "token", "graph", "callback", "keys", "clock"} {
		if !strings.Contains(got.out, "ok    "+check) {
			t.Errorf("no line for %s:\n%s", check, got.out)
		}
	}
	t.Logf("\n%s", got.out)

	var report struct {
		Failed   int
		Warned   int
		Findings []struct{ Check, State, Found, Do string }
	}
	got = runDoctor(t, env, "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &report); err != nil || got.code != 0 || report.Failed+report.Warned != 0 || len(report.Findings) < 13 {
		t.Errorf("exit %d, %v, %s; want the same as JSON", got.code, err, got.out)
	}
}

// newEndpointCertificate writes a certificate for 127.0.0.1 and its key; it vouches
// for itself.
func newEndpointCertificate(t *testing.T, left time.Duration) (certFile, keyFile string, pem []byte) {
	t.Helper()
	certPEM, keyPEM := selfSigned(t, left)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, text := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, certPEM
}

// TestDoctorInBrokenSurroundings: each gives exactly its lines and exit code,
// beside those of one NATS server that keeps everything.
func TestDoctorInBrokenSurroundings(t *testing.T) {
	t.Parallel()
	o := openOffice(t, graphsim.Options{ClientSecret: clientSecret}, "AZURE_CLIENT_SECRET="+clientSecret, "CALLBUS_ALLOW_PHONE=+49")
	o.eventually("ready", o.ready)
	endpoint := o.setting("CALLBUS_CALLBACK_URL")

	otherSim := func(t *testing.T, so graphsim.Options) []string {
		so.AppID = clientID
		sim, err := graphsim.Start(t.Context(), so, "", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sim.Close)
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, sim.CAPEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"SSL_CERT_FILE=" + ca, "AZURE_AUTHORITY_HOST=" + sim.AuthorityURL(), "CALLBUS_GRAPH_URL=" + sim.GraphURL()}
	}
	env := func(lines ...string) func(*testing.T) []string { return func(*testing.T) []string { return lines } }
	late := func(by time.Duration) func(*testing.T) []string {
		return func(t *testing.T) []string {
			return []string{"CALLBUS_GRAPH_URL=" + forward(t, o.sim.URL(), nil, func(r *http.Response) error {
				r.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
				return nil
			}) + "/v1.0"}
		}
	}
	const noNATS = "FAIL nats|skip durability|skip streams|skip queue|skip dead|skip rights|skip budgets"
	const noJetStream = "FAIL nats|skip durability|skip streams|skip queue|skip dead|skip budgets"
	for _, row := range []struct {
		name   string
		change func(*testing.T) []string
		code   int
		lines  string
		says   []string
	}{
		{"nothing but one server", env(), 0, "warn durability", []string{"sync_interval: always", "worker"}},
		{"NATS down", env("NATS_URL=nats://127.0.0.1:1"), 1, noNATS, []string{"no NATS server at nats://127.0.0.1:1", "--nats-url"}},
		{"NATS without JetStream", func(t *testing.T) []string {
			return []string{"NATS_URL=" + server(t, embednats.Options{NoJetStream: true})}
		}, 1, noJetStream, []string{"JetStream is not enabled on server"}},
		{"NATS before 2.12", func(t *testing.T) []string { return []string{"NATS_URL=" + oldServer(t)} }, 1, noJetStream, []string{"server 2.12 or newer"}},
		{"credentials of NATS that are not there", env("NATS_CREDS=" + filepath.Join(t.TempDir(), "none")), 1, noNATS, []string{"cannot be read", "--nats-creds"}},
		{"nothing provisioned", func(t *testing.T) []string { return []string{"NATS_URL=" + server(t, embednats.Options{})} }, 0,
			"skip durability|warn streams|skip queue|skip dead|skip budgets", []string{"none of the streams exists yet"}},
		{"a stream is missing", func(t *testing.T) []string { return []string{"NATS_URL=" + withoutEvents(t)} }, 1, "warn durability|FAIL streams", []string{"stream CALL_EVENTS is missing", "worker provision"}},
		{"a stream that differs", env("CALLBUS_EVENTS_MAX_AGE=1h"), 1, "warn durability|FAIL streams", []string{"max_age is 168h0m0s, want 1h0m0s", "--streams=reconcile"}},
		{"a wrong secret", env("AZURE_CLIENT_SECRET=hunter2"), 1, "warn durability|FAIL token|skip graph", []string{"AADSTS7000215", "not its id", "there is no token"}},
		{"an authority that is down", env("AZURE_AUTHORITY_HOST=https://127.0.0.1:1"), 1, "warn durability|FAIL token|skip graph", []string{"the way to the authority"}},
		{"a token without the role", func(t *testing.T) []string {
			return otherSim(t, graphsim.Options{Roles: []string{"Presence.Read.All"}})
		}, 1,
			"warn durability|FAIL token", []string{"roles are Presence.Read.All, without Calls.Initiate.All", "admin consent"}},
		{"a token for somebody else", func(t *testing.T) []string {
			return otherSim(t, graphsim.Options{TokenAudience: "https://vault.azure.net"})
		}, 1,
			"warn durability|FAIL token|FAIL graph", []string{"is for https://vault.azure.net", "unauthorized: HTTP 401"}},
		{"a token of another cloud", env("CALLBUS_CLOUD=usgov", "CALLBUS_GRAPH_URL="+o.sim.GraphURL()), 0, "warn durability", nil},
		{"Graph down", env("CALLBUS_GRAPH_URL=http://127.0.0.1:1/v1.0"), 1, "warn durability|FAIL graph", []string{"connectFailed", "the way to Graph"}},
		{"a version that Graph does not have", env("CALLBUS_GRAPH_URL=" + o.sim.URL() + "/beta"), 0, "warn durability|warn graph", []string{"404 ResourceNotFound", "--graph-url"}},
		{"a clock that is seconds off", late(20 * time.Second), 0, "warn durability|warn clock", []string{"behind Graph"}},
		{"a clock that is minutes off", late(-10 * time.Minute), 1, "warn durability|FAIL clock", []string{"ahead of Graph", "NTP"}},
		{"callbacks unreachable", env("CALLBUS_CALLBACK_URL=http://" + keptPort(t)), 1, "warn durability|FAIL callback", []string{"connection refused"}},
		{"callbacks with an expired certificate", func(t *testing.T) []string {
			return []string{"CALLBUS_CALLBACK_URL=" + forward(t, endpoint, expiredPair(t), nil)}
		}, 1, "warn durability|FAIL callback", []string{"expired 1m", "leads to our endpoint"}},
		{"callbacks answered by somebody else", func(t *testing.T) []string {
			srv := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(srv.Close)
			return []string{"CALLBUS_CALLBACK_URL=" + srv.URL}
		}, 1, "warn durability|FAIL callback", []string{"somebody else answers there (404)"}},
		{"keys that cannot be had", env("CALLBUS_CALLBACK_OIDC_URL=http://127.0.0.1:1/keys"), 1, "warn durability|FAIL keys", []string{"--callback-oidc-url"}},
		{"another issuer", env("CALLBUS_CALLBACK_ISSUER=https://api.botframework.com"), 0, "warn durability|warn keys", []string{"--callback-issuer"}},
		{"settings that a worker refuses", env("CALLBUS_CONCURRENCY=0", "CALLBUS_CALLBACK_URL=", "CALLBUS_ALLOW_PHONE="), 1,
			"FAIL settings|FAIL settings|warn settings|warn durability|skip callback", []string{"--concurrency is 0: want 1 to 4096", "--callback-url is missing", "every phone number"}},
		{"a credential that lacks its secret", env("AZURE_CLIENT_SECRET="), 1, "FAIL settings|warn durability|skip token|skip graph|warn callback", []string{"--azure-credential=environment"}},
		{"routes and traces that a worker refuses", env("CALLBUS_INCOMING_ROUTE="+tenant+"=_x", "OTEL_TRACES_EXPORTER=paper"), 1, "FAIL settings|FAIL settings|warn durability", []string{"--incoming-route", "OTEL_TRACES_EXPORTER"}},
		{"a receiver", env("CALLBUS_ROLE=receiver", "AZURE_CLIENT_SECRET="), 0, "warn durability|skip budgets|skip token|skip graph|warn callback", []string{"a receiver needs none"}},
		{"nothing at all", env("NATS_URL=nats://127.0.0.1:1", "CALLBUS_GRAPH_URL=http://127.0.0.1:1/v1.0", "AZURE_AUTHORITY_HOST=https://127.0.0.1:1", "CALLBUS_CALLBACK_URL=http://127.0.0.1:1", "CALLBUS_CALLBACK_OIDC_URL=http://127.0.0.1:1/keys"),
			1, noNATS + "|FAIL token|FAIL graph|FAIL callback|FAIL keys|skip clock", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := runDoctor(t, append(slices.Clone(o.cmd.Env), row.change(t)...))
			if diff := cmp.Diff(strings.Split(row.lines, "|"), notOK(got.out)); diff != "" || got.code != row.code {
				t.Errorf("exit %d; want %d; lines that are not ok (-want +got):\n%s\n%s", got.code, row.code, diff, got.out)
			}
			for _, say := range row.says {
				if !strings.Contains(got.out, say) {
					t.Errorf("nothing says %q:\n%s", say, got.out)
				}
			}
			if row.code != 0 {
				assertOneLine(t, got.err)
			} else if got.err != "" {
				t.Errorf("standard error = %q; want nothing", got.err)
			}
		})
	}
}

// keptPort is an address where nobody listens but who names it, until the test ends.
func keptPort(t *testing.T) string {
	t.Helper()
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

// setting is a variable of the worker's environment.
func (p *process) setting(name string) (value string) {
	for _, line := range p.cmd.Env {
		if v, is := strings.CutPrefix(line, name+"="); is {
			value = v
		}
	}
	return value
}

// forward stands in front of a server, over TLS with a certificate, and may change
// its answers.
func forward(t *testing.T, to string, pair *tls.Certificate, change func(*http.Response) error) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	srv := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: transport, ModifyResponse: change,
	})
	if pair == nil {
		srv.Start()
	} else {
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{*pair}}
		srv.StartTLS()
	}
	t.Cleanup(srv.Close)
	return srv.URL
}

func expiredPair(t *testing.T) *tls.Certificate {
	t.Helper()
	cert, key := selfSigned(t, -time.Minute)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// withoutEvents is a server that has lost a stream.
func withoutEvents(t *testing.T) string {
	t.Helper()
	url := server(t, embednats.Options{})
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		o := streams.DefaultOptions()
		o.AckWait = 5 * time.Second // as the office's
		_, err = streams.Provision(t.Context(), js, o, streams.ModeCreate, false)
	}
	if err == nil {
		err = js.DeleteStream(t.Context(), "CALL_EVENTS")
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}
