package app

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
	"callbus/internal/streams"
)

// TestMain lets more tests run side by side than there are processors, unless it
// is told how many: most of them wait, for leases, timers and Graph.
func TestMain(m *testing.M) {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if !told {
		_ = flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
	goleak.VerifyTestMain(m)
}

// notifyKey is what all simulators sign with: making a key takes its time.
var notifyKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// startSim runs a simulated Graph for one test.
func startSim(t testing.TB, o graphsim.Options) *graphsim.Server {
	t.Helper()
	o.Token = devToken
	var err error
	if o.NotifyKey, err = notifyKey(); err != nil {
		t.Fatal(err)
	}
	sim, err := graphsim.Start(t.Context(), o, "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	return sim
}

// startWorker runs a worker against a server and a simulator, and stops it at
// the end of the test, or when the returned function is called.
func startWorker(t testing.TB, name, natsURL string, sim *graphsim.Server, change func(*Options)) (*Worker, func()) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(devToken), 0o600); err != nil {
		t.Fatal(err)
	}
	callbacks := listen(t)
	o := DefaultOptions()
	o.NATS = natsconn.ConnOptions{URL: natsURL, Name: name}
	o.GraphURL, o.GraphTokenFile, o.Tenants = sim.GraphURL(), token, []string{graphsim.DefaultTenantID}
	o.CallbackListener, o.CallbackURL = callbacks, "http://"+callbacks.Addr().String()
	o.CallbackOIDCURLs, o.CallbackIssuers, o.CallbackAudience = []string{sim.OIDCURL()}, []string{sim.Issuer()}, sim.AppID()
	o.MetricsListen, o.WorkerName = "127.0.0.1:0", name
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if change != nil {
		change(&o)
	}
	w, err := NewWorker(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() of %s = %v; want a clean stop", name, err)
		}
	}
	t.Cleanup(stop)
	return w, stop
}

// connect opens a producer's connection.
func connect(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// body is a command's body.
func body(id string, parameters string, more map[string]any) []byte {
	m := map[string]any{"id": id}
	if parameters != "" {
		m["parameters"] = json.RawMessage(parameters)
	}
	for k, v := range more {
		m[k] = v
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// allResults reads the whole journal.
func allResults(t *testing.T, js jetstream.JetStream) []commands.Result {
	t.Helper()
	s, err := js.Stream(t.Context(), "CALL_RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs == 0 {
		return nil
	}
	cons, err := s.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := cons.Fetch(int(info.State.Msgs), jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var all []commands.Result
	for msg := range batch.Messages() {
		var r commands.Result
		if err := json.Unmarshal(msg.Data(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// eventually polls a condition until it holds or the deadline has passed.
func eventually(t *testing.T, within time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		held, state := ok()
		if held {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s (%s)", within, what, state)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// queueEmpty tells whether no command is left.
func queueEmpty(t *testing.T, js jetstream.JetStream) (bool, string) {
	s, err := js.Stream(t.Context(), commands.DefaultPrefix.Stream(streams.Commands))
	if err != nil {
		return false, err.Error()
	}
	n := s.CachedInfo().State.Msgs
	return n == 0, fmt.Sprintf("%d commands queued", n)
}
