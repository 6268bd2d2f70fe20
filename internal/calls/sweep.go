package calls

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/timers"
)

// sweepRetry is the pause after a sweep that failed.
const sweepRetry = 30 * time.Second

// KeepSwept sweeps at once and then about every time every until ctx ends. It is
// not the same moment on all workers, so that their sweeps help each other.
func (c *Calls) KeepSwept(ctx context.Context, every time.Duration) {
	for {
		next := every - rand.N(every/5+1)
		n, err := c.Sweep(ctx, every)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.log.Warn("sweep over the registry failed, is made again", "err", err)
			next = min(next, sweepRetry)
		case n > 0:
			c.log.Info("timers of live calls armed that were missing", "timers", n)
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return
		}
	}
}

// Sweep looks at every call that lives and arms what should look after it and is
// not armed: timers can be lost with their stream, or by a worker that died
// between two steps. It moves no timer that is armed, and any number of workers
// may sweep at once. A call that nothing else looks after is read within the time
// each, for its end may have been missed. It returns how many timers it armed.
func (c *Calls) Sweep(ctx context.Context, each time.Duration) (armed int, err error) {
	has, err := c.timers.Armed(ctx)
	if err != nil {
		return 0, err
	}
	var missing []want
	err = c.Registry.EachLive(ctx, func(call commands.CallKey, e *Entry) {
		missing = append(missing, c.missing(call, e, has, each)...)
	})
	if err != nil {
		return 0, err
	}
	for _, w := range missing {
		done, err := c.arm(ctx, w)
		if err != nil {
			return armed, err
		}
		if done {
			armed++
		}
	}
	return armed, nil
}

// want is a timer that should be armed.
type want struct {
	timers.Timer
	at time.Time
}

// missing are the timers that the live call should have and has not.
func (c *Calls) missing(call commands.CallKey, e *Entry, has timers.Armed, each time.Duration) (all []want) {
	now := time.Now()
	watched := false
	need := func(id string, kind timers.Kind, since, at time.Time) {
		watched = true
		k := commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: id}
		if !has.Has(k, kind) {
			all = append(all, want{timers.Timer{Key: k, Kind: kind, CallID: e.CallID, TenantID: e.TenantID, Since: since}, at})
		}
	}
	for _, o := range e.Open {
		if !o.Settled && o.Action != commands.Hangup {
			need(o.ID, timerLook, e.AcceptedAt, time.Time{}) // the journal says when
		}
	}
	if e.KeepAlive && e.Established() {
		// When it was kept alive last is not known: soon, but not all at once.
		need(callTimer(call).ID, timerKeepAlive, e.EstablishedAt, now.Add(rand.N(c.opts.KeepAliveInterval/3+1)))
	}
	if e.HangupWanted {
		watched = true
		if !has.HasAny(call, timerHangup) {
			need(callTimer(call).ID, timerHangup, now, now.Add(c.opts.HangupCheck))
		}
	}
	if !watched {
		need(callTimer(call).ID, timerHangup, now, now.Add(rand.N(each+1)))
	}
	if e.PlaceID == "" {
		return all
	}
	if s := e.Limits.RingSeconds; s > 0 && e.EstablishedAt.IsZero() {
		need(e.PlaceID, timerRing, e.AcceptedAt, e.AcceptedAt.Add(time.Duration(s)*time.Second))
	}
	if d := c.longest(e.Limits); d > 0 {
		need(e.PlaceID, timerDuration, e.AcceptedAt, e.AcceptedAt.Add(d))
	}
	return all
}

// arm arms a missing timer, unless it has been armed meanwhile. The journal
// tells of a look whether it is still wanted.
func (c *Calls) arm(ctx context.Context, w want) (bool, error) {
	if w.Kind == timerLook {
		if still, err := c.prepareLook(ctx, &w); !still || err != nil {
			return false, err
		}
	}
	return c.timers.ArmMissing(ctx, w.Timer, w.at)
}

// prepareLook completes the look at a command that the registry has open. One
// that has a final record is closed instead; one that Graph has not taken yet is
// still its executor's.
func (c *Calls) prepareLook(ctx context.Context, w *want) (bool, error) {
	own, err := c.journal.Last(ctx, w.Key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err != nil:
		return false, err
	case own.Final:
		return false, c.CloseOpen(ctx, w.Key.Call(), w.Key.ID, own.Status)
	case own.Status != commands.Accepted:
		return false, nil
	}
	// One that has fired lately knows the original message, and how often.
	if t, ok, err := c.timers.Find(ctx, w.Key, timerLook); err != nil {
		return false, err
	} else if ok && t.CallID == w.CallID {
		w.Attached, w.Tries = t.Attached, t.Tries
	}
	w.Since = own.Stored
	wait := c.opts.OperationTimeout
	if own.Action == commands.Place { // as watchPlaced arms it
		w.Since, wait = own.Time, c.opts.SilentAfter
	}
	w.at = w.Since.Add(wait)
	if soonest := time.Now(); w.at.Before(soonest) {
		w.at = soonest.Add(rand.N(c.opts.SilentAfter))
	}
	return true, nil
}
