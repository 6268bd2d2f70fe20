package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/ledger"
	"callbus/internal/pacing"
	"callbus/internal/queue"
	"callbus/internal/streams"
	"callbus/internal/timers"
)

// site is one installation: a worker's executor between a real NATS server and
// a Graph that does whatever it is asked.
type site struct {
	t       *testing.T
	js      jetstream.JetStream
	prefix  commands.Prefix
	journal *ledger.Journal
	x       *Executor

	mu   sync.Mutex
	sent map[string]int // "callRef POST mute": requests
}

const foundTenant = "home"

func openSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, prefix: "found", sent: map[string]int{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	nc, err := nats.Connect(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	o := streams.DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = s.prefix, 1<<20
	if _, err := streams.Provision(t.Context(), s.js, o, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // for -count
		for name := range s.js.StreamNames(context.Background()).Name() {
			_ = s.js.DeleteStream(context.Background(), name)
		}
	})
	s.open(newClient(t, graph.Options{BaseURL: srv.URL + "/v1.0", StaticToken: "fixed"}), o.AckWait)
	return s
}

// open assembles the executor and has it take commands until the test ends.
func (s *site) open(client *graph.Client, lease time.Duration) {
	t, log := s.t, slog.New(slog.DiscardHandler)
	var err error
	if s.journal, err = ledger.New(t.Context(), s.js, s.prefix, nil); err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(t.Context(), s.js, s.prefix, lease, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	gates, err := pacing.New(t.Context(), s.js, s.prefix, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	admission := pacing.NewAdmission(gates)
	running := func() bool { return false }
	c := calls.New(calls.Deps{
		Registry: calls.NewRegistry(s.js, s.prefix), Events: calls.NewEvents(s.js, s.prefix), Journal: s.journal,
		Timers: timers.New(s.js, s.prefix, log), Graph: Line(client, admission, running), Hint: q.Hint, Logger: log,
	}, calls.Options{})
	s.x = New(Deps{Graph: client, Queue: q, Journal: s.journal, Calls: c, Gates: gates, Admission: admission, Logger: log}, Options{
		Prefix: s.prefix, Worker: "next", AckWait: time.Second, GraphTimeout: 500 * time.Millisecond, ReconcileWait: 1600 * time.Millisecond,
		Stopping:    running,
		CallbackURI: func(k commands.Key, attempt int) string { return fmt.Sprintf("https://bot/%s/%d", k.CallRef, attempt) },
	})
	take, stop := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	t.Cleanup(func() { stop(); loops.Wait() })
	loops.Go(func() { c.Run(take, take, 8) })
	for _, lane := range commands.Lanes {
		loops.Go(func() { _ = q.Run(take, take, queue.Lane{Name: lane, Slots: 64}, s.x.Handle) })
	}
}

// ServeHTTP is Graph.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1.0/communications/calls"), "/")
	callRef, what := "", r.Method
	if len(path) > 1 {
		callRef, what = strings.TrimPrefix(path[1], "call-"), r.Method+" "+strings.Join(path[2:], " ")
	} else {
		var call struct{ CallbackURI string }
		_ = json.Unmarshal(body, &call)
		callRef = strings.Split(call.CallbackURI, "/")[3]
	}
	s.mu.Lock()
	s.sent[callRef+" "+strings.TrimSpace(what)]++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := `{"id":"x","status":"completed","state":"established","value":[]}`
	if what == "POST" {
		w.WriteHeader(http.StatusCreated)
		answer = `{"id":"call-` + callRef + `"}`
	}
	_, _ = io.WriteString(w, answer)
}

func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
