package calls

import (
	"encoding/json"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/timers"
)

// TestLateNews tells what becomes of a place whose call ended before anything
// was heard of an answer: notifications come late, swapped, or not at all.
func TestLateNews(t *testing.T) {
	look := func(r *room) timers.Timer {
		t.Helper()
		timer, ok, err := r.timers.Find(r.ctx, place, timerLook)
		if err != nil || !ok {
			t.Fatalf("Find() = %t, %v; want the look at the place", ok, err)
		}
		return timer
	}

	t.Run("an answer that comes after the end counts", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		r.mustTake(withInfo(stateEvent("c1", StateTerminated), 200, 18503))
		if own := r.own(place); own.Final {
			t.Fatalf("record = %s; want the place open, its answer may be late", own.Status)
		}
		r.mustTake(stateEvent("c1", StateEstablished))
		if own := r.own(place); own.Status != commands.Succeeded || own.Corrects != 0 {
			t.Errorf("record = %+v; want succeeded", own)
		}
		if e := r.entry(order); len(e.Open) != 0 || !e.Ended() {
			t.Errorf("entry = %+v; want it over and nothing open", e)
		}
		if n := len(r.stored(commands.KindEnded)); n != 1 {
			t.Errorf("%d ends; want 1", n)
		}
	})

	t.Run("no answer: unknown after a while, with the original, and corrected later", func(t *testing.T) {
		r := setup(t)
		from := Original{Subject: "calls.commands.crm.order-1.place", Sequence: 7, Headers: map[string][]string{"X": {"y"}}, Body: []byte(`{"id":"p1"}`)}
		r.record(place, commands.Place, "c1", commands.Started, commands.Accepted)
		if err := r.Placed(r.ctx, r.own(place), commands.CallLimits{}, from); err != nil {
			t.Fatal(err)
		}
		r.mustTake(withInfo(stateEvent("c1", StateTerminated), 200, 18503))
		if _, err := r.Fire(r.ctx, look(r)); err != nil {
			t.Fatal(err)
		}
		unknown := r.own(place)
		if unknown.Status != commands.Unknown || unknown.Error.Reason != "endedUnseen" {
			t.Fatalf("record = %+v; want unknown, endedUnseen", unknown)
		}
		letters := r.letters()
		if len(letters) != 1 || letters[0].Subject != from.Subject || letters[0].Sequence != 7 || letters[0].Original != string(from.Body) || letters[0].Headers["X"][0] != "y" || len(letters[0].Ledger) != 2 {
			t.Errorf("dead letters = %+v; want one with the original and two records", letters)
		}
		again := timers.Timer{Key: place, Kind: timerLook, CallID: "c1"}
		if _, err := r.Fire(r.ctx, again); err != nil || r.own(place).Seq != unknown.Seq {
			t.Fatalf("a second look: %v, record %+v; want nothing changed", err, r.own(place))
		}
		r.mustTake(stateEvent("c1", StateEstablished))
		if own := r.own(place); own.Status != commands.Succeeded || own.Corrects != unknown.Seq {
			t.Errorf("record = %+v; want a correction of %d", own, unknown.Seq)
		}
	})

	t.Run("an answer and a prompt's end that are stored and in dead hands count", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		r.record(key("pp1"), commands.PlayPrompt, "c1", commands.Started, commands.Accepted)
		if _, err := r.Registry.Update(r.ctx, order, func(e *Entry) bool {
			return e.Add(Open{ID: "pp1", Action: commands.PlayPrompt, ClientContext: "pp1"})
		}); err != nil {
			t.Fatal(err)
		}
		played := stateEvent("c1", "")
		played.Kind, played.Operation = commands.KindOperation, &commands.Operation{ID: "op1", Status: "completed", ClientContext: "pp1"}
		other := stateEvent("c9", StateEstablished)
		for _, ev := range []commands.Event{stateEvent("c1", StateEstablished), played, other} {
			if err := r.Events.Append(r.ctx, ev, ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.WantHangup(r.ctx, order, "c1", "hungUp"); err != nil {
			t.Fatal(err)
		}
		r.mustTake(withInfo(stateEvent("c1", StateTerminated), 200, 7000))
		if own := r.own(place); own.Status != commands.Succeeded {
			t.Errorf("place = %s; want succeeded, it was answered", own.Status)
		}
		if own := r.own(key("pp1")); own.Status != commands.Succeeded {
			t.Errorf("prompt = %s; want succeeded, it was played", own.Status)
		}
	})

	t.Run("found gone, then told why: corrected", func(t *testing.T) {
		r := setup(t)
		r.placed("c1")
		gone := stateEvent("c1", StateTerminated)
		gone.Source, gone.Reason = commands.SourceRead, ReasonUnseen
		r.mustTake(gone)
		unknown := r.own(place)
		if unknown.Status != commands.Unknown {
			t.Fatalf("record = %s; want unknown", unknown.Status)
		}
		if e := r.entry(order); e.Waits("") {
			t.Errorf("entry = %+v; want nobody to wait for the place", e)
		}
		r.mustTake(withInfo(stateEvent("c1", StateTerminated), 486, 560486))
		if own := r.own(place); own.Status != commands.Failed || own.Error.Reason != "busy" || own.Corrects != unknown.Seq {
			t.Errorf("record = %+v; want a correction to busy", own)
		}
	})
}

// TestAContextThatIsTheIDOfAnotherCommand: a producer's own clientContext may
// be anything.
func TestAContextThatIsTheIDOfAnotherCommand(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	ev := stateEvent("c1", "")
	ev.Kind, ev.Operation = commands.KindOperation, &commands.Operation{ID: "op1", Status: "failed", ClientContext: "p1"}
	r.mustTake(ev)
	if own := r.own(place); own.Status != commands.Accepted {
		t.Errorf("place = %s; want it untouched by an operation", own.Status)
	}
}

func TestAttachedOriginalSurvivesTheTimer(t *testing.T) {
	r := setup(t)
	from := Original{Subject: "s", Sequence: 1, Body: []byte{0xff, 0}}
	armed := timers.Timer{Key: place, Kind: timerLook, CallID: "c1", Attached: from.attach()}
	if err := r.timers.Arm(r.ctx, armed, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	found, ok, err := r.timers.Find(r.ctx, place, timerLook)
	var got Original
	if err != nil || !ok || json.Unmarshal(found.Attached, &got) != nil || string(got.Body) != string(from.Body) {
		t.Errorf("Find() = %+v, %t, %v; want %+v", got, ok, err, from)
	}
	if _, ok, err := r.timers.Find(r.ctx, key("none"), timerLook); ok || err != nil {
		t.Errorf("Find() of no timer = %t, %v", ok, err)
	}
}
