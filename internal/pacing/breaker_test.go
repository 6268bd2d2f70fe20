package pacing

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// graph is a Graph that is up or down, and counts who asks.
type graph struct {
	up     atomic.Bool
	probes atomic.Int32
}

func (g *graph) probe(context.Context, string) Outcome {
	g.probes.Add(1)
	if g.up.Load() {
		return Refused // the call that cannot exist
	}
	return Unreached
}

func TestBreakerOpensForAllAndClosesOnOneProbe(t *testing.T) {
	open, _ := setup(t)
	var g graph
	breakers := make([]*Breaker, 3)
	for i := range breakers {
		breakers[i] = NewBreaker(open(nil), BreakerOptions{Probe: g.probe})
		follow(t, breakers[i])
	}
	begun := time.Now()
	r := Request{Scope: "home", Class: ClassPlace}
	for !breakers[0].Open("home") {
		breakers[0].Heard(t.Context(), r, Answer{Outcome: Unreached})
		time.Sleep(10 * time.Millisecond) // failures of a moment are not enough
		if time.Since(begun) > 20*time.Second {
			t.Fatal("connections refused do not open the breaker")
		}
	}
	all := func(want bool) {
		t.Helper()
		for _, b := range breakers {
			for b.Open("home") != want {
				if time.Since(begun) > time.Minute {
					t.Fatalf("a breaker is not open %v in time", want)
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	all(true)
	if w, held := breakers[2].Ask(r); !held || w.Reason != "breaker" || !w.Until.IsZero() || w.Look <= 0 {
		t.Errorf("Ask() of another worker = %+v, %v; want breaker, until nobody knows when", w, held)
	}
	if _, held := breakers[2].Ask(Request{Scope: "branch", Class: ClassPlace}); held {
		t.Error("another scope is held, too")
	}
	for g.probes.Load() < 3 {
		if time.Since(begun) > time.Minute {
			t.Fatal("nobody probes")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n, d := g.probes.Load(), time.Since(begun); float64(n) > d.Seconds()+1 {
		t.Errorf("%d probes of three workers in %s; want one a second at most", n, d)
	}
	g.up.Store(true)
	all(false)
}

func TestWhatOpensABreaker(t *testing.T) {
	answers := func(o ...Outcome) []Outcome { return o }
	for _, tt := range []struct {
		name  string
		every time.Duration
		of    []Outcome // again and again, for 30
		want  bool
	}{
		{"connections refused", time.Second, answers(Unreached), true},
		{"503", time.Second, answers(Broken), true},
		{"answers lost", time.Second, answers(Lost), true},
		{"throttling", time.Second, answers(Throttled), false},
		{"refusals", time.Second, answers(Refused), false},
		{"one producer's bodies that Graph cannot bind", 10 * time.Millisecond, answers(Balked), false},
		{"such bodies while Graph is down", time.Second, answers(Balked, Unreached), true},
		{"no token to be had", time.Second, answers(NoToken), false},
		{"a failure now and then", 100 * time.Millisecond, answers(Taken, Taken, Broken), false},
		{"every second request failing", 100 * time.Millisecond, answers(Taken, Broken), true},
		{"all that was on its way, lost in one moment, and then answers", 10 * time.Millisecond, answers(Lost, Lost, Lost, Taken, Taken, Taken, Taken, Taken, Taken, Taken), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Breaker{scopes: map[string]*circuit{}, fuses: &board[Fuse]{notices: map[string]notice[Fuse]{}}}
				opened := false
				for i := range 30 {
					opened = opened || b.counted(Request{Scope: "home"}, tt.of[i%len(tt.of)], time.Now())
					time.Sleep(tt.every)
				}
				if opened != tt.want {
					t.Errorf("opens = %v; want %v", opened, tt.want)
				}
			})
		})
	}
}

func TestRequestsThatHangOpenABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{scopes: map[string]*circuit{}, fuses: &board[Fuse]{notices: map[string]notice[Fuse]{}}}
		for i := range breakerRow {
			_, _, _ = b.Take(t.Context(), Request{Scope: "home", Class: ClassOther, Command: string(rune('a' + i))})
		}
		time.Sleep(breakerHang)
		if b.hangs("home", time.Now()) {
			t.Error("hangs within the time")
		}
		time.Sleep(time.Second)
		if !b.hangs("home", time.Now()) {
			t.Error("requests without an answer do not count as hanging")
		}
		b.Release(t.Context(), Request{Scope: "home", Class: ClassOther, Command: "a"})
		if b.hangs("home", time.Now()) {
			t.Error("a request that was not sent counts as hanging")
		}
	})
}
