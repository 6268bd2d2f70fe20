package pacing

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// fleet is a provisioned server for several workers' budgets.
type fleet struct {
	t      *testing.T
	prefix commands.Prefix
	js     jetstream.JetStream
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, prefix: commands.Prefix(fmt.Sprintf("b%d", prefixes.Add(1)))}
	f.js = f.connect(serverURL)
	o := streams.DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = f.prefix, 1<<20
	if _, err := streams.Provision(t.Context(), f.js, o, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fleet) connect(url string) jetstream.JetStream {
	f.t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		f.t.Fatal(err)
	}
	return js
}

// woken notes whom a worker woke.
type woken struct {
	mu    sync.Mutex
	calls []commands.CallKey
}

func (w *woken) wake(c commands.CallKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
	return true
}

func (w *woken) seen() []commands.CallKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]commands.CallKey(nil), w.calls...)
}

// keepUp runs until the test ends.
func keepUp(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func (f *fleet) slots(o SlotOptions) (*Slots, *woken) {
	f.t.Helper()
	w := &woken{}
	o.Wake = w.wake
	s, err := NewSlots(f.t.Context(), f.connect(serverURL), f.prefix, o, slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	keepUp(f.t, s.Run)
	f.t.Cleanup(s.Close)
	return s, w
}

func (f *fleet) month(o MonthOptions) (*Month, *woken) {
	f.t.Helper()
	w := &woken{}
	o.Wake = w.wake
	m, err := NewMonth(f.t.Context(), f.connect(serverURL), f.prefix, o, slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	keepUp(f.t, m.Run)
	f.t.Cleanup(m.Close)
	return m, w
}

func place(n int) commands.Key {
	return commands.Key{Producer: "crm", CallRef: fmt.Sprintf("c%03d", n), ID: "p"}
}
