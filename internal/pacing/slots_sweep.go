package pacing

import (
	"context"
	"math/rand/v2"
	"time"

	"callbus/internal/commands"
)

// Sweep times.
const (
	sweepEvery = 30 * time.Second
	// adoptEvery is how often calls without a slot are looked for, which reads the
	// whole registry.
	adoptEvery = 10 * time.Minute
	// slotYoung is how long a slot is left alone: its place may be about to be
	// begun. It is longer than any lease.
	slotYoung = 30 * time.Second
)

// Holders tells what is true of the places that hold slots.
type Holders struct {
	// Holds tells whether the place may still have a call that lives: it was begun
	// and is not known to be over.
	Holds func(ctx context.Context, place commands.Key) (bool, error)
	// Live hands over the place of every call that lives, with its tenant.
	Live func(ctx context.Context, tell func(place commands.Key, tenant string)) error
	// Young is how long a slot is left alone after it was taken; 30 s at least.
	Young time.Duration
}

// KeepSwept sweeps about every 30 s until ctx ends, on every worker at another
// moment; the error is nil.
func (s *Slots) KeepSwept(ctx context.Context, h Holders) error {
	if s.opts.Limit <= 0 {
		return nil
	}
	var adopted time.Time
	for {
		freed, err := s.Sweep(ctx, h)
		took := 0
		if err == nil && time.Since(adopted) >= adoptEvery {
			if took, err = s.adopt(ctx, h); err == nil {
				adopted = time.Now()
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.Warn("sweep over the live-call slots failed, is made again", "err", err)
		case freed+took > 0:
			s.log.Info("live-call budget healed", "freed", freed, "taken", took)
		}
		select {
		case <-time.After(sweepEvery - rand.N(sweepEvery/5)):
		case <-ctx.Done():
			return nil
		}
	}
}

// Sweep looks at every slot that is held and frees those whose place or call is
// over, and one of two that the same place has. It returns how many it freed.
func (s *Slots) Sweep(ctx context.Context, h Holders) (freed int, err error) {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return 0, nil
	}
	young := max(h.Young, slotYoung)
	seen := map[commands.Key]bool{}
	for _, held := range s.holders() {
		if time.Since(held.since) < young {
			seen[*held.place] = true
			continue
		}
		holds := !seen[*held.place]
		if holds {
			if holds, err = h.Holds(ctx, *held.place); err != nil {
				return freed, err
			}
		}
		if holds {
			seen[*held.place] = true
			continue
		}
		done, err := s.release(ctx, held, false)
		if err != nil {
			return freed, err
		}
		if done {
			freed++
		}
	}
	return freed, nil
}

// adopt takes slots for calls that live and have none: they were placed before
// there was a budget, or found out late. There may be none left for them.
func (s *Slots) adopt(ctx context.Context, h Holders) (took int, err error) {
	type live struct {
		place  commands.Key
		tenant string
	}
	var without []live
	err = h.Live(ctx, func(place commands.Key, tenant string) {
		if _, has := s.find(place); !has {
			without = append(without, live{place, tenant})
		}
	})
	if err != nil {
		return 0, err
	}
	for _, l := range without {
		holds, err := h.Holds(ctx, l.place) // over by now?
		if err != nil {
			return took, err
		}
		if !holds {
			continue
		}
		ok, err := s.claim(ctx, l.tenant, l.place, 0)
		if err != nil {
			return took, err
		}
		if ok {
			s.mu.Lock()
			delete(s.fresh, l.place)
			s.mu.Unlock()
			took++
		}
	}
	return took, nil
}
