package pacing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// PacerObserver is told of rates, for metrics; nil is allowed.
type PacerObserver interface {
	PacerLimit(scope string, requestsPerSecond float64)
}

// PacerOptions are the settings of a Pacer.
type PacerOptions struct {
	Quota Quota // of each scope
	// Waiting is how many requests of a scope and class may wait for a token in
	// this worker, each holding a slot; further ones are sent away. 0 means 32.
	Waiting  int
	Observer PacerObserver
}

// Pacer is the innermost layer: all workers together send at the rate that a
// [Law] has learned, or at a quota that is known. Make it with NewPacer; Run
// keeps it in step with the other workers.
type Pacer struct {
	Passive
	js     jetstream.JetStream
	prefix commands.Prefix
	log    *slog.Logger
	opts   PacerOptions
	laws   *board[Law]

	mu     sync.Mutex
	scopes map[string]*line
}

// line is where the requests of a scope wait for their tokens in this worker.
type line struct {
	turn   chan struct{} // whose turn it is to take the next token
	places chan struct{} // of places, so that at most one stands before control traffic

	mu      sync.Mutex
	waiting map[Class]int

	// What follows belongs to who has the turn.
	tokens []time.Time // taken and not used
	used   int64       // the last quarter second that was used up
	share  float64     // of the tokens that came to this worker, lately
	last   time.Time   // the last token, when the server was not to be asked
}

// tokenWait is how long a request may wait for a token, and hold its slot.
const tokenWait = 2 * time.Second

// lawKept is how long a law outlives its last change.
const lawKept = 24 * time.Hour

// NewPacer makes the pacer on the bucket of gates.
func NewPacer(g *Gates, prefix commands.Prefix, o PacerOptions) *Pacer {
	if o.Waiting <= 0 {
		o.Waiting = 32
	}
	p := &Pacer{js: g.js, prefix: prefix, log: g.log, opts: o, scopes: map[string]*line{}, laws: newBoard[Law](g, "pace", lawKept)}
	p.laws.moved = func(scope string, l Law) { p.observe(scope, l.Rate) }
	return p
}

// Run follows what the other workers learn, until ctx ends; the error is nil.
func (p *Pacer) Run(ctx context.Context) error {
	if p.opts.Quota.rate() == 0 {
		p.laws.follow(ctx)
	}
	return nil
}

func (p *Pacer) observe(scope string, rate float64) {
	if p.opts.Observer != nil {
		p.opts.Observer.PacerLimit(scope, rate)
	}
}

func (p *Pacer) line(scope string) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.scopes[scope]
	if l == nil {
		l = &line{turn: make(chan struct{}, 1), places: make(chan struct{}, 1), waiting: map[Class]int{}}
		p.scopes[scope] = l
		rate := p.opts.Quota.rate()
		if rate == 0 {
			rate = lawFirst
		}
		if _, known := p.laws.get(scope); !known {
			p.observe(scope, rate)
		}
	}
	return l
}

// Ask tells whether a request would be sent away at once.
func (p *Pacer) Ask(r Request) (Wait, bool) {
	if p.shut(r) {
		return p.away(r), true
	}
	l := p.line(r.Scope)
	l.mu.Lock()
	defer l.mu.Unlock()
	return Wait{Reason: "throttled"}, l.waiting[r.Class] >= p.opts.Waiting
}

// away is why a request is sent away: until its throttle window ends, if it is in
// one.
func (p *Pacer) away(r Request) Wait {
	w := Wait{Reason: "throttled"}
	if law := p.law(r.Scope); law.At(r.Class, time.Now()) == 0 {
		w.Until = law.Open
	}
	return w
}

// Room is what the rate allows until what waits is brought back the next time, less
// what is waiting here. All workers say so, hence it is more than there is, and less
// than what they can wait for.
func (p *Pacer) Room(r Request) int {
	soon := int(p.law(r.Scope).At(r.Class, time.Now())*roomTick.Seconds()) + 1
	l := p.line(r.Scope)
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(soon-l.waiting[r.Class], 0)
}

// Take waits for a token, at most two seconds.
func (p *Pacer) Take(ctx context.Context, r Request) (Wait, bool, error) {
	l := p.line(r.Scope)
	if !l.enter(r.Class, p.opts.Waiting) {
		return p.away(r), true, nil
	}
	defer l.leave(r.Class)
	ctx, cancel := context.WithTimeout(ctx, tokenWait)
	defer cancel()
	if r.Class == ClassPlace {
		if !lock(ctx, l.places) {
			return p.away(r), true, nil
		}
		defer func() { <-l.places }()
	}
	if !lock(ctx, l.turn) {
		return p.away(r), true, nil
	}
	defer func() { <-l.turn }()
	if !p.next(ctx, l, r) {
		return p.away(r), true, nil
	}
	return Wait{}, false, nil
}

// Count takes a token for a request that does not wait for it: the next ones
// will.
func (p *Pacer) Count(r Request) {
	_, _ = p.js.PublishMsgAsync(p.asking(r.Scope, quarterOf(time.Now()), 1)) // advisory
}

// Heard learns from a 429.
func (p *Pacer) Heard(ctx context.Context, r Request, a Answer) {
	if a.Outcome != Throttled || p.opts.Quota.rate() > 0 {
		return
	}
	now := time.Now()
	wait := a.RetryAfter
	if !a.Told {
		wait = throttleWindow
	}
	class := r.Class
	if class == ClassUrgent {
		class = ClassOther
	}
	_, err := p.laws.change(ctx, r.Scope, func(l Law, stored bool) (Law, bool) {
		if !stored {
			l = NewLaw(a.Sent)
		}
		to := l.Throttle(class, a.Sent, now, now.Add(wait))
		return to, to != l
	})
	if err != nil {
		p.log.Warn("what a 429 says of the rate is known here alone", "scope", r.Scope, "err", err)
	}
}

// throttleWindow is what is left alone after a 429 that says nothing.
const throttleWindow = 2 * time.Second

func (l *line) enter(c Class, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[c] >= most {
		return false
	}
	l.waiting[c]++
	return true
}

func (l *line) leave(c Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[c]--
}

// behind is how many requests wait, whoever has the turn among them.
func (l *line) behind() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[ClassPlace] + l.waiting[ClassOther]
}

func lock(ctx context.Context, c chan struct{}) bool {
	select {
	case c <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
