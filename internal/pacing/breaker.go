package pacing

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Fuse is what is stored of a breaker.
type Fuse struct {
	Open   bool      `json:"open"`
	Since  time.Time `json:"since"`           // of this state
	Why    string    `json:"why,omitempty"`   // failures, or no answers
	Probe  time.Time `json:"probe,omitzero"`  // no probe before; whoever moves it on may probe
	Probed time.Time `json:"probed,omitzero"` // the last probe
}

// The states of a breaker.
const (
	BreakerClosed   = "closed"
	BreakerHalfOpen = "halfOpen" // this worker is probing
	BreakerOpen     = "open"
)

// BreakerObserver is told when a breaker moves, for metrics; nil is allowed.
type BreakerObserver interface {
	BreakerState(scope, state string)
}

// BreakerOptions are the settings of a Breaker.
type BreakerOptions struct {
	// Probe asks Graph for something harmless and tells what came of it.
	Probe    func(ctx context.Context, scope string) Outcome
	Observer BreakerObserver
}

// Breaker is the layer that stops all sending to a Graph that is down: it does
// not connect, answers 5xx, or does not answer. Commands are not spent on
// finding out whether it is back; a read that changes nothing is, by one worker
// of all once a second. Make it with NewBreaker; without Run it never closes.
type Breaker struct {
	Passive
	log   *slog.Logger
	opts  BreakerOptions
	fuses *board[Fuse]

	mu     sync.Mutex
	scopes map[string]*circuit
}

// circuit is what this worker has seen of a scope.
type circuit struct {
	failures int                     // in a row
	first    time.Time               // of those
	asked    map[passID]time.Time    // begun and not answered
	answered time.Time               // the last answer that was none of a failure
	recent   [breakerWindow]struct { // by second
		second      int64
		good, wrong int
	}
}

type passID struct{ call, command, id string }

const (
	// A breaker opens after so many failures in a row that span more than a
	// moment, or when half of at least breakerLeast requests in breakerWindow
	// seconds failed, or when so many have been unanswered for breakerHang.
	breakerRow    = 5
	breakerSpan   = 200 * time.Millisecond
	breakerLeast  = 20
	breakerWindow = 10
	breakerHang   = 3 * time.Second
	// probeEvery is the time between probes, of all workers together.
	probeEvery  = time.Second
	probeWithin = 5 * time.Second
	fuseKept    = 24 * time.Hour
	// breakerLookMost bounds when what is held asks again.
	breakerLookMost = 8 * time.Second
)

// NewBreaker makes the breaker on the bucket of gates.
func NewBreaker(g *Gates, o BreakerOptions) *Breaker {
	b := &Breaker{log: g.log, opts: o, scopes: map[string]*circuit{}, fuses: newBoard[Fuse](g, "breaker", fuseKept)}
	b.fuses.moved = func(scope string, f Fuse) {
		state := BreakerClosed
		if f.Open {
			state = BreakerOpen
		}
		b.observe(scope, state)
	}
	return b
}

func (b *Breaker) observe(scope, state string) {
	if b.opts.Observer != nil {
		b.opts.Observer.BreakerState(scope, state)
	}
}

// Open tells whether requests of the scope are held.
func (b *Breaker) Open(scope string) bool {
	f, _ := b.fuses.get(scope)
	return f.Open
}

// Ask holds what is not to be sent while Graph is down. Nobody knows until when.
func (b *Breaker) Ask(r Request) (Wait, bool) {
	f, _ := b.fuses.get(r.Scope)
	look := min(max(time.Since(f.Since)/6, 2*time.Second), breakerLookMost)
	return Wait{Reason: "breaker", Look: look}, f.Open
}

// Take notes that a request is under way.
func (b *Breaker) Take(_ context.Context, r Request) (Wait, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.circuitLocked(r.Scope).asked[idOf(r)] = time.Now()
	return Wait{}, false, nil
}

// Release forgets it.
func (b *Breaker) Release(_ context.Context, r Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.circuitLocked(r.Scope).asked, idOf(r))
}

func idOf(r Request) passID {
	return passID{r.Call.Producer + "." + r.Call.CallRef, r.Command, string(r.Action) + r.CallID}
}

func (b *Breaker) circuitLocked(scope string) *circuit {
	c := b.scopes[scope]
	if c == nil {
		c = &circuit{asked: map[passID]time.Time{}}
		b.scopes[scope] = c
		if !b.Open(scope) {
			b.observe(scope, BreakerClosed)
		}
	}
	return c
}

// failing tells whether an answer is the sign of a Graph that is down.
func (o Outcome) failing() bool { return o == Unreached || o == Broken || o == Lost }

// telling tells whether an answer says anything about whether Graph is down. A
// token comes from elsewhere; and Graph answers 500 to a body that it cannot bind,
// so that one producer of such bodies would stop everyone.
func (o Outcome) telling() bool { return o != NoToken && o != Balked }

// Heard counts, and opens the breaker when that is enough.
func (b *Breaker) Heard(ctx context.Context, r Request, a Answer) {
	if b.counted(r, a.Outcome, time.Now()) {
		b.open(ctx, r.Scope, "failures")
	}
}

// counted notes an answer and reports whether the breaker is to open.
func (b *Breaker) counted(r Request, o Outcome, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.circuitLocked(r.Scope)
	delete(c.asked, idOf(r))
	return o.telling() && c.countLocked(o.failing(), now)
}

// countLocked reports whether the breaker is to open.
func (c *circuit) countLocked(failed bool, now time.Time) bool {
	s := &c.recent[now.Unix()%breakerWindow]
	if s.second != now.Unix() {
		s.second, s.good, s.wrong = now.Unix(), 0, 0
	}
	if !failed {
		s.good++
		c.failures, c.answered = 0, now
		return false
	}
	s.wrong++
	if c.failures++; c.failures == 1 {
		c.first = now
	}
	if c.failures >= breakerRow && now.Sub(c.first) >= breakerSpan {
		return true
	}
	good, wrong := 0, 0
	for _, s := range c.recent {
		if now.Unix()-s.second < breakerWindow {
			good, wrong = good+s.good, wrong+s.wrong
		}
	}
	return good+wrong >= breakerLeast && wrong >= good
}

// hangs tells whether requests go unanswered.
func (b *Breaker) hangs(scope string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.circuitLocked(scope)
	n := 0
	for id, at := range c.asked {
		switch d := now.Sub(at); {
		case d > breakerForget:
			delete(c.asked, id)
		case d > breakerHang:
			n++
		}
	}
	return n >= breakerRow && now.Sub(c.answered) > breakerHang
}

// breakerForget is longer than any request.
const breakerForget = 2 * time.Minute

func (b *Breaker) open(ctx context.Context, scope, why string) {
	now := time.Now()
	won, err := b.fuses.change(ctx, scope, func(f Fuse, _ bool) (Fuse, bool) {
		return Fuse{Open: true, Since: now, Why: why, Probe: now.Add(probeEvery)}, !f.Open
	})
	if won {
		b.log.Warn("Graph is down: nothing but hang-ups and keep-alives is sent", "scope", scope, "why", why, "err", err)
	}
}

// Run follows the other workers, opens breakers on requests that hang, and
// probes, until ctx ends; the error is nil.
func (b *Breaker) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { b.fuses.follow(ctx) })
	tick := time.NewTicker(probeEvery / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, scope := range b.known() {
			now := time.Now()
			if f, _ := b.fuses.get(scope); !f.Open {
				if b.hangs(scope, now) {
					b.open(ctx, scope, "no answers")
				}
				continue
			}
			if b.mayProbe(ctx, scope) {
				wg.Go(func() { b.probe(ctx, scope) })
			}
		}
	}
}

func (b *Breaker) known() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	scopes := make(map[string]bool, len(b.scopes))
	for scope := range b.scopes {
		scopes[scope] = true
	}
	for _, scope := range b.fuses.scopes() {
		scopes[scope] = true
	}
	all := make([]string, 0, len(scopes))
	for scope := range scopes {
		all = append(all, scope)
	}
	return all
}

// mayProbe claims the next probe of all workers.
func (b *Breaker) mayProbe(ctx context.Context, scope string) bool {
	won, err := b.fuses.change(ctx, scope, func(f Fuse, _ bool) (Fuse, bool) {
		now := time.Now()
		if !f.Open || now.Before(f.Probe) {
			return f, false
		}
		f.Probe, f.Probed = now.Add(probeEvery), now
		return f, true
	})
	return won && err == nil
}

// probe asks Graph, and closes the breaker if it answers.
func (b *Breaker) probe(ctx context.Context, scope string) {
	b.observe(scope, BreakerHalfOpen)
	ask, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	outcome := b.opts.Probe(ask, scope)
	if outcome.failing() || outcome == NotSent || !outcome.telling() {
		if b.Open(scope) {
			b.observe(scope, BreakerOpen)
		}
		return
	}
	b.mu.Lock()
	delete(b.scopes, scope) // what was seen of the outage is over
	b.mu.Unlock()
	won, err := b.fuses.change(ctx, scope, func(f Fuse, _ bool) (Fuse, bool) { return Fuse{Since: time.Now()}, f.Open })
	if won {
		b.log.Info("Graph is back", "scope", scope, "err", err)
	}
}
