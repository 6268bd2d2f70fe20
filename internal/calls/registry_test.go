package calls

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"callbus/internal/commands"
)

func TestPutRefusesAnEntryThatHasMoved(t *testing.T) {
	r := setup(t)
	first, second := Entry{CallID: "c1"}, Entry{CallID: "c2"}
	if err := r.Registry.Put(r.ctx, order, &first); err != nil {
		t.Fatal(err)
	}
	if err := r.Registry.Put(r.ctx, order, &second); !errors.Is(err, ErrConflict) {
		t.Fatalf("Put() of an entry that was made meanwhile = %v; want ErrConflict", err)
	}
	stale := r.entry(order)
	first.State = StateEstablished
	if err := r.Registry.Put(r.ctx, order, &first); err != nil {
		t.Fatalf("Put() of an entry just written = %v; want its revision carried on", err)
	}
	if err := r.Registry.Put(r.ctx, order, &stale); !errors.Is(err, ErrConflict) {
		t.Fatalf("Put() of a stale entry = %v; want ErrConflict", err)
	}
	if e := r.entry(order); e.CallID != "c1" || e.State != StateEstablished {
		t.Errorf("Get() = %+v; want what the first writer stored", e)
	}
}

func TestGetOfADeletedEntryStillLetsOneWrite(t *testing.T) {
	r := setup(t)
	e := Entry{CallID: "c1"}
	if err := r.Registry.Put(r.ctx, order, &e); err != nil {
		t.Fatal(err)
	}
	kv, err := r.js.KeyValue(r.ctx, r.prefix.Registry())
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(r.ctx, order.String()); err != nil {
		t.Fatal(err)
	}
	gone, ok, err := r.Registry.Get(r.ctx, order)
	if err != nil || ok || gone.CallID != "" {
		t.Fatalf("Get() of a deleted entry = %+v, %t, %v; want none", gone, ok, err)
	}
	gone.CallID = "c2"
	if err := r.Registry.Put(r.ctx, order, &gone); err != nil {
		t.Fatalf("Put() over a deleted entry = %v", err)
	}
}

func TestUpdateUnderContentionLosesNothing(t *testing.T) {
	r := setup(t)
	const writers, each = 6, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if _, err := r.Registry.Update(r.ctx, order, func(e *Entry) bool { e.Participants++; return true }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if e := r.entry(order); e.Participants != writers*each {
		t.Errorf("counted %d of %d updates", e.Participants, writers*each)
	}
	before := r.entry(order).revision
	if _, err := r.Registry.Update(r.ctx, order, func(*Entry) bool { return false }); err != nil || r.entry(order).revision != before {
		t.Errorf("Update() without a change = %v, revision %d; want %d kept", err, r.entry(order).revision, before)
	}
}

func TestClaimHasOneWinner(t *testing.T) {
	r := setup(t)
	const callID = "0A1B2C3D-0000-0000-0000-000000000001"
	var winners sync.Map
	var wg sync.WaitGroup
	for _, who := range []commands.CallKey{{Producer: "crm", CallRef: "a"}, {Producer: "shop", CallRef: "b"}} {
		for range 3 {
			wg.Go(func() {
				owner, err := r.Registry.Claim(r.ctx, callID, who)
				if err != nil {
					t.Error(err)
				}
				winners.Store(owner, true)
			})
		}
	}
	wg.Wait()
	n := 0
	winners.Range(func(owner, _ any) bool {
		n++
		if got, ok, err := r.Registry.Owner(r.ctx, "0a1b2c3d000000000000000000000001"); err != nil || !ok || got != owner {
			t.Errorf("Owner() = %v, %t, %v; want %v, however the id is spelled", got, ok, err, owner)
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d different owners were told; want 1", n)
	}
	if _, ok, err := r.Registry.Owner(r.ctx, "unheard-of"); ok || err != nil {
		t.Errorf("Owner() of an unknown call = %t, %v; want none", ok, err)
	}
}

func TestAnIncomingCallIsClaimedOnce(t *testing.T) {
	r := setup(t)
	incoming := commands.CallKey{Producer: commands.IncomingProducer, CallRef: "c1"}
	r.mustTake(commands.Event{Producer: incoming.Producer, CallRef: "c1", CallID: "c1", TenantID: "tenant", Kind: commands.KindIncoming, State: StateIncoming, Time: at(1), RespondBy: ptr(at(16))})
	if owner, ok, err := r.Registry.Owner(r.ctx, "c1"); err != nil || !ok || owner != incoming {
		t.Fatalf("Owner() = %v, %t, %v; want %v", owner, ok, err, incoming)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for _, who := range []commands.CallKey{{Producer: "crm", CallRef: "a"}, {Producer: "shop", CallRef: "b"}, {Producer: "bank", CallRef: "c"}} {
		wg.Go(func() {
			owner, err := r.BindCall(r.ctx, who, "C1", "tenant", who.Producer == "crm")
			if err != nil {
				t.Error(err)
			}
			e := r.entry(who)
			if owner != who {
				if e.CallID != "" {
					t.Errorf("entry of the loser %v = %+v; want none", who, e)
				}
				return
			}
			won.Add(1)
			if !e.Is("c1") || e.State != StateIncoming || !e.RespondBy.Equal(at(16)) || e.KeepAlive != (who.Producer == "crm") {
				t.Errorf("entry of the winner = %+v; want what was known of the incoming call", e)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d claims won; want 1", won.Load())
	}
}

func TestWatchLiveCountsByState(t *testing.T) {
	r := setup(t)
	for i, e := range []Entry{{CallID: "c1", State: StateEstablished}, {CallID: "c2", State: StateEstablished}, {CallID: "c3", State: StateTerminated, EndedAt: at(1)}, {PlaceID: "p", HangupWanted: true}} {
		if err := r.Registry.Put(r.ctx, commands.CallKey{Producer: "crm", CallRef: string(rune('a' + i))}, &e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Registry.Claim(r.ctx, "c1", order); err != nil {
		t.Fatal(err)
	}
	counts := make(chan map[string]int, 1)
	done := make(chan error, 1)
	ctx, stop := contextWithCancel(t)
	go func() {
		done <- r.Registry.WatchLive(ctx, func(c map[string]int) {
			select {
			case counts <- c:
			default:
			}
		})
	}()
	if c := <-counts; c[StateEstablished] != 2 || len(c) != 1 {
		t.Errorf("told %v; want two established calls and nothing else", c)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
