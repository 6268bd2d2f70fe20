package timers

import (
	"context"
	"errors"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/streams"
)

func TestArmMissing(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	missing := func(timer Timer, at time.Time) bool {
		t.Helper()
		armed, err := timers.ArmMissing(t.Context(), timer, at)
		if err != nil {
			t.Fatal(err)
		}
		return armed
	}
	later := time.Now().Add(time.Hour)
	if !missing(Timer{Key: key, Kind: "look", CallID: "first"}, later) {
		t.Error("ArmMissing() of a timer that is not armed = false; want true")
	}
	if missing(Timer{Key: key, Kind: "look", CallID: "second"}, time.Now()) {
		t.Error("ArmMissing() of an armed timer = true; want it left alone")
	}
	if found, ok, err := timers.Find(t.Context(), key, "look"); err != nil || !ok || found.CallID != "first" {
		t.Errorf("Find() = %+v, %t, %v; want the first one", found, ok, err)
	}
	// One that has fired is not armed any more.
	fired := run(t, timers, nil)
	arm(t, timers, Timer{Key: key, Kind: "look", CallID: "third"}, time.Now())
	next(t, fired, soon)
	if !missing(Timer{Key: key, Kind: "look", CallID: "fourth"}, later) {
		t.Error("ArmMissing() of a timer that has fired = false; want true")
	}
	purge(t, timers)
	if !missing(Timer{Key: key, Kind: "look", CallID: "fifth"}, later) {
		t.Error("ArmMissing() of a timer that was purged = false; want true")
	}
}

func TestArmedListsWhatIsArmed(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	if a := armed(t, timers); a.Has(key, "look") || a.HasAny(key.Call(), "look") {
		t.Errorf("Armed() of nothing = %+v", a)
	}
	later := time.Now().Add(time.Hour)
	other := commands.Key{Producer: "crm", CallRef: "order-2", ID: "p1"}
	arm(t, timers, Timer{Key: key, Kind: "look"}, later)
	arm(t, timers, Timer{Key: other, Kind: "ring"}, later)
	a := armed(t, timers)
	for name, got := range map[string]bool{
		"the timer": a.Has(key, "look"), "the other call's": a.Has(other, "ring"),
		"any of the call": a.HasAny(key.Call(), "look"), "any of the other": a.HasAny(other.Call(), "ring"),
	} {
		if !got {
			t.Errorf("%s is not armed", name)
		}
	}
	if a.Has(key, "ring") || a.Has(other, "look") || a.HasAny(key.Call(), "ring") {
		t.Errorf("Armed() = %+v; has what was not armed", a)
	}
	purge(t, timers)
	if a := armed(t, timers); a.Has(key, "look") {
		t.Error("a timer that was purged is armed")
	}
}

// TestAStoppingWorkerHandsATimerOver: what it refuses to do any more is not kept
// from the others by the pause that failures have.
func TestAStoppingWorkerHandsATimerOver(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	take, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		timers.Run(take, t.Context(), 1, func(context.Context, Timer) (time.Time, error) {
			stop() // told to stop while at it
			return time.Time{}, errors.New("stopping")
		})
	}()
	arm(t, timers, Timer{Key: key, Kind: "look"}, time.Now())
	<-done
	handedOver := time.Now()
	f := next(t, run(t, timers, nil), soon)
	if took := f.at.Sub(handedOver); took >= failedPause {
		t.Errorf("the next worker got it after %s; want less than %s", took, failedPause)
	}
}

func armed(t *testing.T, timers *Timers) Armed {
	t.Helper()
	a, err := timers.Armed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func purge(t *testing.T, timers *Timers) {
	t.Helper()
	s, err := timers.js.Stream(t.Context(), timers.prefix.Stream(streams.Timers))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
}
