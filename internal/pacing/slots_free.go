package pacing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

const (
	freeWithin = 5 * time.Second
	freeTries  = 5
	// endedFor is how long the end of a place is remembered whose slot has not been
	// seen here yet.
	endedFor = time.Minute
)

// Ended gives the slot of a place back that is over, if it has one, without
// waiting. It never takes one again, so this may be told before its slot has been
// seen here. What fails is made good by the sweep.
func (s *Slots) Ended(place commands.Key) {
	now := time.Now()
	s.mu.Lock()
	if len(s.ended) >= 1024 {
		for key, at := range s.ended {
			if now.Sub(at) > endedFor {
				delete(s.ended, key)
			}
		}
	}
	s.ended[place] = now
	s.mu.Unlock()
	s.giveBack(place, true)
}

// giveBack frees the place's slot beside what goes on here.
func (s *Slots) giveBack(place commands.Key, over bool) {
	held, ok := s.find(place)
	if !ok {
		return
	}
	s.frees.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), freeWithin)
		defer cancel()
		if _, err := s.release(ctx, held, over); err != nil {
			s.log.Warn("live-call slot is given back by the sweep", "err", err)
		}
	})
}

func (s *Slots) find(place commands.Key) (heldSlot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope, sc := range s.scopes {
		if n, ok := sc.held[place]; ok {
			return heldSlot{scope, n, sc.slots[n]}, true
		}
	}
	return heldSlot{}, false
}

// release frees a slot if it is as it was seen; if the place is over, whoever has
// taken it over for the place meanwhile.
func (s *Slots) release(ctx context.Context, held heldSlot, over bool) (bool, error) {
	body, err := json.Marshal(slotBody{Time: time.Now().UTC()})
	if err != nil {
		return false, err
	}
	is := held.slot
	for range freeTries {
		revision, err := s.put(ctx, held.scope, held.n, body, is.revision)
		if err == nil {
			s.mu.Lock()
			s.setLocked(held.scope, held.n, slot{nil, revision, time.Now()})
			s.mu.Unlock()
			s.pump()
			return true, nil
		}
		if !streams.Moved(err) {
			return false, fmt.Errorf("give back a live-call slot: %w", err)
		}
		if err := s.refresh(ctx, held.scope, held.n); err != nil {
			return false, fmt.Errorf("give back a live-call slot: %w", err)
		}
		s.mu.Lock()
		is = s.scopes[held.scope].slots[held.n]
		s.mu.Unlock()
		if !over || is.place == nil || *is.place != *held.place {
			return false, nil
		}
	}
	return false, nil
}

// refusal is what is known after Graph said that too many calls live (8530),
// although there were free slots: others call under the same app, or its limit
// is lower.
type refusal struct {
	Held int       `json:"held"` // slots that were taken beside the refused one
	At   time.Time `json:"at"`
}

// refusalStep is how long one more call is not tried after that.
const refusalStep = 30 * time.Second

// limit is how many slots may be taken: as many as lived when Graph said no, so
// that an end of ours makes room, and one more for every 30 s since.
func (r refusal) limit(most int, now time.Time) int {
	if r.At.IsZero() {
		return most
	}
	return min(most, r.Held+int(max(now.Sub(r.At), 0)/refusalStep))
}

// refused notes that Graph refused the place with 8530, for all workers.
func (s *Slots) refused(ctx context.Context, tenant string, place commands.Key) error {
	scope := s.Scope(tenant)
	s.mu.Lock()
	sc := s.scopeLocked(scope)
	r, revision := refusal{Held: sc.usedLocked(), At: time.Now().UTC()}, sc.refRev
	if _, own := sc.held[place]; own {
		r.Held--
	}
	s.mu.Unlock()
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ttl := time.Duration(max(s.opts.Limit-r.Held, 1))*refusalStep + time.Second
	ctx, cancel := context.WithTimeout(ctx, shareWithin)
	defer cancel()
	key := "refused." + scope
	for range freeTries {
		stored, err := putCell(ctx, s.js, s.kv.Bucket(), key, body, revision, ttl)
		if err == nil {
			s.mu.Lock()
			if stored > sc.refRev {
				sc.refRev, sc.refusal = stored, r
			}
			s.mu.Unlock()
			return nil
		}
		if !streams.Moved(err) {
			return fmt.Errorf("share that live calls are refused: %w", err)
		}
		c, err := leaderCell(ctx, s.js, s.kv.Bucket(), key)
		if err != nil {
			return fmt.Errorf("share that live calls are refused: %w", err)
		}
		revision = c.revision
	}
	return nil
}
