package pacing

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// pacers are those of n workers on one bucket.
func pacers(t *testing.T, open func(Observer) *Gates, n int, o PacerOptions) []*Pacer {
	t.Helper()
	all := make([]*Pacer, n)
	for i := range all {
		g := open(nil)
		all[i] = NewPacer(g, prefixOf(g), o)
	}
	return all
}

func TestWorkersShareAQuotaThatIsKnown(t *testing.T) {
	open, _ := setup(t)
	const want = 40 // tokens, at 80 a second
	all := pacers(t, open, 3, PacerOptions{Quota: Quota{Requests: 80, Period: time.Second}})
	var mu sync.Mutex
	var sent []time.Time
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			for {
				w, held, err := p.Take(t.Context(), Request{Scope: "home", Class: ClassOther})
				mu.Lock()
				if err != nil || held {
					t.Errorf("Take() = %+v, %v, %v; want a token", w, held, err)
				}
				done := len(sent) >= want
				sent = append(sent, time.Now())
				mu.Unlock()
				if done || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	slices.SortFunc(sent, time.Time.Compare)
	// However slow the machine is, no second has more tokens than it should; a
	// quarter second may be wanted late and all at once.
	for i := range sent {
		n := 0
		for _, at := range sent[i:] {
			if at.Sub(sent[i]) < 500*time.Millisecond {
				n++
			}
		}
		if n > 40+2*20 {
			t.Fatalf("%d tokens within half a second; want 40, and what two borders add", n)
		}
	}
}

func TestTokensAreNotLostWithTheWaitOfWhoAskedForThem(t *testing.T) {
	open, _ := setup(t)
	p := pacers(t, open, 1, PacerOptions{Quota: Quota{Requests: 80, Period: time.Second}})[0]
	over, cancel := context.WithCancel(t.Context())
	cancel()
	l, now := p.line("home"), time.Now()
	for range 20 {
		if !p.fetch(over, l, Request{Scope: "home", Class: ClassPlace}, quarterOf(now), now) {
			t.Fatalf("%d tokens came to the line of the 20 that the quarter second has", len(l.tokens))
		}
	}
	if p.fetch(over, l, Request{Scope: "home", Class: ClassPlace}, quarterOf(now), now) {
		t.Error("a token came to the line that the quarter second does not have")
	}
}

func TestA429IsLearnedByAllWorkers(t *testing.T) {
	open, _ := setup(t)
	all := pacers(t, open, 2, PacerOptions{})
	follow(t, all[1])
	r := Request{Scope: "home", Class: ClassPlace}
	all[0].Heard(t.Context(), r, Answer{Outcome: Throttled, RetryAfter: time.Hour, Told: true, Sent: time.Now()})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if w, held := all[1].Ask(r); held && time.Until(w.Until) > 50*time.Minute {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other worker goes on sending")
		}
	}
	if _, held := all[1].Ask(Request{Scope: "home", Class: ClassOther}); held {
		t.Error("control traffic is held by a 429 on a place; want its reserved share")
	}
	if _, held := all[1].Ask(Request{Scope: "branch", Class: ClassPlace}); held {
		t.Error("another scope is held, too")
	}
}

func TestAPacerSendsAwayWhatWouldHoldASlotForLong(t *testing.T) {
	open, _ := setup(t)
	p := pacers(t, open, 1, PacerOptions{Waiting: 2, Quota: Quota{Requests: 1, Period: time.Hour}})[0]
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, held, err := p.Take(t.Context(), Request{Scope: "home", Class: ClassPlace}); !held || err != nil {
				t.Errorf("Take() = held %v, %v; want held, for no token comes in time", held, err)
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if w, held := p.Ask(Request{Scope: "home", Class: ClassPlace}); held && w.Reason == "throttled" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a third request is not sent away")
		}
	}
	wg.Wait()
}

func TestParseQuota(t *testing.T) {
	for text, want := range map[string]Quota{
		"": {}, "50/1s": {50, time.Second}, "50/s": {50, time.Second}, "3000/1m": {3000, time.Minute}, "10000 / 24h": {10000, 24 * time.Hour},
	} {
		if got, err := ParseQuota(text); err != nil || got != want {
			t.Errorf("ParseQuota(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"50", "0/1s", "-1/1s", "x/1s", "50/", "50/1", "50/10ms", "50/48h", "1.5/1s"} {
		if got, err := ParseQuota(text); err == nil {
			t.Errorf("ParseQuota(%q) = %+v; want an error", text, got)
		}
	}
}

func prefixOf(g *Gates) commands.Prefix {
	return commands.Prefix(strings.ToLower(strings.TrimSuffix(g.kv.Bucket(), "_"+streams.Gates)))
}

// follow runs a layer until the test ends.
func follow(t *testing.T, l interface{ Run(context.Context) error }) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}
