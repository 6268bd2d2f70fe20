package calls

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/natstest"
	"callbus/internal/streams"
	"callbus/internal/timers"
)

// serverURL is one server for the whole package; every test has streams of its
// own on it, under a prefix of its own.
var serverURL string

func TestMain(m *testing.M) { natstest.Main(m, &serverURL) }

var prefixes atomic.Int64

// answer is what the fake Graph says of a call.
type answer struct {
	reading Reading
	gone    bool // KeepAlive and Hangup
	err     error
}

// fakeGraph answers from what was set for each call id, and notes requests as
// "hangup <tenant> <call id>".
type fakeGraph struct {
	mu       sync.Mutex
	answers  map[string]answer
	requests []string
}

func (g *fakeGraph) set(callID string, a answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers[callID] = a
}

func (g *fakeGraph) ask(what, tenant, callID string) answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests = append(g.requests, what+" "+tenant+" "+callID)
	return g.answers[callID]
}

func (g *fakeGraph) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string{}, g.requests...)
}

func (g *fakeGraph) ReadCall(_ context.Context, tenant, callID string) (Reading, error) {
	a := g.ask("read", tenant, callID)
	return a.reading, a.err
}

func (g *fakeGraph) KeepAlive(_ context.Context, tenant, callID string) (bool, error) {
	a := g.ask("keepAlive", tenant, callID)
	return a.gone, a.err
}

func (g *fakeGraph) Hangup(_ context.Context, tenant, callID string) (bool, error) {
	a := g.ask("hangup", tenant, callID)
	return a.gone, a.err
}

// fakeObserver counts what it is told.
type fakeObserver struct {
	mu     sync.Mutex
	ended  []string
	silent int
	alive  []string
}

func (o *fakeObserver) CallEnded(reason string, _, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = append(o.ended, reason)
}

func (o *fakeObserver) CallSilent() { o.mu.Lock(); defer o.mu.Unlock(); o.silent++ }

func (o *fakeObserver) KeepAlive(outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.alive = append(o.alive, outcome)
}

// room is the thing under test with all it works with.
type room struct {
	*Calls
	t       testing.TB
	ctx     context.Context
	js      jetstream.JetStream
	prefix  commands.Prefix
	journal *ledger.Journal
	graph   *fakeGraph
	obs     *fakeObserver
	hints   atomic.Int64
}

func setup(t testing.TB) *room {
	t.Helper()
	nc, err := nats.Connect(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	o := streams.DefaultOptions()
	o.Prefix = commands.Prefix(fmt.Sprintf("t%d", prefixes.Add(1)))
	o.CommandsMaxBytes = 1 << 20
	if _, err := streams.Provision(t.Context(), js, o, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	journal, err := ledger.New(t.Context(), js, o.Prefix, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	r := &room{
		t: t, ctx: t.Context(), js: js, prefix: o.Prefix, journal: journal,
		graph: &fakeGraph{answers: map[string]answer{}}, obs: &fakeObserver{},
	}
	r.Calls = New(Deps{
		Registry: NewRegistry(js, o.Prefix), Events: NewEvents(js, o.Prefix), Journal: journal,
		Timers: timers.New(js, o.Prefix, log), Graph: r.graph,
		Hint: func(commands.CallKey) { r.hints.Add(1) }, Observer: r.obs, Logger: log,
	}, Options{MaxCallDuration: 4 * time.Hour})
	return r
}

var (
	order = commands.CallKey{Producer: "crm", CallRef: "order-1"}
	place = commands.Key{Producer: "crm", CallRef: "order-1", ID: "p1"}
)

func key(id string) commands.Key {
	return commands.Key{Producer: order.Producer, CallRef: order.CallRef, ID: id}
}

// record writes records of one command into the journal, one a status.
func (r *room) record(k commands.Key, a commands.Action, callID string, statuses ...commands.Status) {
	r.t.Helper()
	v, err := r.journal.Read(r.ctx, k)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range statuses {
		rec := ledger.Record{Result: commands.Result{Action: a, Status: s, TenantID: "tenant", Attempts: 1}, Attempt: "nonce", Body: "hash"}
		if s != commands.Started && s != commands.Waiting {
			rec.CallID = callID
		}
		if err := r.journal.Append(r.ctx, &v, rec); err != nil {
			r.t.Fatal(err)
		}
	}
}

// own is the command's last record.
func (r *room) own(k commands.Key) *ledger.Record {
	r.t.Helper()
	v, err := r.journal.Read(r.ctx, k)
	if err != nil {
		r.t.Fatal(err)
	}
	if v.Own == nil {
		return &ledger.Record{}
	}
	return v.Own
}

func (r *room) entry(c commands.CallKey) Entry {
	r.t.Helper()
	e, _, err := r.Registry.Get(r.ctx, c)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// placed is a place that Graph accepted and that the registry knows.
func (r *room) placed(callID string) {
	r.t.Helper()
	r.record(place, commands.Place, callID, commands.Started, commands.Accepted)
	if err := r.Placed(r.ctx, r.own(place), commands.CallLimits{}, Original{}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) mustTake(ev commands.Event) {
	r.t.Helper()
	if err := r.take(r.ctx, ev); err != nil {
		r.t.Fatalf("take(%s %s) = %v", ev.Kind, ev.State, err)
	}
}

// stored are the stored events of one kind, in order.
func (r *room) stored(kind commands.Kind) []commands.Event {
	r.t.Helper()
	return decodeAll[commands.Event](r, streams.Events, r.prefix.Event(commands.CallKey{Producer: "*", CallRef: "*"}, kind))
}

func (r *room) letters() []commands.DeadLetter {
	r.t.Helper()
	return decodeAll[commands.DeadLetter](r, streams.Dead, string(r.prefix)+".dead.>")
}

// armed are the subjects of the timers that are armed.
func (r *room) armed() map[string]bool {
	r.t.Helper()
	s, err := r.js.Stream(r.ctx, r.prefix.Stream(streams.Timers))
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := s.Info(r.ctx, jetstream.WithSubjectFilter(string(r.prefix)+".timers.>"))
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[string]bool{}
	for subject := range info.State.Subjects {
		all[subject] = true
	}
	return all
}

// stateEvent is a notification to the place's own URL.
func stateEvent(callID, state string) commands.Event {
	return commands.Event{
		Producer: "crm", CallRef: "order-1", CallID: callID, TenantID: "tenant", CommandID: "p1", Attempt: 1,
		Kind: commands.KindState, Time: time.Now().UTC(), State: state,
	}
}
