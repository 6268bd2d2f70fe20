package producer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// watching runs a watch until the test ends; begun is waited for.
type watching struct {
	t       *testing.T
	records chan Record
	err     chan error
	stop    context.CancelFunc
}

func (b *bus) watch(c *Client, f Filter) *watching {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{t: b.t, records: make(chan Record, 100), err: make(chan error, 1), stop: cancel}
	ended := make(chan struct{})
	before := b.server.NumSubscriptions()
	go func() {
		defer close(ended)
		w.err <- c.Watch(ctx, f, func(r Record) error { w.records <- r; return nil })
	}()
	b.t.Cleanup(func() { cancel(); <-ended })
	if f.Since.IsZero() {
		waitFor(b.t, func() bool { return b.server.NumSubscriptions() > before || len(w.err) > 0 })
		// Both subscriptions are made in one go; the answer to our own flush
		// on the same connection comes after them.
		waitFor(b.t, func() bool { return c.nc.NumSubscriptions() > 0 || len(w.err) > 0 })
		_ = c.nc.Flush()
	}
	return w
}

// next names the records that come, by what they are and about.
func (w *watching) next(n int) []string {
	w.t.Helper()
	var got []string
	for range n {
		select {
		case r := <-w.records:
			switch {
			case r.Result != nil:
				got = append(got, r.Result.CallRef+" "+string(r.Result.Status))
			case r.Event != nil:
				got = append(got, r.Event.CallRef+" "+string(r.Event.Kind))
			default:
				got = append(got, r.Subject+" unreadable")
			}
		case err := <-w.err:
			w.t.Fatalf("Watch() ended with %v after %v", err, got)
		case <-time.After(20 * time.Second):
			w.t.Fatalf("Watch() shows %v; want %d records", got, n)
		}
	}
	return got
}

func (b *bus) someHistory(callRef string) {
	b.t.Helper()
	k := commands.Result{Producer: "crm", CallRef: callRef, CommandID: "p1"}
	for _, s := range []commands.Status{commands.Started, commands.Succeeded} {
		k.Status = s
		b.result(k, "")
	}
	for _, kind := range []commands.Kind{commands.KindState, commands.KindEnded} {
		b.event(commands.Event{Producer: "crm", CallRef: callRef, Kind: kind})
	}
	b.result(commands.Result{Producer: "shop", CallRef: callRef, CommandID: "p1", Status: commands.Failed}, "")
}

func TestWatchShowsWhatTheFilterSays(t *testing.T) {
	tests := []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"results of a producer", Filter{Producer: "crm", Results: true}, []string{"a started", "a succeeded", "end started", "end succeeded"}},
		{"of one call", Filter{Producer: "crm", CallRef: "end", Results: true}, []string{"end started", "end succeeded"}},
		{"final results only", Filter{Producer: "crm", Results: true, Final: true}, []string{"a succeeded", "end succeeded"}},
		{"results with a status", Filter{Producer: "crm", Results: true, Statuses: []commands.Status{commands.Started}}, []string{"a started", "end started"}},
		{"events", Filter{Producer: "crm", Events: true}, []string{"a state", "a ended", "end state", "end ended"}},
		{"events of a kind", Filter{Producer: "crm", Events: true, Kinds: []commands.Kind{commands.KindEnded}}, []string{"a ended", "end ended"}},
		{"events of two kinds", Filter{Producer: "crm", Events: true, Kinds: []commands.Kind{commands.KindEnded, commands.KindState}}, []string{"a state", "a ended", "end state", "end ended"}},
		{"everyone's final results", Filter{Producer: Everyone, Results: true, Final: true}, []string{"a succeeded", "a failed", "end succeeded", "end failed"}},
	}
	for _, tt := range tests {
		for _, since := range []bool{false, true} {
			name := tt.name + ", live"
			if since {
				name = tt.name + ", from the stream"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBus(t)
				if since {
					tt.filter.Since = time.Now().Add(-time.Minute)
					b.someHistory("a")
				}
				w := b.watch(b.client, tt.filter)
				if !since {
					b.someHistory("a")
				}
				b.someHistory("end")
				if diff := cmp.Diff(tt.want, w.next(len(tt.want))); diff != "" {
					t.Errorf("Watch() (-want +got):\n%s", diff)
				}
				w.stop()
				if err := <-w.err; err != nil {
					t.Errorf("Watch() = %v; want nil after its context ended", err)
				}
				if extra := len(w.records); extra != 0 {
					t.Errorf("Watch() shows %d records more than it should: %v", extra, w.next(extra))
				}
			})
		}
	}
}

func TestProducerWatchesWithAProducersRights(t *testing.T) {
	b := newBusWith(t, producersApart, nats.UserInfo("worker", "w"))
	b.someHistory("a")
	client := b.producerClient("crm")
	live := b.watch(client, Filter{Producer: "crm", Results: true, Events: true})
	past := b.watch(b.producerClient("crm"), Filter{Producer: "crm", Results: true, Since: time.Now().Add(-time.Minute)})
	if diff := cmp.Diff([]string{"a started", "a succeeded"}, past.next(2)); diff != "" {
		t.Errorf("Watch() from the past (-want +got):\n%s", diff)
	}
	b.someHistory("end")
	live.next(4)

	for _, f := range []Filter{{Producer: "shop", Results: true}, {Producer: Everyone, Events: true}, {Producer: "shop", Events: true, Since: time.Now()}} {
		client := b.producerClient("crm")
		client.ackWait = 200 * time.Millisecond
		err := client.Watch(within(t, 20*time.Second), f, func(Record) error { return nil })
		if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Why != NotPermitted {
			t.Errorf("Watch(%v) = %v; want not permitted", f, err)
		}
	}
}

func TestWatchFromThePastGoesOnAfterTheServerForgotIt(t *testing.T) {
	b := newBus(t)
	w := b.watch(b.client, Filter{Producer: "crm", Results: true, Since: time.Now().Add(-time.Minute)})
	b.someHistory("a")
	w.next(2)
	if err := b.js.DeleteConsumer(t.Context(), "CALL_RESULTS", "crm"); err != nil {
		t.Fatal(err)
	}
	b.someHistory("end")
	if diff := cmp.Diff([]string{"end started", "end succeeded"}, w.next(2)); diff != "" {
		t.Errorf("Watch() after its consumer is gone (-want +got):\n%s", diff)
	}
}

func TestSecondWatchWaitsForTheFirstToGo(t *testing.T) {
	b := newBus(t)
	b.someHistory("a")
	filter := Filter{Producer: "crm", Results: true, Since: time.Now().Add(-time.Minute)}
	first := b.watch(b.client, filter)
	first.next(2)
	first.stop()
	filter.Since = time.Now().Add(-time.Hour) // another consumer of the same name
	second := b.watch(b.client, filter)
	if diff := cmp.Diff([]string{"a started", "a succeeded"}, second.next(2)); diff != "" {
		t.Errorf("second Watch() (-want +got):\n%s", diff)
	}
}

func TestWatchEndsWithItsReadersError(t *testing.T) {
	b := newBus(t)
	b.someHistory("a")
	enough := errors.New("enough")
	err := b.client.Watch(within(t, 20*time.Second), Filter{Producer: "crm", Results: true, Since: time.Now().Add(-time.Minute)}, func(Record) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("Watch() = %v; want the error of its function", err)
	}
	bare := newServer(t, nil)
	err = bare.client.Watch(within(t, 20*time.Second), Filter{Producer: "crm", Results: true, Since: time.Now()}, nil)
	if err == nil || !strings.Contains(err.Error(), "there is no stream CALL_RESULTS") {
		t.Errorf("Watch() without streams = %v; want that there is none", err)
	}
}

func TestFilterThatCannotBeWatched(t *testing.T) {
	for says, f := range map[string]Filter{
		"producer":         {Producer: "a.b", Results: true},
		"callRef":          {Producer: "a", CallRef: "*", Results: true},
		"kind \"end\"":     {Producer: "a", Events: true, Kinds: []commands.Kind{"end"}},
		"status \"done\"":  {Producer: "a", Results: true, Statuses: []commands.Status{"done"}},
		"nothing to watch": {Producer: "a"},
	} {
		if err := f.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Validate(%v) = %v; want …%s…", f, err, says)
		}
	}
	if err := (Filter{Producer: commands.IncomingProducer, Events: true}).Validate(); err != nil {
		t.Errorf("Validate() of incoming calls = %v; want nil", err)
	}
}
