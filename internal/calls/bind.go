package calls

import (
	"context"
	"errors"
	"time"

	"callbus/internal/commands"
	"callbus/internal/ledger"
)

// errNotYet says that an event is ahead of the journal as this replica shows
// it: it is looked at again.
var errNotYet = errors.New("the event is ahead of the journal")

// notYetFor bounds how long an event waits for its command to appear.
const notYetFor = time.Minute

// binding is what an event proves about a place command.
type binding int

const (
	bound   binding = iota // the event belongs to the call that the name stands for
	stale                  // stored, not folded: an older use of the name
	orphan                 // a call that nobody wants any more
	pending                // not to be told yet
)

// bind finds out which call an event of a per-call URL is about. The first
// call id that is bound to a place wins; any other one at that URL is an
// orphan, and so is the call of a place that was given up or whose name stands
// for another one now. A place that was started and whose answer is still out
// is accepted on the strength of the event: the call exists. The URL says which
// attempt it was given with: a journal that tells of fewer is one of a replica
// that is behind, and says nothing of whether the call is wanted.
func (c *Calls) bind(ctx context.Context, ev commands.Event, e *Entry) (binding, error) {
	key := commands.Key{Producer: ev.Producer, CallRef: ev.CallRef, ID: ev.CommandID}
	for {
		v, err := c.journal.Read(ctx, key)
		if err != nil {
			return pending, err
		}
		own := v.Own
		switch {
		case own == nil && time.Since(ev.Time) < notYetFor:
			return pending, nil
		case own == nil:
			return stale, nil
		case own.Action != commands.Place:
			return bound, nil
		case own.CallID != "" && commands.NormalCallID(own.CallID) != commands.NormalCallID(ev.CallID):
			return orphan, nil
		case ev.Attempt > own.Attempts && time.Since(ev.Time) < notYetFor:
			return pending, nil
		case v.PlaceID != ev.CommandID:
			return staleOrOrphan(own), nil
		case own.Status == commands.Started:
			rec := proven(own, ev)
			err := c.journal.Append(ctx, &v, rec)
			if errors.Is(err, ledger.ErrMoved) {
				continue
			}
			if err != nil {
				return pending, err
			}
		case own.CallID == "" && own.Status != commands.Unknown:
			return orphan, nil // given up, or still to be dialled again
		case own.Status == commands.Unknown:
			if err := c.tendFound(ctx, ev, e, own); err != nil {
				return pending, err
			}
		}
		return bound, c.bindEntry(ctx, e, v.Own, ev)
	}
}

// tendFound looks after the call of a place that had ended unknown: its command
// has left the queue, and nobody else arms its timers. One that was to be hung
// up meanwhile is hung up at once.
func (c *Calls) tendFound(ctx context.Context, ev commands.Event, e *Entry, own *ledger.Record) error {
	if e.PlaceID != ev.CommandID || !e.HangupWanted {
		return c.watchPlaced(ctx, own.Key(), Entry{CallID: ev.CallID, TenantID: own.TenantID, AcceptedAt: own.Stored, Limits: e.Limits}, Original{})
	}
	if err := c.hangUpOrphan(ctx, ev); err != nil {
		return err
	}
	return c.WatchHangup(ctx, own.Key(), ev.CallID, own.TenantID)
}

// staleOrOrphan tells what an older place of the name left behind: a call that
// was known to us has had its end looked after.
func staleOrOrphan(own *ledger.Record) binding {
	if own.CallID != "" {
		return stale
	}
	return orphan
}

// proven is the accepted record that a notification proves.
func proven(own *ledger.Record, ev commands.Event) ledger.Record {
	rec := *own
	rec.Status, rec.CallID, rec.Reason, rec.Until, rec.Time = commands.Accepted, ev.CallID, "notified", nil, time.Time{}
	rec.Attempt = own.Attempt + "p"
	return rec
}

// bindEntry makes e the entry of the place's call, in memory.
func (c *Calls) bindEntry(ctx context.Context, e *Entry, own *ledger.Record, ev commands.Event) error {
	call := ev.Call()
	if _, err := c.Registry.Claim(ctx, ev.CallID, call); err != nil {
		return err
	}
	if e.PlaceID == ev.CommandID && e.Is(ev.CallID) {
		return nil
	}
	fresh := Entry{
		PlaceID: ev.CommandID, Attempt: ev.Attempt, CallID: ev.CallID, TenantID: own.TenantID,
		AcceptedAt: own.Time, KeepAlive: true, revision: e.revision,
	}
	if e.PlaceID == ev.CommandID { // made before the call id was known
		fresh.Limits, fresh.HangupWanted, fresh.HangupReason, fresh.Open = e.Limits, e.HangupWanted, e.HangupReason, e.Open
	}
	if !own.Final || own.Status == commands.Unknown {
		fresh.Add(Open{ID: ev.CommandID, Action: commands.Place})
	}
	*e = fresh
	return nil
}

// Placed binds the call of an accepted place to its name, arms what looks after
// it, and settles what its events have decided meanwhile. It is idempotent and
// is repeated when the command is delivered again.
func (c *Calls) Placed(ctx context.Context, own *ledger.Record, limits commands.CallLimits, from Original) error {
	key := own.Key()
	call := key.Call()
	if _, err := c.Registry.Claim(ctx, own.CallID, call); err != nil {
		return err
	}
	e, err := c.Registry.Update(ctx, call, func(e *Entry) bool {
		if e.PlaceID == key.ID && e.Is(own.CallID) {
			if e.Limits == limits {
				return false
			}
			e.Limits = limits
			return true
		}
		wanted, reason := e.HangupWanted && e.PlaceID == key.ID, e.HangupReason
		*e = Entry{
			PlaceID: key.ID, Attempt: own.Attempts, CallID: own.CallID, TenantID: own.TenantID, State: StateEstablishing,
			AcceptedAt: own.Time, KeepAlive: true, Limits: limits, revision: e.revision,
			Open: []Open{{ID: key.ID, Action: commands.Place}},
		}
		if wanted { // by a hang-up that waited for the call id
			e.HangupWanted, e.HangupReason = true, reason
		}
		return true
	})
	if err != nil {
		return err
	}
	if err := c.watchPlaced(ctx, key, e, from); err != nil {
		return err
	}
	if _, err := c.SettleDecided(ctx, call, e); err != nil {
		return err
	}
	c.hint(call)
	return nil
}
