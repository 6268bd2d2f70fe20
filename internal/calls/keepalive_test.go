package calls

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
	"callbus/internal/timers"
)

// due is when an armed timer fires, zero when it is not armed.
func (r *room) due(k commands.Key, kind timers.Kind) time.Time {
	r.t.Helper()
	s, err := r.js.Stream(r.ctx, r.prefix.Stream(streams.Timers))
	if err != nil {
		r.t.Fatal(err)
	}
	msg, err := s.GetLastMsgForSubject(r.ctx, r.prefix.Timer(k, string(kind)))
	if err != nil {
		return time.Time{}
	}
	var text string
	if _, err := fmt.Sscanf(msg.Header.Get("Nats-Schedule"), "@at %s", &text); err != nil {
		r.t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		r.t.Fatal(err)
	}
	return at
}

func TestKeepAliveIsArmedOnceAndSpread(t *testing.T) {
	t.Run("calls that are answered together are not kept alive together", func(t *testing.T) {
		r := setup(t)
		begun := time.Now()
		seen := map[time.Time]bool{}
		for i := range 20 {
			call := commands.CallKey{Producer: "crm", CallRef: fmt.Sprintf("order-%d", i)}
			if err := r.watchEstablished(r.ctx, call, Entry{CallID: fmt.Sprintf("c%d", i), KeepAlive: true, State: StateEstablished}); err != nil {
				t.Fatal(err)
			}
			at := r.due(callTimer(call), timerKeepAlive)
			if at.Before(begun.Add(r.opts.KeepAliveInterval/2)) || at.After(time.Now().Add(r.opts.KeepAliveInterval)) {
				t.Errorf("first keep-alive after %s; want half an interval to a whole one", at.Sub(begun))
			}
			seen[at.Truncate(time.Minute)] = true
		}
		if len(seen) < 3 {
			t.Errorf("20 calls are kept alive in %d different minutes; want them spread", len(seen))
		}
	})

	t.Run("news of an established call does not put its keep-alive off", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		r.mustTake(stateEvent("c1", StateEstablished))
		first := r.due(callTimer(order), timerKeepAlive)
		for range 3 {
			ev := stateEvent("c1", StateEstablished)
			active := true
			ev.AudioActive = &active
			r.mustTake(ev)
		}
		if at := r.due(callTimer(order), timerKeepAlive); first.IsZero() || !at.Equal(first) {
			t.Errorf("keep-alive moved from %v to %v; want it to stay", first, at)
		}
	})

	t.Run("a timer of an earlier call of the name gives way", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		old := timers.Timer{Key: callTimer(order), Kind: timerKeepAlive, CallID: "c0"}
		if err := r.timers.Arm(r.ctx, old, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		r.mustTake(stateEvent("c1", StateEstablished))
		if got, _, err := r.timers.Find(r.ctx, old.Key, timerKeepAlive); err != nil || got.CallID != "c1" {
			t.Errorf("Find() = %+v, %v; want the keep-alive of c1", got, err)
		}
	})
}

// TestKeepAliveHealsALostEnd: nobody tells that the call is over, and the next
// keep-alive finds out.
func TestKeepAliveHealsALostEnd(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.mustTake(stateEvent("c1", StateEstablished))
	r.graph.set("c1", answer{gone: true, reading: Reading{Gone: true}})
	again, err := r.Fire(r.ctx, timers.Timer{Key: callTimer(order), Kind: timerKeepAlive, CallID: "c1"})
	if err != nil || !again.IsZero() {
		t.Fatalf("Fire() = %v, %v; want no further keep-alive", again, err)
	}
	told := r.stored(commands.KindState)
	if len(told) != 1 {
		t.Fatalf("events = %+v; want what the reading showed", told)
	}
	r.mustTake(told[0])
	ends := r.stored(commands.KindEnded)
	if len(ends) != 1 || ends[0].Reason != ReasonUnseen || ends[0].CallID != "c1" {
		t.Errorf("ends = %+v; want one, unseen", ends)
	}
	if e := r.entry(order); !e.Ended() || e.Reason != ReasonUnseen {
		t.Errorf("entry = %+v; want it ended, unseen", e)
	}
}

// TestKeepAlivesAreTold: each that was answered, and a failure that comes back
// every few seconds once.
func TestKeepAlivesAreTold(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.mustTake(stateEvent("c1", StateEstablished))
	timer := timers.Timer{Key: callTimer(order), Kind: timerKeepAlive, CallID: "c1"}
	for _, a := range []answer{{}, {err: errAway}, {err: errAway}, {}} {
		r.graph.set("c1", a)
		if _, err := r.Fire(r.ctx, timer); (err != nil) != (a.err != nil) {
			t.Fatalf("Fire() = %v; want %v", err, a.err)
		}
	}
	var reasons []string
	for _, ev := range r.stored(commands.KindKeepAlive) {
		reasons = append(reasons, ev.Reason)
		if ev.CallID != "c1" || ev.CommandID != place.ID || ev.State != StateEstablished {
			t.Errorf("event = %+v; want the call's", ev)
		}
	}
	if want := "succeeded failed succeeded"; strings.Join(reasons, " ") != want {
		t.Errorf("told %q; want %q", reasons, want)
	}
}

// TestAnEntryWithoutALiveCallExpires: what will never be looked at again does
// not stay for ever.
func TestAnEntryWithoutALiveCallExpires(t *testing.T) {
	ttl := func(r *room) string {
		t.Helper()
		s, err := r.js.Stream(r.ctx, "KV_"+r.prefix.Registry())
		if err != nil {
			t.Fatal(err)
		}
		msg, err := s.GetLastMsgForSubject(r.ctx, r.Registry.subject(order.String()))
		if err != nil {
			t.Fatal(err)
		}
		return msg.Header.Get(jetstream.MsgTTLHeader)
	}
	r := setup(t)
	if err := r.WantHangupOf(r.ctx, place, "hungUp", ""); err != nil {
		t.Fatal(err)
	}
	if got := ttl(r); got == "" {
		t.Error("a wish for a call that never came stays for ever")
	}
	r.placed("c1")
	if got := ttl(r); got != "" {
		t.Errorf("a live call expires after %s; want it to stay", got)
	}
	r.mustTake(stateEvent("c1", StateTerminated))
	if got := ttl(r); got == "" {
		t.Error("an ended call stays for ever")
	}
}
