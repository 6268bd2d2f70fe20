package calls

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
)

// story makes a sequence of events out of bytes: what strangers may send us, in
// whatever order.
func story(data []byte) []commands.Event {
	states := append(slices.Clone(LiveStates), StateTerminated, "", "unheard-of")
	var all []commands.Event
	for i := 0; i+1 < len(data) && len(all) < 40; i += 2 {
		ev := told(int(data[i+1])%60, states[int(data[i])%len(states)])
		switch data[i+1] % 5 {
		case 1:
			ev = withInfo(ev, 500, 7000)
		case 2:
			ev = withInfo(ev, 200, 0)
		case 3:
			active := data[i]%2 == 0
			ev.AudioActive = &active
		case 4:
			ev.Operation = &commands.Operation{ID: "op", ClientContext: "pp1", Status: []string{"running", "completed", "failed"}[data[i]%3]}
		}
		all = append(all, ev)
	}
	return all
}

func fresh() Entry {
	return Entry{PlaceID: "p1", CallID: "c1", Open: []Open{
		{ID: "p1", Action: commands.Place}, transferOpen, {ID: "pp1", Action: commands.PlayPrompt, ClientContext: "pp1"},
	}}
}

func foldAll(e Entry, events []commands.Event) Entry {
	e.Open = slices.Clone(e.Open)
	for _, ev := range events {
		e.Fold(ev)
	}
	return e
}

// FuzzFold holds, for any sequence of events: the rank of the state falls in
// one case only, a transfer that failed; holding stays within its rank; an
// ended call never moves again, nor does what was decided; Fold tells of every
// change; and any beginning that is told twice does no harm.
func FuzzFold(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 4, 0, 2, 1, 8, 0, 2, 0}, 3)
	f.Add([]byte{8, 0, 1, 0}, 1)
	f.Add([]byte{2, 1, 4, 0, 5, 0, 2, 1}, 4)
	f.Add([]byte{2, 3, 3, 3, 2, 4, 7, 0, 2, 0, 8, 2, 8, 1}, 5)
	f.Add([]byte{6, 0, 0, 0, 6, 4, 4, 9, 2, 6, 4, 2, 5, 13, 3, 3}, 6)
	f.Fuzz(func(t *testing.T, data []byte, twice int) {
		events := story(data)
		e := fresh()
		for i, ev := range events {
			before := e
			before.Open = slices.Clone(e.Open)
			changed, doubt := e.Fold(ev)
			if diff := cmp.Diff(before, e, cmp.AllowUnexported(Entry{})); (diff != "") != changed && !doubt {
				t.Fatalf("event %d: Fold() changed = %t; but %s", i, changed, diff)
			}
			transferFailed := e.State == StateEstablished && e.TransferFailure != nil &&
				(before.State == StateTransferring || before.State == StateTransferAccepted)
			if rank(e.State) < rank(before.State) && !transferFailed {
				t.Fatalf("event %d: state fell from %s to %s", i, before.State, e.State)
			}
			if before.Ended() && (e.State != StateTerminated || !e.EndedAt.Equal(before.EndedAt) || e.Reason != before.Reason) {
				t.Fatalf("event %d: an ended call moved: %s", i, cmp.Diff(before, e, cmp.AllowUnexported(Entry{})))
			}
			for _, o := range before.Open {
				was, did := before.Decide(o)
				if now, still := e.Decide(*e.OpenOf(o.ID)); did && o.Action == commands.Place && (!still || now.Status != was.Status) {
					t.Fatalf("event %d: place was %s, is %s", i, was.Status, now.Status)
				}
			}
		}
		if len(events) == 0 {
			return
		}
		n := (twice%(len(events)+1) + len(events) + 1) % (len(events) + 1)
		once, repeated := foldAll(fresh(), events), foldAll(foldAll(fresh(), events[:n]), events)
		if diff := cmp.Diff(once, repeated, cmp.AllowUnexported(Entry{})); diff != "" {
			t.Fatalf("the first %d of %d events told twice: %s", n, len(events), diff)
		}
	})
}
