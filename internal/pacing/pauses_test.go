package pacing

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"callbus/internal/commands"
)

type pausedObserver struct {
	mu   sync.Mutex
	told []string
}

func (o *pausedObserver) Paused(scope, lane string, paused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, fmt.Sprintf("%s %s %t", scope, lane, paused))
}

func (f *fleet) pauses(obs PauseObserver) (*Pauses, *woken) {
	f.t.Helper()
	w := &woken{}
	p, err := NewPauses(f.t.Context(), f.connect(serverURL), f.prefix, w.wake, obs, slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	keepUp(f.t, p.Run)
	return p, w
}

func TestPausesHoldWhatTheySayAndNoMore(t *testing.T) {
	f := newFleet(t)
	p, _ := f.pauses(nil)
	for _, row := range []struct {
		pause Pause
		held  func(tenant string, a commands.Action) bool
	}{
		{Pause{Scope: EveryScope, Lane: PausePlaces}, func(_ string, a commands.Action) bool { return a == commands.Place }},
		{Pause{Scope: "contoso.example", Lane: PausePlaces}, func(tenant string, a commands.Action) bool {
			return tenant == "contoso.example" && a == commands.Place
		}},
		{Pause{Scope: EveryScope, Lane: PauseAll}, func(_ string, a commands.Action) bool {
			return a != commands.Hangup && a != commands.KeepAlive
		}},
		{Pause{Scope: "contoso.example", Lane: PauseAll}, func(tenant string, a commands.Action) bool {
			return tenant == "contoso.example" && a != commands.Hangup && a != commands.KeepAlive
		}},
	} {
		if err := SetPause(t.Context(), f.js, f.prefix, row.pause); err != nil {
			t.Fatal(err)
		}
		until(t, "the pause is seen", func() bool { _, held := p.Paused("contoso.example", commands.Place); return held })
		for _, tenant := range []string{"contoso.example", "branch"} {
			for _, a := range commands.Actions {
				if _, held := p.Paused(tenant, a); held != row.held(tenant, a) {
					t.Errorf("%s %s: Paused(%s, %s) = %t", row.pause.Scope, row.pause.Lane, tenant, a, held)
				}
			}
		}
		if was, err := Resume(t.Context(), f.js, f.prefix, row.pause); !was || err != nil {
			t.Errorf("Resume() = %t, %v", was, err)
		}
		until(t, "it is taken back", func() bool { _, held := p.Paused("contoso.example", commands.Place); return !held })
	}
	if was, err := Resume(t.Context(), f.js, f.prefix, Pause{Scope: EveryScope, Lane: PauseAll}); was || err != nil {
		t.Errorf("Resume() of none = %t, %v; want false", was, err)
	}
}

func holds(p *Pauses, n int) bool {
	w, held := p.Ask(Request{Scope: "home", Class: ClassPlace, Action: commands.Place, Call: place(n).Call(), Command: "p", Seq: uint64(n)})
	return held && w.Reason == ReasonPaused
}

func TestPausesOutliveWorkersAndWakeWhatTheyHeld(t *testing.T) {
	f := newFleet(t)
	if err := SetPause(t.Context(), f.js, f.prefix, Pause{Scope: EveryScope, Lane: PausePlaces, By: "anna"}); err != nil {
		t.Fatal(err)
	}
	obs := &pausedObserver{}
	late, woken := f.pauses(obs)
	until(t, "a worker that starts later sees it", func() bool {
		return holds(late, 0)
	})
	for n := range 30 {
		if !holds(late, n) {
			t.Fatal("a place went")
		}
	}
	u, err := Look(t.Context(), f.js, f.prefix)
	if err != nil || len(u.Pauses) != 1 || u.Pauses[0].By != "anna" || u.Pauses[0].Since.IsZero() {
		t.Errorf("Look() = %+v, %v; want the pause and whose it is", u, err)
	}
	if _, err := Resume(t.Context(), f.js, f.prefix, Pause{Scope: EveryScope, Lane: PausePlaces}); err != nil {
		t.Fatal(err)
	}
	until(t, "all are woken", func() bool { return len(woken.seen()) == 30 })
	if want := []string{"_all place true", "_all place false"}; !slicesEqual(obs.told, want) {
		t.Errorf("told %q; want %q", obs.told, want)
	}
}

func TestPausesAreChecked(t *testing.T) {
	f := newFleet(t)
	for _, wrong := range []Pause{{}, {Scope: "home"}, {Scope: "home", Lane: "urgent"}, {Lane: PauseAll}} {
		if err := SetPause(t.Context(), f.js, f.prefix, wrong); err == nil {
			t.Errorf("SetPause(%+v) = nil; want an error", wrong)
		}
		if _, err := Resume(t.Context(), f.js, f.prefix, wrong); err == nil {
			t.Errorf("Resume(%+v) = nil; want an error", wrong)
		}
	}
}
