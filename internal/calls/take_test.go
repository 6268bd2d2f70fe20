package calls

import (
	"errors"
	"slices"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/timers"
)

// TestTake tells stories of notifications at a place's own URL.
func TestTake(t *testing.T) {
	t.Run("a notification proves a place whose answer is out", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Started)
		r.mustTake(stateEvent("c1", StateEstablishing))
		own := r.own(place)
		if own.Status != commands.Accepted || own.CallID != "c1" || own.Attempt != "noncep" {
			t.Fatalf("record = %+v; want accepted with the call id of the notification", own)
		}
		if e := r.entry(order); !e.Is("c1") || e.PlaceID != "p1" || e.OpenOf("p1") == nil || !e.Notified || e.State != StateEstablishing {
			t.Fatalf("entry = %+v; want it bound to the place, which is open", e)
		}
		r.mustTake(stateEvent("c1", StateEstablished))
		if own := r.own(place); own.Status != commands.Succeeded {
			t.Errorf("record = %s; want succeeded", own.Status)
		}
		if r.hints.Load() < 2 {
			t.Errorf("%d hints; want one a change", r.hints.Load())
		}
	})

	t.Run("a notification before any record is looked at again, then left alone", func(t *testing.T) {
		r := setup(t)
		ev := stateEvent("c1", StateEstablishing)
		if err := r.take(r.ctx, ev); !errors.Is(err, errNotYet) {
			t.Fatalf("take() = %v; want errNotYet", err)
		}
		ev.Time = ev.Time.Add(-2 * notYetFor)
		r.mustTake(ev)
		if e := r.entry(order); e.CallID != "" {
			t.Errorf("entry = %+v; want none", e)
		}
	})

	t.Run("a second call at the same URL is an orphan and hung up", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		r.mustTake(stateEvent("c2", StateEstablishing))
		r.mustTake(stateEvent("c2", StateEstablishing)) // told twice: the event is stored once
		if got := r.graph.seen(); !slices.Contains(got, "hangup tenant c2") || slices.Contains(got, "hangup tenant c1") {
			t.Errorf("requests = %v; want only c2 hung up", got)
		}
		if others := r.stored(commands.KindOther); len(others) != 1 || others[0].Reason != "orphan" || others[0].CallID != "c2" {
			t.Errorf("events = %+v; want one orphan", others)
		}
		if e := r.entry(order); !e.Is("c1") {
			t.Errorf("entry = %+v; want the first call kept", e)
		}
	})

	t.Run("the call of a place that was given up is an orphan", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Started, commands.Waiting, commands.Cancelled)
		r.mustTake(stateEvent("c1", StateEstablishing))
		if got := r.graph.seen(); !slices.Equal(got, []string{"hangup tenant c1"}) {
			t.Errorf("requests = %v; want c1 hung up", got)
		}
	})

	t.Run("a call of an attempt that a replica has not got yet is no orphan", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Started, commands.Waiting) // throttled, and then sent again
		ev := stateEvent("c1", StateEstablishing)
		ev.Attempt = 2
		if err := r.take(r.ctx, ev); !errors.Is(err, errNotYet) {
			t.Errorf("take() = %v; want errNotYet", err)
		}
		if got := r.graph.seen(); len(got) != 0 {
			t.Errorf("requests = %v; want none", got)
		}
		ev.Attempt = 1
		r.mustTake(ev)
		if got := r.graph.seen(); !slices.Equal(got, []string{"hangup tenant c1"}) {
			t.Errorf("requests = %v; want the call of the attempt that Graph had refused hung up", got)
		}
	})

	t.Run("an orphan that has ended already is left alone", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Cancelled)
		r.mustTake(stateEvent("c1", StateTerminated))
		if got := r.graph.seen(); len(got) != 0 {
			t.Errorf("requests = %v; want none", got)
		}
	})

	t.Run("an orphan that cannot be hung up now comes back", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Cancelled)
		away := errors.New("Graph is away")
		r.graph.set("c1", answer{err: away})
		if err := r.take(r.ctx, stateEvent("c1", StateEstablishing)); !errors.Is(err, away) {
			t.Errorf("take() = %v; want %v", err, away)
		}
	})

	t.Run("news of an older call of the name is not folded", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		r.mustTake(stateEvent("c1", StateEstablished))
		r.mustTake(stateEvent("c1", StateTerminated))
		second := key("p2")
		r.record(second, commands.Place, "c2", commands.Started, commands.Accepted)
		if err := r.Placed(r.ctx, r.own(second), commands.CallLimits{}, Original{}); err != nil {
			t.Fatal(err)
		}
		r.mustTake(stateEvent("c1", StateTerminated))
		if e := r.entry(order); !e.Is("c2") || e.Ended() || e.PlaceID != "p2" {
			t.Errorf("entry = %+v; want the second call untouched", e)
		}
		if got := r.graph.seen(); len(got) != 0 {
			t.Errorf("requests = %v; want none", got)
		}
	})

	t.Run("a place that was never known and whose name is used again is an orphan", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Started, commands.Unknown)
		r.record(key("p2"), commands.Place, "c2", commands.Started, commands.Accepted)
		r.mustTake(stateEvent("c1", StateEstablishing))
		if got := r.graph.seen(); !slices.Equal(got, []string{"hangup tenant c1"}) {
			t.Errorf("requests = %v; want c1 hung up", got)
		}
	})

	t.Run("news at the URL of another command of the call is the call's", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		ev := stateEvent("c1", StateEstablished)
		ev.CommandID = ""
		r.mustTake(ev)
		if own := r.own(place); own.Status != commands.Succeeded {
			t.Errorf("record = %s; want succeeded", own.Status)
		}
		ev.CallID, ev.State = "c9", StateTerminated
		r.mustTake(ev)
		if e := r.entry(order); e.Ended() {
			t.Error("another call's end was folded")
		}
	})
}

// TestLateProof tells what becomes of a place that had ended unknown.
func TestLateProof(t *testing.T) {
	t.Run("the place is corrected, and its call looked after", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Started, commands.Unknown)
		unknown := r.own(place).Seq
		r.mustTake(stateEvent("c1", StateEstablished))
		if own := r.own(place); own.Status != commands.Succeeded || own.Corrects != unknown || own.CallID != "c1" {
			t.Fatalf("record = %+v; want a correction of %d", own, unknown)
		}
		armed := r.armed()
		for _, kind := range []timers.Kind{timerDuration, timerLook} {
			if !armed[r.prefix.Timer(place, string(kind))] {
				t.Errorf("armed = %v; want %s", armed, kind)
			}
		}
	})

	t.Run("hung up meanwhile, the call is hung up at once and both are corrected", func(t *testing.T) {
		r := setup(t)
		r.record(place, commands.Place, "", commands.Started, commands.Unknown)
		r.record(key("h1"), commands.Hangup, "", commands.Unknown)
		if err := r.WantHangupOf(r.ctx, place, "hungUp", "h1"); err != nil {
			t.Fatal(err)
		}
		r.mustTake(stateEvent("c1", StateEstablishing))
		if got := r.graph.seen(); !slices.Equal(got, []string{"hangup tenant c1"}) {
			t.Fatalf("requests = %v; want c1 hung up", got)
		}
		if !r.armed()[r.prefix.Timer(place, string(timerHangup))] {
			t.Error("no timer looks whether the call is really gone")
		}
		r.mustTake(stateEvent("c1", StateTerminated))
		if own := r.own(place); own.Status != commands.Cancelled || own.Corrects == 0 {
			t.Errorf("place = %+v; want a correction to cancelled", own)
		}
		if own := r.own(key("h1")); own.Status != commands.Succeeded || own.Corrects == 0 {
			t.Errorf("hang-up = %+v; want a correction to succeeded", own)
		}
	})

	t.Run("a hang-up that waits for the call id is not forgotten when it comes", func(t *testing.T) {
		for name, learn := range map[string]func(*room){
			"by the answer": func(r *room) { r.placed("c1") },
			"by a notification": func(r *room) {
				r.record(place, commands.Place, "", commands.Started)
				r.mustTake(stateEvent("c1", StateEstablishing))
			},
		} {
			t.Run(name, func(t *testing.T) {
				r := setup(t)
				if err := r.WantHangupOf(r.ctx, place, "hungUp", ""); err != nil {
					t.Fatal(err)
				}
				if e := r.entry(order); e.Live() || !e.HangupWanted || e.PlaceID != "p1" {
					t.Fatalf("entry = %+v; want the wish noted and no call", e)
				}
				learn(r)
				if e := r.entry(order); !e.Live() || !e.HangupWanted || e.HangupReason != "hungUp" {
					t.Fatalf("entry = %+v; want the call, and the wish kept", e)
				}
				r.mustTake(stateEvent("c1", StateTerminated))
				if own := r.own(place); own.Status != commands.Cancelled {
					t.Errorf("place = %s; want cancelled", own.Status)
				}
			})
		}
	})

	t.Run("the wish for an older place does not touch a live call", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		if err := r.WantHangupOf(r.ctx, key("p0"), "hungUp", "h1"); err != nil {
			t.Fatal(err)
		}
		if e := r.entry(order); !e.Is("c1") || e.HangupWanted {
			t.Errorf("entry = %+v; want the live call untouched", e)
		}
	})
}

func TestTakeEndsACall(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	accepted := r.entry(order).AcceptedAt
	established, ended := stateEvent("c1", StateEstablished), withInfo(stateEvent("c1", StateTerminated), 200, 540000)
	established.Time, ended.Time = accepted.Add(4*time.Second), accepted.Add(64*time.Second)
	for _, ev := range []commands.Event{established, ended, ended, established} {
		r.mustTake(ev)
	}
	ends := r.stored(commands.KindEnded)
	if len(ends) != 1 {
		t.Fatalf("%d ends stored; want 1", len(ends))
	}
	if e := ends[0]; e.CallID != "c1" || e.CommandID != "p1" || e.Reason != "ended" || e.RingMS == nil || *e.RingMS != 4000 || e.TalkMS == nil || *e.TalkMS != 60000 {
		t.Errorf("end = %+v; want 4 s of ringing and 60 s of talk", e)
	}
	if !slices.Equal(r.obs.ended, []string{"ended"}) {
		t.Errorf("observer was told %v; want one end", r.obs.ended)
	}
}

func TestTakeReadsTheCallWhenInDoubt(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.mustTake(stateEvent("c1", StateEstablished))
	r.record(key("x1"), commands.Transfer, "c1", commands.Started, commands.Accepted)
	if _, err := r.Registry.Update(r.ctx, order, func(e *Entry) bool { return e.Add(transferOpen) }); err != nil {
		t.Fatal(err)
	}
	r.mustTake(stateEvent("c1", StateTransferring))
	r.graph.set("c1", answer{reading: Reading{At: time.Now().Add(time.Second), State: StateEstablished}})
	r.mustTake(stateEvent("c1", StateEstablished))
	if got := r.graph.seen(); !slices.Equal(got, []string{"read tenant c1"}) {
		t.Fatalf("requests = %v; want the call read", got)
	}
	events := r.stored(commands.KindState)
	if len(events) != 1 || events[0].Source != commands.SourceRead {
		t.Fatalf("events = %+v; want what the reading showed", events)
	}
	r.mustTake(events[0])
	if own := r.own(key("x1")); own.Status != commands.Failed || own.Error.Reason != "transferFailed" {
		t.Errorf("transfer = %s, %+v; want failed", own.Status, own.Error)
	}
}

func TestAnOperationThatIsFasterThanItsAnswerIsSettledByContext(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.record(key("pp1"), commands.PlayPrompt, "c1", commands.Started)
	ev := stateEvent("c1", "")
	ev.Kind, ev.Operation = commands.KindOperation, &commands.Operation{ID: "op1", Status: "completed", ClientContext: "pp1"}
	r.mustTake(ev)
	own := r.own(key("pp1"))
	if own.Status != commands.Succeeded || own.Operation == nil || own.Operation.ID != "op1" {
		t.Errorf("record = %+v; want succeeded with the operation", own)
	}
	ev.Operation = &commands.Operation{ID: "op2", Status: "completed", ClientContext: "no such command"}
	r.mustTake(ev)
}

// TestRunFoldsFromTheStream also makes the consumer anew, as an operator's
// reconciliation would: folding must go on.
func TestRunFoldsFromTheStream(t *testing.T) {
	r := setup(t)
	take, stop := contextWithCancel(t)
	done := make(chan struct{})
	go func() { defer close(done); r.Run(take, r.ctx, 4) }()
	r.record(place, commands.Place, "", commands.Started)
	append := func(state string) {
		t.Helper()
		if err := r.Events.Append(r.ctx, stateEvent("c1", state), ""); err != nil {
			t.Fatal(err)
		}
	}
	append(StateEstablishing)
	r.until("the place is accepted", func() bool { return r.own(place).Status == commands.Accepted })
	name := r.prefix.Stream("EVENTS")
	cons, err := r.js.Consumer(r.ctx, name, "fold")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.js.DeleteConsumer(r.ctx, name, "fold"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.js.CreateConsumer(r.ctx, name, cons.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	append(StateEstablished)
	r.until("the place has succeeded", func() bool { return r.own(place).Status == commands.Succeeded })
	stop()
	<-done
}

// until polls for what comes of itself.
func (r *room) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("not in time: %s", what)
		}
	}
}
