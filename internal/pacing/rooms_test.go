package pacing

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callbus/internal/commands"
)

// shutter is a layer that holds a class while it is shut.
type shutter struct {
	Passive
	mu     sync.Mutex
	class  Class
	reason string
	shut   bool
}

func (s *shutter) set(shut bool) { s.mu.Lock(); defer s.mu.Unlock(); s.shut = shut }

func (s *shutter) Ask(r Request) (Wait, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Wait{Reason: s.reason}, s.shut && r.Class == s.class
}

// waker notes who was woken, and when.
type waker struct {
	mu    sync.Mutex
	calls []string
	at    []time.Time
}

func (w *waker) wake(c commands.CallKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.at = append(w.calls, c.CallRef), append(w.at, time.Now())
	return true
}

func (w *waker) len() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.calls) }

func held(n int, class Class) Request {
	p := place(n)
	return Request{Scope: "home", Class: class, Call: p.Call(), Command: "p", Seq: uint64(n)}
}

func TestWhatWaitedComesBackTheOldestFirstAndSlowlyAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := &shutter{class: ClassPlace, reason: "throttled", shut: true}
		a := NewAdmission(gate)
		var w waker
		go func() { _ = a.Run(t.Context(), w.wake) }()
		const n = 500
		for i := n; i > 0; i-- {
			if p, _, _ := a.Admit(t.Context(), held(i, ClassPlace)); p != nil {
				t.Fatal("a shut gate lets a place pass")
			}
		}
		time.Sleep(time.Minute + roomTick/2) // between two ticks
		if w.len() > 0 {
			t.Fatalf("%d were woken while the gate was shut", w.len())
		}
		gate.set(false)
		opened := time.Now()
		time.Sleep(2 * roomTick)
		if first := w.len(); first != 3 {
			t.Errorf("%d were woken in two ticks; want one, and then two", first)
		}
		gate.set(true)
		time.Sleep(time.Minute)
		if left := w.len(); left > 3 {
			t.Errorf("%d were woken before the gate shut again; want few", left)
		}
		gate.set(false)
		again := time.Now()
		time.Sleep(time.Minute)
		if w.len() != n || !slices.IsSorted(w.calls) {
			t.Errorf("%d were woken, in the order of publication %v; want all %d", w.len(), slices.IsSorted(w.calls), n)
		}
		if took := w.at[n-1].Sub(again); took > 4*time.Second || w.at[0].Before(opened) {
			t.Errorf("the last one was woken %s after the gate had opened; want a few seconds", took)
		}
	})
}

func TestWhoIsRememberedForWhat(t *testing.T) {
	for _, row := range []struct {
		name, reason string
		request      Request
		want         int
	}{
		{"a command behind a gate", "throttled", held(1, ClassPlace), 1},
		{"a command behind an open breaker", "breaker", held(1, ClassPlace), 1},
		{"a place that waits for a slot is the budget's", ReasonLiveCalls, held(1, ClassPlace), 0},
		{"a place that waits for the month is the budget's", ReasonMonthlyCalls, held(1, ClassPlace), 0},
		{"what an operator paused is the pauses'", ReasonPaused, held(1, ClassPlace), 0},
		{"a request of our own", "throttled", Request{Scope: "home", Class: ClassPlace}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &shutter{class: ClassPlace, reason: row.reason, shut: true}
			a := NewAdmission(s)
			_, _, _ = a.Admit(t.Context(), row.request)
			_, _ = a.Held(held(2, ClassPlace)) // only who wanted to be admitted waits
			s.set(false)
			var w waker
			a.pump(w.wake)
			a.pump(w.wake)
			if w.len() != row.want {
				t.Errorf("%d were woken; want %d", w.len(), row.want)
			}
		})
	}
}

func TestAClassThatIsHeldDoesNotHoldTheOther(t *testing.T) {
	places, others := &shutter{class: ClassPlace, reason: "throttled", shut: true}, &shutter{class: ClassOther, reason: "throttled", shut: true}
	a := NewAdmission(places, others)
	_, _, _ = a.Admit(t.Context(), held(1, ClassPlace))
	_, _, _ = a.Admit(t.Context(), held(2, ClassOther))
	others.set(false)
	var w waker
	a.pump(w.wake)
	if !slices.Equal(w.calls, []string{"c002"}) {
		t.Errorf("woken %q; want only what is not held any more", w.calls)
	}
}

func TestAHangUpThatMetAnOutageComesBackWithTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := &shutter{class: ClassOther, reason: "breaker"}
		a := NewAdmission(breaker)
		var w waker
		go func() { _ = a.Run(t.Context(), w.wake) }()
		a.Await(held(1, ClassUrgent)) // Graph is up: its own backoff brings it back
		breaker.set(true)
		a.Await(held(2, ClassUrgent))
		time.Sleep(time.Minute)
		if n := w.len(); n != 0 {
			t.Fatalf("%d woken while Graph is down; want none", n)
		}
		breaker.set(false)
		time.Sleep(time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if want := []string{held(2, ClassUrgent).Call.CallRef}; !slices.Equal(w.calls, want) {
			t.Errorf("woken = %q after the outage; want %q", w.calls, want)
		}
	})
}

// doorway is a layer that lets through only so much at a time.
type doorway struct {
	Passive
	mu   sync.Mutex
	room int
}

func (d *doorway) set(room int) { d.mu.Lock(); defer d.mu.Unlock(); d.room = room }

func (d *doorway) Room(Request) int { d.mu.Lock(); defer d.mu.Unlock(); return d.room }

func TestNoMoreComeBackThanTheRateLetsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, rate := &shutter{class: ClassPlace, reason: "throttled", shut: true}, &doorway{}
		a := NewAdmission(gate, rate)
		var w waker
		go func() { _ = a.Run(t.Context(), w.wake) }()
		for i := range 100 {
			_, _, _ = a.Admit(t.Context(), held(i, ClassPlace))
		}
		gate.set(false)
		time.Sleep(time.Second + roomTick/2)
		if n := w.len(); n > 0 {
			t.Errorf("%d were woken that the rate had no room for", n)
		}
		rate.set(3)
		time.Sleep(10 * roomTick)
		if n := w.len(); n != 30 {
			t.Errorf("%d were woken in ten ticks with room for three; want 30", n)
		}
	})
}
