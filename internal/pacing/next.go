package pacing

import (
	"context"
	"math"
	"time"
)

// placesLater is how much later in a quarter second places ask for tokens, so
// that the control traffic of all workers is served first.
const placesLater = 15 * time.Millisecond

// law is the rate's law for a scope as it is known here.
func (p *Pacer) law(scope string) Law {
	if rate := p.opts.Quota.rate(); rate > 0 {
		return Law{Rate: rate}
	}
	if l, ok := p.laws.get(scope); ok {
		return l
	}
	return NewLaw(time.Now())
}

// shut tells whether the request's class is in a throttle window.
func (p *Pacer) shut(r Request) bool { return p.law(r.Scope).At(r.Class, time.Now()) == 0 }

// next waits for the moment of the next token; whoever calls it has the turn. It
// reports false when there was none before ctx ended.
func (p *Pacer) next(ctx context.Context, l *line, r Request) bool {
	for !p.shut(r) {
		now := time.Now()
		if n := len(l.tokens); n > 0 {
			at := l.tokens[0]
			if now.Sub(at) > quarter {
				l.tokens = l.tokens[1:]
				continue // nobody wanted it in time
			}
			if !sleepUntil(ctx, at) || p.shut(r) {
				return false // the token is for whoever is next
			}
			l.tokens = l.tokens[1:]
			return true
		}
		k := quarterOf(now)
		if k == l.used {
			if !sleepUntil(ctx, quarterAt(k+1).Add(later(r.Class))) {
				return false
			}
			continue
		}
		if !p.fetch(ctx, l, r, k, now) && !sleepUntil(ctx, quarterAt(k+1).Add(later(r.Class))) {
			return false
		}
	}
	return false
}

func later(c Class) time.Duration {
	if c == ClassPlace {
		return placesLater
	}
	return 0
}

// fetch takes tokens of the quarter second k into the line; false: there are
// none left. That the request's own wait ends meanwhile does not end it: the tokens
// would be counted, and nobody would have them.
func (p *Pacer) fetch(ctx context.Context, l *line, r Request, k int64, now time.Time) bool {
	ctx = context.WithoutCancel(ctx) // what is asked bounds itself
	law := p.law(r.Scope)
	rate := law.At(r.Class, now)
	of := tokensOf(rate, k)
	if of == 0 {
		return false
	}
	want := min(max(l.behind(), 1), (of+3)/4)
	last, err := p.take(ctx, r.Scope, k, want)
	if err != nil {
		return l.alone(rate, now)
	}
	first := last - want + 1
	for i := first; i <= min(last, of); i++ {
		// The moments go round the start of the quarter second that is this scope's.
		l.tokens = append(l.tokens, quarterAt(k).Add(time.Duration(float64(i-1)/float64(of)*float64(quarter))))
	}
	got := max(min(last, of)-first+1, 0)
	l.share += (float64(got)/float64(of) - l.share) / 16
	if last >= of {
		l.used = k
		p.usedUp(ctx, r.Scope, k)
	}
	return got > 0
}

// alone is the next token while the server cannot be asked: by the share that
// came to this worker before.
func (l *line) alone(rate float64, now time.Time) bool {
	share := math.Min(math.Max(4*l.share, 0.05), 1)
	l.last = l.last.Add(time.Duration(float64(time.Second) / (rate * share)))
	if l.last.Before(now) {
		l.last = now
	}
	l.tokens = append(l.tokens, l.last)
	return true
}

// usedUp tells the law that all tokens of a quarter second were wanted. Laws are
// moved by the second, by the quarter while the limit is searched for: whoever
// is first.
func (p *Pacer) usedUp(ctx context.Context, scope string, k int64) {
	if p.opts.Quota.rate() > 0 {
		return
	}
	now := quarterAt(k + 1)
	l, known := p.laws.get(scope)
	step := time.Second
	if !known || l.searching() {
		step = quarter
	}
	if known && now.Sub(l.Moved) < step {
		return
	}
	_, err := p.laws.change(ctx, scope, func(l Law, stored bool) (Law, bool) {
		if !stored {
			return NewLaw(quarterAt(k)).Step(now), true
		}
		if now.Sub(l.Moved) < step {
			return l, false
		}
		if from := now.Add(-2 * step); l.Moved.Before(from) {
			l = l.Skip(now.Add(-step)) // it was not used up all the time
		}
		return l.Step(now), true
	})
	if err != nil {
		p.log.Debug("the rate was not moved for all", "scope", scope, "err", err)
	}
}

// sleepUntil waits for a moment; it reports false when ctx ends before.
func sleepUntil(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(at) {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
