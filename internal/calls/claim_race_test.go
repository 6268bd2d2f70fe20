package calls

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"
)

// Producers claim an incoming call while its events are folded: one of them gets
// it, with all that was heard of it, and its end is told once.
func TestClaimsRaceTheEventsOfAnIncomingCall(t *testing.T) {
	for round := range 25 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			respondBy := time.Now().Add(15 * time.Second).UTC()
			arrival := incomingEvent(commands.KindIncoming, StateIncoming)
			arrival.RespondBy = &respondBy
			redirecting := incomingEvent(commands.KindState, StateRedirecting)
			var all sync.WaitGroup
			owners := make([]commands.CallKey, 3)
			for i := range owners {
				all.Go(func() {
					var err error
					call := commands.CallKey{Producer: fmt.Sprint("desk-", i), CallRef: "visitor"}
					if owners[i], err = r.BindCall(r.ctx, call, incomingID, "tenant", false); err != nil {
						t.Error(err)
					}
				})
			}
			for _, ev := range []commands.Event{arrival, arrival, redirecting} {
				all.Go(func() { r.comesBack(t, ev) })
			}
			all.Wait()
			if owners[0] != owners[1] || owners[1] != owners[2] || owners[0].Producer == commands.IncomingProducer {
				t.Fatalf("owners %v; want one", owners)
			}
			if e := r.entry(owners[0]); !e.Is(incomingID) || !e.RespondBy.Equal(respondBy) {
				t.Errorf("entry = %+v; want the incoming call, to be decided on by %s", e, respondBy)
			}
			r.comesBack(t, withInfo(incomingEvent(commands.KindState, StateTerminated), 487, 10004))
			if e := r.entry(owners[0]); !e.Ended() {
				t.Errorf("entry = %+v; want it ended", e)
			}
			if ends := r.stored(commands.KindEnded); len(ends) != 1 || ends[0].Producer != owners[0].Producer {
				t.Errorf("ends = %+v; want one, told to %s", ends, owners[0])
			}
		})
	}
}

// comesBack folds an event as the consumer does: what fails is delivered again.
func (r *room) comesBack(t *testing.T, ev commands.Event) {
	for range 200 {
		err := r.take(r.ctx, ev)
		if err == nil {
			return
		}
		if !errors.Is(err, errNotYet) {
			t.Errorf("take(%s %s) = %v", ev.Kind, ev.State, err)
			return
		}
	}
	t.Errorf("%s %s is never folded", ev.Kind, ev.State)
}
