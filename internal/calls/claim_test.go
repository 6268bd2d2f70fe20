package calls

import (
	"testing"
	"time"

	"callbus/internal/commands"
)

const incomingID = "57DAB8B1894C409AB240BD8BEAE78896"

// incomingEvent is a notification to the global webhook, stored before anybody
// had claimed the call.
func incomingEvent(kind commands.Kind, state string) commands.Event {
	return commands.Event{
		Producer: commands.IncomingProducer, CallRef: commands.NormalCallID(incomingID), CallID: incomingID, TenantID: "tenant",
		Kind: kind, Time: time.Now().UTC(), State: state,
	}
}

func TestAnIncomingCallChangesHands(t *testing.T) {
	desk := commands.CallKey{Producer: "desk", CallRef: "visitor"}
	nobody := commands.CallKey{Producer: commands.IncomingProducer, CallRef: commands.NormalCallID(incomingID)}
	respondBy := time.Now().Add(15 * time.Second).UTC()
	arrival := incomingEvent(commands.KindIncoming, StateIncoming)
	arrival.RespondBy = &respondBy
	bind := func(r *room) {
		r.t.Helper()
		if owner, err := r.BindCall(r.ctx, desk, incomingID, "tenant", false); err != nil || owner != desk {
			r.t.Fatalf("BindCall() = %v, %v; want %v", owner, err, desk)
		}
	}
	moved := func(r *room) {
		r.t.Helper()
		if e := r.entry(desk); !e.Is(incomingID) || !e.RespondBy.Equal(respondBy) {
			r.t.Errorf("entry = %+v; want the incoming call, to be decided on by %s", e, respondBy)
		}
		if e := r.entry(nobody); e.CallID != "" {
			r.t.Errorf("entry under the name it came in = %+v; want none, or it lives for ever", e)
		}
	}

	t.Run("claimed after its event was folded", func(t *testing.T) {
		r := setup(t)
		r.mustTake(arrival)
		if e := r.entry(nobody); !e.Live() {
			t.Fatal("the incoming call is not in the registry")
		}
		bind(r)
		moved(r)
		for _, call := range []commands.CallKey{nobody, desk} {
			if at := r.due(callTimer(call), timerHangup); at.Before(respondBy) {
				t.Errorf("a look at %s is due %v; want one after %v", call, at, respondBy)
			}
		}
	})

	t.Run("claimed before its event was folded", func(t *testing.T) {
		r := setup(t)
		bind(r)
		r.mustTake(arrival)
		moved(r)
	})

	t.Run("its end was stored before it was claimed, and folded after", func(t *testing.T) {
		r := setup(t)
		r.mustTake(arrival)
		bind(r)
		r.mustTake(withInfo(incomingEvent(commands.KindState, StateTerminated), 487, 10004))
		if e := r.entry(desk); !e.Ended() {
			t.Errorf("entry = %+v; want it ended", e)
		}
		if ends := r.stored(commands.KindEnded); len(ends) != 1 || ends[0].Producer != "desk" || ends[0].CallRef != "visitor" {
			t.Errorf("ends = %+v; want one, told to its owner", ends)
		}
	})

	t.Run("a second claim leaves the first one alone", func(t *testing.T) {
		r := setup(t)
		r.mustTake(arrival)
		bind(r)
		other := commands.CallKey{Producer: "sales", CallRef: "visitor"}
		if owner, err := r.BindCall(r.ctx, other, incomingID, "tenant", false); err != nil || owner != desk {
			t.Errorf("BindCall() = %v, %v; want it refused for %v", owner, err, desk)
		}
		moved(r)
	})

	t.Run("what was folded while it changed hands moves along", func(t *testing.T) {
		r := setup(t)
		r.mustTake(arrival)
		bind(r)
		// Another worker had read the owner before, and stores what it folded.
		late := Entry{CallID: incomingID, TenantID: "tenant", State: StateRedirecting, RespondBy: respondBy}
		if _, err := r.Registry.Update(r.ctx, nobody, func(e *Entry) bool {
			late.revision = e.revision
			*e = late
			return true
		}); err != nil {
			t.Fatal(err)
		}
		bind(r)
		moved(r)
		if e := r.entry(desk); e.State != StateRedirecting {
			t.Errorf("state = %s; want %s", e.State, StateRedirecting)
		}
	})

	t.Run("nobody decides and the end is lost: a look finds out", func(t *testing.T) {
		r := setup(t)
		r.mustTake(arrival)
		timer, ok, err := r.timers.Find(r.ctx, callTimer(nobody), timerHangup)
		if err != nil || !ok {
			t.Fatalf("Find() = %t, %v; want a look at the call", ok, err)
		}
		r.graph.set(incomingID, answer{reading: Reading{State: StateIncoming}})
		begun := time.Now()
		if again, err := r.Fire(r.ctx, timer); err != nil || again.Before(begun.Add(lookAgain)) {
			t.Fatalf("Fire() = %v, %v; want another look in %s", again, err, lookAgain)
		}
		r.graph.set(incomingID, answer{reading: Reading{Gone: true}})
		if again, err := r.Fire(r.ctx, timer); err != nil || !again.IsZero() {
			t.Fatalf("Fire() = %v, %v; want no further look", again, err)
		}
		r.mustTake(r.stored(commands.KindState)[0])
		if e := r.entry(nobody); !e.Ended() {
			t.Errorf("entry = %+v; want it ended", e)
		}
	})
}
