package calls

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"callbus/internal/commands"
)

func contextWithCancel(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

func TestTheEndOfACallIsStoredOnce(t *testing.T) {
	r := setup(t)
	for i, callID := range []string{"C-1", "c2"} { // the name is used again for another call
		var firsts atomic.Int64
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				ev := commands.Event{Producer: "crm", CallRef: "order-1", CallID: callID, Time: at(n), State: StateTerminated}
				if n%2 == 1 {
					ev.CallID = commands.NormalCallID(callID)
				}
				first, err := r.Events.AppendEnd(r.ctx, ev)
				if err != nil {
					t.Error(err)
				}
				if first {
					firsts.Add(1)
				}
			})
		}
		wg.Wait()
		if ends := r.stored(commands.KindEnded); firsts.Load() != 1 || len(ends) != i+1 {
			t.Fatalf("call %s: %d writers were the first, %d ends stored; want 1 and %d", callID, firsts.Load(), len(ends), i+1)
		}
	}
}

func TestSettle(t *testing.T) {
	succeeded := Outcome{Status: commands.Succeeded}
	failed := Outcome{Status: commands.Failed, Error: &commands.Error{Class: commands.ClassGone, Code: "callEnded", Message: "over"}}
	unseen := unknown("endedUnseen", "gone")
	for _, row := range []struct {
		name     string
		statuses []commands.Status // the journal before
		outs     []Outcome
		settled  bool
		want     []commands.Status // final records
		letters  int
	}{
		{"a command that nobody has begun stays", nil, []Outcome{succeeded}, false, nil, 0},
		{"a command that waits stays", []commands.Status{commands.Waiting}, []Outcome{succeeded}, false, nil, 0},
		{"a command whose answer is out is settled", []commands.Status{commands.Started}, []Outcome{succeeded}, true, []commands.Status{commands.Succeeded}, 0},
		{"an accepted command is settled once", []commands.Status{commands.Started, commands.Accepted}, []Outcome{succeeded, failed, succeeded}, true, []commands.Status{commands.Succeeded}, 0},
		{"an unknown one goes to the dead letters, once", []commands.Status{commands.Accepted}, []Outcome{unseen, unseen}, true, []commands.Status{commands.Unknown}, 1},
		{"an unknown one is corrected once", []commands.Status{commands.Accepted}, []Outcome{unseen, failed, succeeded}, true, []commands.Status{commands.Unknown, commands.Failed}, 1},
		{"a failure is never corrected", []commands.Status{commands.Failed}, []Outcome{succeeded}, true, []commands.Status{commands.Failed}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := setup(t)
			r.record(place, commands.Place, "c1", row.statuses...)
			for _, out := range row.outs {
				settled, err := r.Settle(r.ctx, place, "c1", out)
				if err != nil || settled != row.settled {
					t.Fatalf("Settle(%s) = %t, %v; want %t", out.Status, settled, err, row.settled)
				}
			}
			history, err := r.journal.History(r.ctx, place)
			if err != nil {
				t.Fatal(err)
			}
			var finals []commands.Status
			var firstFinal uint64
			for _, rec := range history {
				if !rec.Final {
					continue
				}
				finals = append(finals, rec.Status)
				if corrects := rec.Corrects; corrects != firstFinal {
					t.Errorf("record %d corrects %d; want %d", rec.Seq, corrects, firstFinal)
				}
				firstFinal = rec.Seq
				if rec.CallID != "c1" || rec.Body != "hash" || rec.TenantID != "tenant" {
					t.Errorf("record = %+v; want call id, body hash and tenant carried on", rec)
				}
			}
			if len(finals) != len(row.want) {
				t.Fatalf("final records = %v; want %v", finals, row.want)
			}
			for i := range finals {
				if finals[i] != row.want[i] {
					t.Errorf("final records = %v; want %v", finals, row.want)
				}
			}
			if letters := r.letters(); len(letters) != row.letters {
				t.Errorf("%d dead letters; want %d", len(letters), row.letters)
			}
		})
	}
}

func TestSettleByManyWritesOneRecord(t *testing.T) {
	r := setup(t)
	r.record(place, commands.Place, "c1", commands.Started, commands.Accepted)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if settled, err := r.Settle(r.ctx, place, "c1", Outcome{Status: commands.Succeeded}); !settled || err != nil {
				t.Errorf("Settle() = %t, %v", settled, err)
			}
		})
	}
	wg.Wait()
	history, err := r.journal.History(r.ctx, place)
	if err != nil || len(history) != 3 || !history[2].Final {
		t.Errorf("history has %d records, %v; want started, accepted and one final", len(history), err)
	}
}

func TestTheEndSettlesWhatIsOpen(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.mustTake(stateEvent("c1", StateEstablished))
	for id, a := range map[string]commands.Action{"pp1": commands.PlayPrompt, "x1": commands.Transfer} {
		r.record(key(id), a, "c1", commands.Started, commands.Accepted)
	}
	r.record(key("m1"), commands.Mute, "c1", commands.Waiting)
	if _, err := r.Registry.Update(r.ctx, order, func(e *Entry) bool {
		for _, o := range []Open{{ID: "pp1", Action: commands.PlayPrompt}, {ID: "x1", Action: commands.Transfer}, {ID: "m1", Action: commands.Mute}} {
			e.Add(o)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	r.mustTake(withInfo(stateEvent("c1", StateTerminated), 200, 540000))
	for id, want := range map[string]commands.Status{"p1": commands.Succeeded, "pp1": commands.Failed, "x1": commands.Failed, "m1": commands.Waiting} {
		if own := r.own(key(id)); own.Status != want || (want == commands.Failed && own.Error.Class != commands.ClassGone) {
			t.Errorf("%s = %s, %+v; want %s, class gone where failed", id, own.Status, own.Error, want)
		}
	}
	e := r.entry(order)
	if e.OpenOf("m1") == nil || len(e.Open) != 1 {
		t.Errorf("open = %+v; want only the mute that has not begun", e.Open)
	}
}
