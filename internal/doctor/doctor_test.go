package doctor

import (
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/embednats"
	"callbus/internal/graph"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
	"callbus/internal/streams"
)

const secret = "~the-secret-of-the-app~"

// healthy are surroundings in which nothing is wrong but that one NATS server
// keeps everything.
func healthy(t *testing.T, sim graphsim.Options) (Options, *graphsim.Server) {
	t.Helper()
	url := serve(t, embednats.Options{})
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = streams.Provision(t.Context(), js, streams.DefaultOptions(), streams.ModeCreate, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	sim.AppID, sim.ClientSecret = app, secret
	g, err := graphsim.Start(t.Context(), sim, "", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.CACertPool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	credential := graph.CredentialOptions{
		Kind: graph.EnvironmentCredential, Tenants: []string{home, away}, AuthorityHost: g.AuthorityURL(), DisableInstanceDiscovery: true, Transport: transport,
		Getenv: func(name string) string {
			return map[string]string{"AZURE_TENANT_ID": home, "AZURE_CLIENT_ID": app, "AZURE_CLIENT_SECRET": secret}[name]
		},
	}
	root := newCA(t, "Public Root", nil)
	cert, key := root.leaf("127.0.0.1", 365*24*time.Hour)
	return Options{
		NATS: natsconn.ConnOptions{URL: url}, Streams: streams.DefaultOptions(), StreamsMode: streams.ModeVerify, Works: true, Receives: true,
		Graph:   &graph.Options{Cloud: graph.PublicCloud, BaseURL: g.GraphURL(), NewCredential: graph.CredentialFactory(credential), DefaultTenant: home},
		Tenants: []string{home, away}, App: app,
		CallbackURL: "https://" + receive(t, "", tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}), Roots: root.pool,
		OIDCURLs: []string{g.OIDCURL()}, Issuers: []string{g.Issuer()},
		Settings: Settings{Summary: "as a worker's"},
	}, g
}

// notOK is what is not as it should be, as "FAIL check".
func notOK(all []Finding) (heads []string) {
	for _, f := range all {
		if f.State != OK {
			heads = append(heads, string(f.State)+" "+f.Check)
		}
	}
	return heads
}

func TestExamine(t *testing.T) {
	t.Parallel()
	shift := func(d time.Duration) func(*Options, *graphsim.Server) {
		return func(o *Options, _ *graphsim.Server) { o.Now = func() time.Time { return time.Now().Add(d) } }
	}
	fault := func(f graphsim.Fault) func(*Options, *graphsim.Server) {
		return func(o *Options, g *graphsim.Server) {
			o.Limit = 10 * time.Second // far more than a check takes, far less than hangs
			if err := g.Sim.SetFaults(f); err != nil {
				panic(err) // a mistake in the table
			}
		}
	}
	const asEver, hangs = "warn durability", 2 * time.Minute
	for _, row := range []struct {
		name   string
		sim    graphsim.Options
		change func(*Options, *graphsim.Server)
		want   []string
	}{
		{"nothing wrong", graphsim.Options{}, nil, []string{asEver}},
		{"our clock a minute ahead", graphsim.Options{}, shift(time.Minute), []string{asEver, "warn clock", "warn clock", "warn clock", "warn clock"}},
		{"our clock ten minutes behind", graphsim.Options{}, shift(-10 * time.Minute), []string{asEver, "FAIL clock", "FAIL clock", "FAIL clock", "FAIL clock"}},
		{"tokens without the role", graphsim.Options{Roles: []string{"Presence.Read.All"}}, nil, []string{asEver, "FAIL token", "FAIL token"}},
		{"tokens for somebody else", graphsim.Options{TokenAudience: "https://vault.azure.net"}, nil, []string{asEver, "FAIL token", "FAIL token", "FAIL graph", "FAIL graph"}},
		{"one tenant refuses the app", graphsim.Options{}, fault(graphsim.Fault{Operation: "token", TenantID: away, Status: 400}), []string{asEver, "FAIL token", "skip graph"}},
		{"an authority that hangs", graphsim.Options{}, fault(graphsim.Fault{Operation: "token", Delay: hangs}), []string{asEver, "FAIL token", "FAIL token", "skip graph", "skip graph"}},
		{"a Graph that hangs", graphsim.Options{}, fault(graphsim.Fault{Operation: "getCall", Delay: hangs}), []string{asEver, "FAIL graph", "FAIL graph"}},
		{"a Graph that is down", graphsim.Options{}, fault(graphsim.Fault{Operation: "getCall", Status: 503}), []string{asEver, "FAIL graph", "FAIL graph"}},
		{"a Graph that throttles", graphsim.Options{}, fault(graphsim.Fault{Operation: "getCall", Status: 429, RetryAfter: "5"}), []string{asEver, "warn graph", "warn graph"}},
		{"settings that a worker refuses", graphsim.Options{}, func(o *Options, _ *graphsim.Server) {
			o.Settings.Problems, o.Graph = []error{errors.New("--tenant is missing"), errors.New("--x is wrong")}, nil
		}, []string{"FAIL settings", "FAIL settings", asEver, "skip token", "skip graph", "warn callback"}},
		{"a receiver", graphsim.Options{}, func(o *Options, _ *graphsim.Server) { o.Works, o.Graph = false, nil }, []string{asEver, "skip budgets", "skip token", "skip graph", "warn callback"}},
		{"a worker with receivers elsewhere", graphsim.Options{}, func(o *Options, _ *graphsim.Server) { o.Receives = false }, []string{asEver, "skip keys"}},
		{"nothing there at all", graphsim.Options{}, func(o *Options, g *graphsim.Server) {
			o.NATS.URL, o.CallbackURL = "nats://127.0.0.1:1", "http://127.0.0.1:1"
			g.Close()
		}, []string{"FAIL nats", "skip durability", "skip streams", "skip queue", "skip dead", "skip rights", "skip budgets", "FAIL token", "FAIL token", "FAIL graph", "FAIL graph", "FAIL callback", "FAIL keys", "skip clock"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o, g := healthy(t, row.sim)
			if row.change != nil {
				row.change(&o, g)
			}
			began := time.Now()
			found := Examine(t.Context(), o)
			if got := notOK(found); !slices.Equal(got, row.want) {
				t.Errorf("not ok: %v; want %v\n%s", got, row.want, listed(found))
			}
			if took := time.Since(began); o.Limit > 0 && took > hangs/2 {
				t.Errorf("it took %s with a limit of %s", took, o.Limit)
			}
			for _, private := range []string{secret, "eyJ", "Bearer ey"} {
				if strings.Contains(listed(found), private) {
					t.Errorf("the report shows %q:\n%s", private, listed(found))
				}
			}
		})
	}
}

func TestAFixedToken(t *testing.T) {
	t.Parallel()
	o, g := healthy(t, graphsim.Options{Token: "fixed-token"})
	for _, row := range []struct{ name, text, token, graph string }{
		{"no JWT", "fixed-token", "skip token: no JWT", "ok graph"},
		{"a JWT is looked at", jwtOf(t, map[string]any{"aud": "https://graph.microsoft.com", "exp": time.Now().Add(time.Hour).Unix()}), "FAIL token: without Calls.Initiate.All", "FAIL graph: unauthorized"},
		{"two tokens", "a b", "FAIL token: holds more than one bearer token", "skip graph: there is no token"},
	} {
		path := write(t, row.text)
		o := o
		o.Graph = &graph.Options{BaseURL: g.GraphURL(), TokenFile: path}
		x := &examination{Options: o.withDefaults()}
		assertFindings(t, x.microsoft(t.Context()), row.token, row.graph, row.graph)
		if strings.Contains(listed(x.microsoft(t.Context())), row.text) {
			t.Errorf("%s: the token is shown", row.name)
		}
	}
}
