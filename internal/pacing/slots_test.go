package pacing

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callbus/internal/commands"
)

func take(t *testing.T, s *Slots, n int) bool {
	t.Helper()
	ok, err := s.claim(t.Context(), "home", place(n), uint64(n+1))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func usedIs(t *testing.T, s *Slots, want int) {
	t.Helper()
	until(t, "the slots in use are seen", func() bool { return s.Used()[AppScope] == want })
}

func TestThereAreNeverMoreSlotsThanTheLimit(t *testing.T) {
	f := newFleet(t)
	const limit, workers, each = 20, 3, 40
	var taken atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		s, _ := f.slots(SlotOptions{Limit: limit})
		for i := range each {
			all.Go(func() {
				ok, err := s.claim(t.Context(), "home", place(w*each+i), 1)
				if err != nil {
					t.Error(err)
				}
				if ok {
					taken.Add(1)
				}
			})
		}
	}
	all.Wait()
	if n := taken.Load(); n > limit || n < limit-workers*takeTries {
		t.Errorf("%d slots were taken by %d workers; want no more than %d, and not many fewer", n, workers, limit)
	}
	fresh, _ := f.slots(SlotOptions{Limit: limit})
	usedIs(t, fresh, int(taken.Load()))
}

func TestASlotIsTheSamePlacesAgain(t *testing.T) {
	f := newFleet(t)
	a, _ := f.slots(SlotOptions{Limit: 2})
	b, _ := f.slots(SlotOptions{Limit: 2})
	if !take(t, a, 1) {
		t.Fatal("the first place has no slot")
	}
	usedIs(t, b, 1)
	if !take(t, b, 1) || !take(t, b, 2) {
		t.Error("a takeover took a second slot")
	}
	usedIs(t, a, 2)
	if take(t, a, 3) {
		t.Error("a third place has a slot of two")
	}
}

func TestAWaitingPlaceIsWokenWhenACallEnds(t *testing.T) {
	f := newFleet(t)
	a, woken := f.slots(SlotOptions{Limit: 1})
	b, _ := f.slots(SlotOptions{Limit: 1})
	take(t, a, 1)
	if take(t, a, 9) || take(t, a, 8) {
		t.Fatal("there were two slots of one")
	}
	usedIs(t, b, 1)
	b.Ended(place(1)) // another worker hears of the end
	until(t, "a place is woken", func() bool { return len(woken.seen()) > 0 })
	if first := woken.seen()[0]; first != place(8).Call() {
		t.Errorf("woken first: %s; want the one published first, %s", first, place(8).Call())
	}
	if !take(t, a, 8) {
		t.Error("the place that was woken finds no slot")
	}
}

func TestAWakeUpThatCameToNothingIsPassedOn(t *testing.T) {
	f := newFleet(t)
	a, woken := f.slots(SlotOptions{Limit: 1})
	take(t, a, 1)
	take(t, a, 2)
	take(t, a, 3)
	a.Ended(place(1))
	// Neither takes the slot.
	until(t, "the next one is woken", func() bool { return len(woken.seen()) == 2 })
}

func TestAnEndThatIsHeardOfBeforeItsSlotFreesIt(t *testing.T) {
	f := newFleet(t)
	a, _ := f.slots(SlotOptions{Limit: 2})
	b, _ := f.slots(SlotOptions{Limit: 2})
	b.Ended(place(1))
	take(t, a, 1)
	usedIs(t, a, 0)
}

func TestTenantsHaveBudgetsOfTheirOwn(t *testing.T) {
	f := newFleet(t)
	s, _ := f.slots(SlotOptions{Limit: 1, PerTenant: true})
	for _, row := range []struct {
		tenant string
		n      int
		want   bool
	}{{"contoso.example", 1, true}, {"branch", 2, true}, {"branch", 3, false}} {
		if ok, err := s.claim(t.Context(), row.tenant, place(row.n), 1); err != nil || ok != row.want {
			t.Errorf("Take(%s) = %t, %v; want %t", row.tenant, ok, err, row.want)
		}
	}
	if used := s.Used(); used["contoso_example"] != 1 || used["branch"] != 1 {
		t.Errorf("Used() = %v", used)
	}
}

func TestWithoutALimitNothingIsAsked(t *testing.T) {
	s := &Slots{}
	r := Request{Scope: "home", Class: ClassPlace, Action: commands.Place, Call: place(1).Call(), Command: "p"}
	if _, held := s.Ask(r); held {
		t.Error("Ask() holds the place")
	}
	if _, held, err := s.Take(t.Context(), r); held || err != nil {
		t.Errorf("Take() = %t, %v; want it to go", held, err)
	}
	s.Heard(t.Context(), r, Answer{Outcome: OverLiveCalls})
}

func TestASlotIsNotTakenBeforeAllAreKnown(t *testing.T) {
	s := &Slots{opts: SlotOptions{Limit: 1}, ready: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.claim(ctx, "home", place(1), 1); !errors.Is(err, errNotReady) {
		t.Errorf("Take() = %v; want %v", err, errNotReady)
	}
}

func TestGraphsRefusalLowersTheLimit(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name  string
		r     refusal
		after time.Duration
		want  int
	}{
		{"never refused", refusal{}, 0, 100},
		{"as many as lived then", refusal{50, now}, 0, 50},
		{"not one more for half a minute", refusal{50, now}, refusalStep - 1, 50},
		{"then one more", refusal{50, now}, refusalStep, 51},
		{"and one more", refusal{50, now}, 2 * refusalStep, 52},
		{"never more than the limit", refusal{99, now}, time.Hour, 100},
		{"a clock that is behind", refusal{50, now}, -time.Hour, 50},
	} {
		if got := row.r.limit(100, now.Add(row.after)); got != row.want {
			t.Errorf("%s: limit() = %d; want %d", row.name, got, row.want)
		}
	}
}

func TestARefusalHoldsEveryWorkerUntilACallEnds(t *testing.T) {
	f := newFleet(t)
	a, _ := f.slots(SlotOptions{Limit: 10})
	b, woken := f.slots(SlotOptions{Limit: 10})
	take(t, a, 1)
	take(t, a, 2)
	take(t, a, 3) // and Graph says no
	if err := a.refused(t.Context(), "home", place(3)); err != nil {
		t.Fatal(err)
	}
	a.giveBack(place(3), false)
	usedIs(t, b, 2)
	until(t, "the other worker takes none", func() bool {
		ok := take(t, b, 4)
		if ok {
			b.giveBack(place(4), false)
			usedIs(t, b, 2)
		}
		return !ok
	})
	a.Ended(place(1))
	until(t, "an end makes room", func() bool { return slices.Contains(woken.seen(), place(4).Call()) })
	if !take(t, b, 4) {
		t.Error("the place finds no slot after an end")
	}
}

func TestTheSweepFreesWhatNobodyHolds(t *testing.T) {
	f := newFleet(t)
	s, _ := f.slots(SlotOptions{Limit: 10})
	for n := range 4 {
		take(t, s, n)
	}
	h := Holders{Holds: func(_ context.Context, k commands.Key) (bool, error) { return k == place(1), nil }}
	if freed, err := s.Sweep(t.Context(), h); freed != 0 || err != nil {
		t.Errorf("Sweep() = %d, %v; want young slots left alone", freed, err)
	}
	age(s, time.Minute)
	if freed, err := s.Sweep(t.Context(), h); freed != 3 || err != nil {
		t.Errorf("Sweep() = %d, %v; want 3", freed, err)
	}
	usedIs(t, s, 1)
	if broken := errors.New("broken"); true {
		h.Holds = func(context.Context, commands.Key) (bool, error) { return false, broken }
		if _, err := s.Sweep(t.Context(), h); !errors.Is(err, broken) {
			t.Errorf("Sweep() = %v; want %v: what is not known frees nothing", err, broken)
		}
	}
	usedIs(t, s, 1)
}

// age makes all slots older.
func age(s *Slots, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sc := range s.scopes {
		for n, is := range sc.slots {
			is.since = is.since.Add(-d)
			sc.slots[n] = is
		}
	}
}

func TestOfTwoSlotsOfAPlaceOneIsFreed(t *testing.T) {
	f := newFleet(t)
	s, _ := f.slots(SlotOptions{Limit: 10})
	body := []byte(`{"producer":"crm","callRef":"c001","commandId":"p"}`)
	for n := range 2 {
		if _, err := s.put(t.Context(), AppScope, n, body, 0); err != nil {
			t.Fatal(err)
		}
	}
	usedIs(t, s, 2)
	age(s, time.Minute)
	h := Holders{Holds: func(context.Context, commands.Key) (bool, error) { return true, nil }}
	if freed, err := s.Sweep(t.Context(), h); freed != 1 || err != nil {
		t.Errorf("Sweep() = %d, %v; want 1", freed, err)
	}
	usedIs(t, s, 1)
	if !take(t, s, 1) {
		t.Error("the place has lost both")
	}
	usedIs(t, s, 1)
}

func TestLiveCallsWithoutASlotTakeOne(t *testing.T) {
	f := newFleet(t)
	s, _ := f.slots(SlotOptions{Limit: 3})
	take(t, s, 1)
	h := Holders{
		Holds: func(_ context.Context, k commands.Key) (bool, error) { return k != place(3), nil },
		Live: func(_ context.Context, tell func(commands.Key, string)) error {
			for n := range 4 {
				tell(place(n), "home")
			}
			return nil
		},
	}
	if took, err := s.adopt(t.Context(), h); took != 2 || err != nil {
		t.Errorf("adopt() = %d, %v; want 2: one has a slot, one is over", took, err)
	}
	usedIs(t, s, 3)
}

func TestAStaleWorkerDoesNotFreeAnothersSlot(t *testing.T) {
	f := newFleet(t)
	a, _ := f.slots(SlotOptions{Limit: 1})
	b, _ := f.slots(SlotOptions{Limit: 1})
	take(t, a, 1)
	usedIs(t, b, 1)
	old, ok := b.find(place(1))
	if !ok {
		t.Fatal("the slot is not seen")
	}
	a.Ended(place(1))
	usedIs(t, a, 0)
	until(t, "the next place has it", func() bool { return take(t, a, 2) })
	if done, err := b.release(t.Context(), old, false); done || err != nil {
		t.Errorf("release() = %t, %v; want false: it is another place's by now", done, err)
	}
	usedIs(t, b, 1)
}

func TestWhatGraphDidNotUseIsGivenBack(t *testing.T) {
	f := newFleet(t)
	s, _ := f.slots(SlotOptions{Limit: 5})
	request := func(n int) Request {
		return Request{Scope: "home", Class: ClassPlace, Action: commands.Place, Call: place(n).Call(), Command: "p", Seq: uint64(n)}
	}
	used := 0
	for n, row := range []struct {
		name  string
		after func(*Pass)
		keeps bool
	}{
		{"not sent", func(p *Pass) { p.Release(t.Context()) }, false},
		{"throttled", func(p *Pass) { p.Heard(t.Context(), Answer{Outcome: Throttled}) }, false},
		{"refused", func(p *Pass) { p.Heard(t.Context(), Answer{Outcome: Refused}) }, false},
		{"taken", func(p *Pass) { p.Heard(t.Context(), Answer{Outcome: Taken}) }, true},
		{"lost", func(p *Pass) { p.Heard(t.Context(), Answer{Outcome: Lost}) }, true},
	} {
		pass, w, err := NewAdmission(s).Admit(t.Context(), request(n))
		if pass == nil || err != nil {
			t.Fatalf("%s: Admit() = %+v, %v", row.name, w, err)
		}
		usedIs(t, s, used+1)
		row.after(pass)
		if row.keeps {
			used++
		}
		usedIs(t, s, used)
	}
	// The answer to a place was lost, and a second attempt is not sent: the first
	// one may have come to a call.
	pass, _, err := NewAdmission(s).Admit(t.Context(), request(4))
	if pass == nil || err != nil {
		t.Fatal(err)
	}
	pass.Release(t.Context())
	s.Close()
	usedIs(t, s, used)
}

func TestOtherRequestsNeedNoSlot(t *testing.T) {
	f := newFleet(t)
	s, _ := f.slots(SlotOptions{Limit: 1})
	take(t, s, 1)
	for _, a := range commands.Actions {
		class, _ := ClassOf(a)
		pass, _, err := NewAdmission(s).Admit(t.Context(), Request{Scope: "home", Class: class, Action: a, Call: place(2).Call(), Command: "p"})
		if err != nil || (pass == nil) != (a == commands.Place) {
			t.Errorf("%s: Admit() = %v, %v", a, pass, err)
		}
	}
}

func TestWhoTookASlotOverIsNotRobbed(t *testing.T) {
	f := newFleet(t)
	a, _ := f.slots(SlotOptions{Limit: 1})
	b, _ := f.slots(SlotOptions{Limit: 1})
	take(t, a, 1)
	usedIs(t, b, 1)
	old, _ := a.find(place(1))
	take(t, b, 1)
	if done, err := a.release(t.Context(), old, false); done || err != nil {
		t.Errorf("release() = %t, %v; want false: another worker has it", done, err)
	}
	usedIs(t, a, 1)
	if done, err := a.release(t.Context(), old, true); !done || err != nil {
		t.Errorf("release() of a place that is over = %t, %v; want true", done, err)
	}
}
