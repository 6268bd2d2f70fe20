package pacing

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/natstest"
	"callbus/internal/streams"
)

// serverURL is one server for the whole package; every test has a bucket of its
// own on it, under a prefix of its own.
var serverURL string

func TestMain(m *testing.M) { natstest.Main(m, &serverURL) }

var prefixes atomic.Int64

// fakeObserver notes what it is told as "closed home place".
type fakeObserver struct {
	mu   sync.Mutex
	told []string
}

func (o *fakeObserver) note(s string) { o.mu.Lock(); defer o.mu.Unlock(); o.told = append(o.told, s) }

func (o *fakeObserver) GateClosed(scope, class string, _ time.Time) {
	o.note("closed " + scope + " " + class)
}
func (o *fakeObserver) GateOpened(scope, class string) { o.note("opened " + scope + " " + class) }

func (o *fakeObserver) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

// setup provisions a bucket and returns a way to open one more worker's gates.
func setup(t *testing.T) (open func(Observer) *Gates, kv jetstream.KeyValue) {
	t.Helper()
	prefix := commands.Prefix(fmt.Sprintf("g%d", prefixes.Add(1)))
	connect := func() jetstream.JetStream {
		nc, err := nats.Connect(serverURL)
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
	o := streams.DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = prefix, 1<<20
	js := connect()
	if _, err := streams.Provision(t.Context(), js, o, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), prefix.Stream(streams.Gates))
	if err != nil {
		t.Fatal(err)
	}
	return func(obs Observer) *Gates {
		t.Helper()
		g, err := New(t.Context(), connect(), prefix, obs, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}, kv
}

// openThrough opens the gates of the bucket kv behind a proxy.
func openThrough(t *testing.T, kv jetstream.KeyValue) (*Gates, *natstest.Proxy) {
	t.Helper()
	proxy := natstest.StartProxy(t, serverURL)
	nc, err := nats.Connect(proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	prefix := commands.Prefix(strings.ToLower(strings.TrimSuffix(kv.Bucket(), "_"+streams.Gates)))
	g, err := New(t.Context(), js, prefix, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return g, proxy
}

// run follows the other workers until the test ends.
func run(t *testing.T, g *Gates) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func TestClassOf(t *testing.T) {
	for _, a := range commands.Actions {
		want, gated := ClassOther, true
		switch a {
		case commands.Place:
			want = ClassPlace
		case commands.Hangup, commands.KeepAlive: // no pause ever holds them
			want, gated = "", false
		}
		if class, ok := ClassOf(a); class != want || ok != gated {
			t.Errorf("ClassOf(%s) = %q, %t; want %q, %t", a, class, ok, want, gated)
		}
	}
}

// TestAGateOpensByItself needs no server: gates that were noted are the
// worker's own memory.
func TestAGateOpensByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		obs := &fakeObserver{}
		g := &Gates{closed: map[string]Gate{}, obs: obs}
		if _, closed := g.Closed("home", ClassPlace); closed {
			t.Fatal("a gate that nobody shut is closed")
		}
		gate := Gate{Scope: "home", Class: ClassPlace, Reason: "throttled", Until: time.Now().Add(5 * time.Second)}
		if !g.note(gate) {
			t.Fatal("note() = false for a new gate")
		}
		for _, row := range []struct {
			scope  string
			class  Class
			closed bool
		}{{"home", ClassPlace, true}, {"home", ClassOther, false}, {"branch", ClassPlace, false}} {
			if got, closed := g.Closed(row.scope, row.class); closed != row.closed || (closed && got != gate) {
				t.Errorf("Closed(%s, %s) = %+v, %t; want %t", row.scope, row.class, got, closed, row.closed)
			}
		}
		time.Sleep(5*time.Second - time.Nanosecond)
		if _, closed := g.Closed("home", ClassPlace); !closed {
			t.Error("the gate opened early")
		}
		time.Sleep(time.Nanosecond)
		for range 2 {
			if _, closed := g.Closed("home", ClassPlace); closed {
				t.Error("the gate is closed after its time")
			}
		}
		if want := []string{"closed home place", "opened home place"}; !slices.Equal(obs.seen(), want) {
			t.Errorf("observer was told %v; want %v", obs.seen(), want)
		}
	})
}

func TestAGateIsOnlyMovedToALaterTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gates{closed: map[string]Gate{}}
		at := func(d time.Duration) Gate {
			return Gate{Scope: "home", Class: ClassOther, Until: time.Now().Add(d)}
		}
		for _, row := range []struct {
			name  string
			gate  Gate
			moved bool
			until time.Duration
		}{
			{"past", at(0), false, 0},
			{"first", at(10 * time.Second), true, 10 * time.Second},
			{"the same", at(10 * time.Second), false, 10 * time.Second},
			{"earlier", at(time.Second), false, 10 * time.Second},
			{"later", at(time.Minute), true, time.Minute},
		} {
			moved := g.note(row.gate)
			got, closed := g.Closed("home", ClassOther)
			if moved != row.moved || closed != (row.until > 0) || (closed && time.Until(got.Until) != row.until) {
				t.Errorf("%s: note() = %t, closed %t until %s; want %t, %s", row.name, moved, closed, time.Until(got.Until), row.moved, row.until)
			}
		}
	})
}

func TestGatesAreShared(t *testing.T) {
	open, _ := setup(t)
	first, obs := open(nil), &fakeObserver{}
	second := open(obs)
	run(t, second)
	gate := Gate{Scope: "contoso.example", Class: ClassPlace, Reason: "throttled", Until: time.Now().Add(time.Minute).UTC()}
	if err := first.Close(t.Context(), gate); err != nil {
		t.Fatal(err)
	}
	if got, closed := first.Closed(gate.Scope, gate.Class); !closed || !got.Until.Equal(gate.Until) {
		t.Errorf("Closed() where it was shut = %+v, %t", got, closed)
	}
	until(t, "the other worker learns of it", func() bool { _, closed := second.Closed(gate.Scope, gate.Class); return closed })
	if got, _ := second.Closed(gate.Scope, gate.Class); got.Reason != "throttled" || !got.Until.Equal(gate.Until) || got.Scope != gate.Scope {
		t.Errorf("Closed() at the other worker = %+v; want %+v", got, gate)
	}
	if _, closed := second.Closed(gate.Scope, ClassOther); closed {
		t.Error("a throttled place shut other requests")
	}
	// A worker that comes later finds it too.
	third := open(nil)
	run(t, third)
	until(t, "a new worker learns of it", func() bool { _, closed := third.Closed(gate.Scope, gate.Class); return closed })
	// An earlier time from anyone changes nothing, a later one does.
	earlier, later := gate, gate
	earlier.Until, later.Until = gate.Until.Add(-30*time.Second), gate.Until.Add(30*time.Second)
	if err := open(nil).Close(t.Context(), earlier); err != nil { // it does not know better
		t.Fatal(err)
	}
	if err := first.Close(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	until(t, "the later time has come", func() bool {
		got, _ := second.Closed(gate.Scope, gate.Class)
		if got.Until.Before(gate.Until) {
			t.Fatalf("the gate opens at %v; want not before %v", got.Until, gate.Until)
		}
		return got.Until.Equal(later.Until)
	})
	if want := []string{"closed contoso.example place", "closed contoso.example place"}; !slices.Equal(obs.seen(), want) {
		t.Errorf("observer was told %v; want %v", obs.seen(), want)
	}
}

func TestGatesLeaveTheBucketByThemselves(t *testing.T) {
	open, kv := setup(t)
	g := open(nil)
	if err := g.Close(t.Context(), Gate{Scope: "home", Class: ClassOther, Until: time.Now().Add(200 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	key := gateKey("home", ClassOther)
	if _, err := kv.Get(t.Context(), key); err != nil {
		t.Fatalf("Get(%s) = %v; want the gate", key, err)
	}
	until(t, "the gate has expired", func() bool { _, err := kv.Get(t.Context(), key); return err != nil })
}

func TestAnUnreadableGateIsPassedOver(t *testing.T) {
	open, kv := setup(t)
	g := open(nil)
	run(t, g)
	if _, err := kv.PutString(t.Context(), gateKey("home", ClassPlace), "no JSON"); err != nil {
		t.Fatal(err)
	}
	if err := open(nil).Close(t.Context(), Gate{Scope: "home", Class: ClassOther, Until: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	until(t, "what follows is read", func() bool { _, closed := g.Closed("home", ClassOther); return closed })
	if _, closed := g.Closed("home", ClassPlace); closed {
		t.Error("an unreadable gate shut something")
	}
}

func TestCloseWithoutTheServerShutsHere(t *testing.T) {
	open, _ := setup(t)
	g := open(nil)
	g.js.Conn().Close()
	gate := Gate{Scope: "home", Class: ClassPlace, Until: time.Now().Add(time.Minute)}
	if err := g.Close(t.Context(), gate); err == nil {
		t.Error("Close() = nil; want the error that only this worker knows")
	}
	if _, closed := g.Closed("home", ClassPlace); !closed {
		t.Error("the gate is open here too")
	}
}

func TestNewNeedsTheBucket(t *testing.T) {
	nc, err := nats.Connect(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), js, "nobody", nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("New() without a bucket = nil; want an error")
	}
}

func TestGateKeysAreTokens(t *testing.T) {
	for scope, want := range map[string]string{
		"9f3c-1": "gate.9f3c-1.place", "contoso.example": "gate.contoso_example.place", "": "gate._.place", "a b*>": "gate.a_b__.place",
	} {
		if got := gateKey(scope, ClassPlace); got != want {
			t.Errorf("gateKey(%q) = %q; want %q", scope, got, want)
		}
	}
}
