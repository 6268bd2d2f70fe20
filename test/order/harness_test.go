// Package order holds whole stacks under load to the order of each call's
// commands: two workers, servers that restart, a worker that stops, consumers
// that are deleted.
package order

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"callbus/internal/app"
	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// token is what workers and simulators share. It opens nothing else.
const token = "callbus-order"

// stack is a server, a simulated Graph, and what works between them.
type stack struct {
	t   *testing.T
	url string
	js  jetstream.JetStream
	sim *graphsim.Server
}

// openStack starts a simulated Graph beside the server at url.
func openStack(t *testing.T, url string, o graphsim.Options) *stack {
	t.Helper()
	o.Token, o.LogSize = token, 100_000
	sim, err := graphsim.Start(t.Context(), o, "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &stack{t, url, js, sim}
}

// work starts a worker, and stops it at the end of the test, or when the returned
// function is called.
func (s *stack) work(name string, change func(*app.Options)) (stop func()) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		s.t.Fatal(err)
	}
	callbacks := s.listen()
	o := app.DefaultOptions()
	o.NATS = natsconn.ConnOptions{URL: s.url, Name: name}
	o.GraphURL, o.GraphTokenFile, o.Tenants = s.sim.GraphURL(), file, []string{graphsim.DefaultTenantID}
	o.CallbackListener, o.CallbackURL = callbacks, "http://"+callbacks.Addr().String()
	o.CallbackOIDCURLs, o.CallbackIssuers, o.CallbackAudience = []string{s.sim.OIDCURL()}, []string{s.sim.Issuer()}, s.sim.AppID()
	o.MetricsListen, o.WorkerName, o.Version = "127.0.0.1:0", name, name
	o.Logger = slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	change(&o)
	w, err := app.NewWorker(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx); close(done) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run() of %s = %v; want a clean stop", name, err)
		}
	}
	s.t.Cleanup(stop) // the second time there is nothing to wait for
	return stop
}

func (s *stack) listen() net.Listener {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = l.Close() })
	return l
}

// queued is how many commands are left.
func (s *stack) queued() (int, error) {
	stream, err := s.js.Stream(s.t.Context(), "CALL_COMMANDS")
	if err != nil {
		return 0, err
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

// outcomes waits until no command is left and n have ended, and returns all
// records.
func (s *stack) outcomes(within time.Duration, n int) (all []commands.Result) {
	s.t.Helper()
	eventually(s.t, within, "every command done", func() (bool, string) {
		left, err := s.queued()
		return left == 0 && err == nil, fmt.Sprintf("%d commands queued, %v", left, err)
	})
	eventually(s.t, 30*time.Second, "every outcome known", func() (bool, string) {
		all = s.results()
		ended := 0
		for _, r := range all {
			if r.Final {
				ended++
			}
		}
		return ended >= n, fmt.Sprintf("%d final records", ended)
	})
	return all
}

// results reads the whole journal.
func (s *stack) results() (all []commands.Result) {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), "CALL_RESULTS")
	if err != nil {
		s.t.Fatal(err)
	}
	cons, err := stream.OrderedConsumer(s.t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	batch, err := cons.Fetch(int(stream.CachedInfo().State.Msgs), jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	for msg := range batch.Messages() {
		var r commands.Result
		if err := json.Unmarshal(msg.Data(), &r); err != nil {
			s.t.Fatal(err)
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
