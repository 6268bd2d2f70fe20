package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
	"callbus/internal/ports"
	"callbus/internal/streams"
)

// soundOptions are settings that would do, with a server at natsURL.
func soundOptions(t *testing.T, natsURL string) Options {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(devToken), 0o600); err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.NATS = natsconn.ConnOptions{URL: natsURL, Timeout: time.Second}
	o.GraphURL, o.GraphTokenFile, o.Tenants = "http://127.0.0.1:1/v1.0", token, []string{graphsim.DefaultTenantID}
	o.CallbackURL, o.CallbackAudience = "https://callbus.contoso.com", graphsim.DefaultAppID
	o.CallbackListen, o.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	o.CallbackOIDCURLs, o.CallbackIssuers = []string{"http://127.0.0.1:1/keys"}, []string{"https://issuer.contoso.com"}
	o.Logger = slog.New(slog.DiscardHandler)
	return o
}

// TestUnsafeSettings: each is refused with ErrOptions, which the program turns
// into exit code 2, before anything is connected to; the line names the flag.
func TestUnsafeSettings(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*Options)
		says   []string
	}{
		{"Graph over plain http elsewhere", func(o *Options) { o.GraphURL = "http://graph.contoso.com/v1.0" }, []string{"--graph-url", "https"}},
		{"a Graph URL without a host", func(o *Options) { o.GraphURL = "graph.microsoft.com/v1.0" }, []string{"--graph-url"}},
		{"a Graph URL without a version", func(o *Options) { o.GraphURL = "http://127.0.0.1:1" }, []string{"graph", "version"}},
		{"a Graph URL with a password", func(o *Options) { o.GraphURL = "https://me:hunter2@127.0.0.1/v1.0" }, []string{"graph", "user info"}},
		{"a fixed token for a Graph elsewhere", func(o *Options) { o.GraphURL = "https://graph.contoso.com/v1.0" }, []string{"loopback"}},
		{"a fixed token for the public Graph", func(o *Options) { o.GraphURL = "" }, []string{"loopback"}},
		{"no tenant", func(o *Options) { o.Tenants, o.GraphTokenFile = nil, "" }, []string{"--tenant"}},
		{"no callback URL", func(o *Options) { o.CallbackURL = "" }, []string{"--callback-url"}},
		{"a callback URL over plain http elsewhere", func(o *Options) { o.CallbackURL = "http://callbus.contoso.com" }, []string{"--callback-url", "https"}},
		{"no callback audience", func(o *Options) { o.CallbackAudience = "" }, []string{"--callback-audience"}},
		{"keys of notifications over plain http elsewhere", func(o *Options) { o.CallbackOIDCURLs = []string{"http://keys.contoso.com/openid"} }, []string{"--callback-oidc-url", "https"}},
		{"a lease as long as a request", func(o *Options) { o.Streams.AckWait = o.GraphTimeout }, []string{"--ack-wait", "--graph-timeout"}},
		{"no lease", func(o *Options) { o.Streams.AckWait = 0 }, []string{"--ack-wait"}},
		{"a negative timeout", func(o *Options) { o.GraphTimeout = -time.Second }, []string{"--graph-timeout"}},
		{"keep-alives after Graph has ended the call", func(o *Options) { o.KeepAliveInterval = 45 * time.Minute }, []string{"--keepalive-interval"}},
		{"results that are gone before their command", func(o *Options) { o.Streams.ResultsMaxAge = commands.MaxTTL }, []string{"--results-max-age"}},
		{"a default life beyond three days", func(o *Options) { o.TTL.Other = commands.MaxTTL + 1 }, []string{"--default-ttl"}},
		{"no slots", func(o *Options) { o.Concurrency = 0 }, []string{"--concurrency"}},
		{"nine replicas", func(o *Options) { o.Streams.Replicas = 9 }, []string{"--stream-replicas"}},
		{"a prefix with a dot", func(o *Options) { o.Streams.Prefix = "a.b" }, []string{"--prefix"}},
		{"several at once", func(o *Options) { o.CallbackURL, o.Concurrency = "", 0 }, []string{"--callback-url", "--concurrency"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := soundOptions(t, "nats://127.0.0.1:1")
			row.change(&o)
			_, err := NewWorker(t.Context(), o)
			if !errors.Is(err, ErrOptions) {
				t.Fatalf("NewWorker() = %v; want ErrOptions", err)
			}
			assertOneLine(t, "error", err.Error())
			for _, say := range row.says {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("error = %q; want it to name %q", err, say)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error = %q; repeats the password", err)
			}
		})
	}
}

// TestUnusableServers: one line that names the server and what it lacks, and
// nothing left behind on it.
func TestUnusableServers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		start func(*testing.T) string
		says  []string
	}{
		{"nobody listens", func(t *testing.T) string { return "nats://" + closedPort(t) }, []string{"no NATS server at nats://127.0.0.1:"}},
		{"somebody listens and says nothing", silentPort, []string{"no NATS server at", "no answer in time"}},
		{"a web server", webPort, []string{"NATS server at nats://127.0.0.1:"}},
		{"a server without JetStream", func(t *testing.T) string { return coreServer(t).URL() }, []string{"JetStream is not enabled on server 2."}},
		{"a server older than 2.11", func(t *testing.T) string { return oldServer(t, `{}`) }, []string{"API level 0", "level 2", "2.12", "message schedules"}},
		{"a server of 2.11", func(t *testing.T) string { return oldServer(t, `{"level":1}`) }, []string{"API level 1", "level 2", "2.12"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := NewWorker(t.Context(), soundOptions(t, row.start(t)))
			if err == nil || errors.Is(err, ErrOptions) {
				t.Fatalf("NewWorker() = %v; want an error that is not about the settings", err)
			}
			assertOneLine(t, "error", err.Error())
			for _, say := range row.says {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("error = %q; want %q in it", err, say)
				}
			}
		})
	}
}

// closedPort is an address where nobody listens, but who does so by name.
func closedPort(t *testing.T) string {
	t.Helper()
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// silentPort accepts connections, in the kernel's queue, and never answers.
func silentPort(t *testing.T) string { return "nats://" + listen(t).Addr().String() }

// webPort greets with what is not the NATS protocol.
func webPort(t *testing.T) string {
	l := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "nats://" + l.Addr().String()
}

func coreServer(t *testing.T) *embednats.Server {
	t.Helper()
	srv, err := embednats.Start(embednats.Options{NoJetStream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// oldServer answers for JetStream's account as servers before 2.12 do: with an
// API level that is lower, or without one.
func oldServer(t *testing.T, api string) string {
	t.Helper()
	url := coreServer(t).URL()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	_, err = nc.Subscribe("$JS.API.INFO", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.account_info_response","memory":0,"storage":0,"streams":0,"consumers":0,"limits":{},"api":` + api + `}`))
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// TestTakenSurroundings: what is not ours is neither used nor changed.
func TestTakenSurroundings(t *testing.T) {
	t.Parallel()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	js := connect(t, srv.URL())
	foreign := jetstream.StreamConfig{Name: "CALL_RESULTS", Subjects: []string{"calls.results.*.*.*"}, MaxAge: time.Hour, DenyDelete: true, DenyPurge: true, AllowDirect: true}
	if _, err := js.CreateStream(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	taken := listen(t).Addr().String()

	refused := func(name string, change func(*Options), says ...string) {
		t.Run(name, func(t *testing.T) {
			o := soundOptions(t, srv.URL())
			change(&o)
			_, err := NewWorker(t.Context(), o)
			if err == nil {
				t.Fatal("NewWorker() accepted it")
			}
			assertOneLine(t, "error", err.Error())
			for _, say := range says {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("error = %q; want %q in it", err, say)
				}
			}
		})
	}
	refused("a stream that differs", func(*Options) {}, "CALL_RESULTS", "max_age", "--streams=reconcile")
	refused("streams that are missing, with verify", func(o *Options) { o.Streams.Prefix, o.StreamsMode = "other", streams.ModeVerify }, "OTHER_COMMANDS")
	refused("a metrics address that is taken", func(o *Options) { o.Streams.Prefix, o.MetricsListen = "mine", taken }, "--metrics-listen", taken)
	refused("a callback address that is taken", func(o *Options) { o.Streams.Prefix, o.CallbackListen = "mine", taken }, "--callback-listen", taken)

	s, err := js.Stream(t.Context(), "CALL_RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config.MaxAge; got != time.Hour {
		t.Errorf("MaxAge of the stream is now %s; want it left at 1h", got)
	}
	var names []string
	for name := range js.StreamNames(t.Context()).Name() {
		names = append(names, name)
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "OTHER_") }) {
		t.Errorf("streams = %v; verify made some", names)
	}
}

// TestNotReadyWithoutKeys: a worker that cannot check notifications starts, says
// why it is not ready, and is ready soon after the keys can be had.
func TestNotReadyWithoutKeys(t *testing.T) {
	t.Parallel()
	keys := closedPort(t)
	c := openCounter(t, graphsim.Options{}, func(o *Options) { o.CallbackOIDCURLs = []string{"http://" + keys + "/keys"} })
	eventually(t, patience, "everything but the keys in order", func() (bool, string) {
		status, says := readyz(t, c.w)
		if status == http.StatusOK {
			t.Fatal("the worker is ready without the keys of notifications")
		}
		return strings.Contains(says, "callback keys") && !strings.Contains(says, "token"), says
	})

	l, err := net.Listen("tcp", keys)
	if err != nil {
		t.Fatal(err)
	}
	source := &http.Server{Handler: http.RedirectHandler(c.sim.OIDCURL(), http.StatusFound), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- source.Serve(l) }()
	t.Cleanup(func() { _ = source.Close(); <-served })
	eventually(t, patience, "ready with the keys", func() (bool, string) {
		status, says := readyz(t, c.w)
		return status == http.StatusOK, says
	})
}

func readyz(t *testing.T, w *Worker) (status int, says string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.MetricsAddr()+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestServerRestart: commands that are published after the server came back are
// executed without anybody's help, and those before it are not forgotten.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	dir, addr := t.TempDir(), closedPort(t)
	start := func() *embednats.Server {
		srv, err := embednats.Start(embednats.Options{Listen: addr, DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return srv
	}
	srv := start()
	t.Cleanup(func() { srv.Close() })
	sim := startSim(t, graphsim.Options{AnswerAfter: 20 * time.Millisecond})
	w, _ := startWorker(t, "restart", srv.URL(), sim, nil)
	c := &counter{t: t, js: connect(t, srv.URL()), sim: sim, w: w}
	c.want("before", "p", commands.Place, toUser, nil)

	later := key("later", "p")
	due := time.Now().Add(2 * time.Second)
	c.send(later.Call(), commands.Place, body("p", toUser, map[string]any{"notBefore": due.UTC().Format(time.RFC3339Nano)}))
	srv.Close()
	eventually(t, patience, "not ready while NATS is away", func() (bool, string) { return !w.health.Ready(), "" })
	srv = start()
	eventually(t, patience, "ready again", func() (bool, string) { return w.health.Ready() && c.js.Conn().IsConnected(), "" })

	c.want("after", "p", commands.Place, toUser, nil)
	if r := c.final(later); r.Status != commands.Succeeded {
		t.Errorf("the command from before the restart ended %s %+v; want it executed", r.Status, r.Error)
	}
	c.want("before", "bye", commands.Hangup, "", nil)
	if s := sim.Sim.Stats().Calls; s.Created != 3 {
		t.Errorf("Graph saw %d calls; want 3", s.Created)
	}
}

// TestStackThatCannotStart leaves nothing behind and says why.
func TestStackThatCannotStart(t *testing.T) {
	t.Parallel()
	taken := listen(t).Addr().String()
	for _, row := range []struct {
		name    string
		o       DevOptions
		options bool // ErrOptions
		says    string
	}{
		{"NATS beyond loopback", DevOptions{NATSListen: "0.0.0.0:0"}, true, "--nats-listen"},
		{"the simulated Graph beyond loopback", DevOptions{SimListen: ":0"}, true, "--sim-listen"},
		{"callbacks beyond loopback", DevOptions{CallbackListen: "0.0.0.0:0"}, true, "--callback-listen"},
		{"no address", DevOptions{CallbackListen: "localhost"}, true, "want host:port"},
		{"a prefix with a dot", DevOptions{Prefix: "a.b"}, true, "--prefix"},
		{"a simulator on a taken port", DevOptions{SimListen: taken}, false, "address already in use"},
		{"metrics on a taken port", DevOptions{MetricsListen: taken}, false, "--metrics-listen"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.Logger = slog.New(slog.DiscardHandler)
			s, err := StartStack(t.Context(), row.o)
			if err == nil {
				_ = s.Close()
				t.Fatal("StartStack() accepted it")
			}
			assertOneLine(t, "error", err.Error())
			if errors.Is(err, ErrOptions) != row.options || !strings.Contains(err.Error(), row.says) {
				t.Errorf("StartStack() = %v; want ErrOptions: %t, and %q in it", err, row.options, row.says)
			}
		})
	}
	t.Run("stopped while it starts", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Dev(ctx, DevOptions{Logger: slog.New(slog.DiscardHandler)}, t.Output()); err != nil {
			t.Errorf("Dev() = %v; want a clean stop", err)
		}
	})
}
