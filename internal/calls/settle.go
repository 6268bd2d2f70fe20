package calls

import (
	"context"
	"errors"
	"fmt"

	"callbus/internal/commands"
	"callbus/internal/ledger"
)

// Settle writes the final record of a command whose outcome has been found out.
// It is idempotent: a command that is final stays as it is, but for one that
// ended unknown and is now known, which gets its one correction. It reports
// false when the command has no record yet that could be ended: the executor
// has not begun it, or a replica is behind.
func (c *Calls) Settle(ctx context.Context, key commands.Key, callID string, out Outcome) (bool, error) {
	for {
		v, err := c.journal.Read(ctx, key)
		if err != nil {
			return false, err
		}
		own := v.Own
		if own == nil || own.Status == commands.Waiting {
			return false, nil
		}
		if out.Operation != nil && !operation(own.Action) {
			return false, nil // a producer's clientContext that happens to be the id of another command
		}
		rec := ledger.Record{
			Result: commands.Result{
				Action: own.Action, Status: out.Status, Reason: out.Reason, CallID: callID, TenantID: own.TenantID,
				Operation: out.Operation, Error: out.Error, Attempts: own.Attempts, Timing: own.Timing,
				Metadata: own.Metadata, ReplayOf: own.ReplayOf, Worker: own.Worker,
			},
			Attempt: own.Attempt + "s", Body: own.Body, ReplyTo: own.ReplyTo, TraceParent: own.TraceParent, ClientContext: own.ClientContext,
		}
		if rec.CallID == "" {
			rec.CallID = own.CallID
		}
		if rec.Operation == nil {
			rec.Operation = own.Operation
		}
		if own.Status == commands.Started && out.Status == commands.Unknown {
			// It is still in the queue: whoever reconciles it has the rest of the
			// bounded wait, and the original for the dead letter.
			return false, nil
		}
		if own.Final {
			if own.Status != commands.Unknown || own.Corrects != 0 || out.Status == commands.Unknown {
				return true, nil
			}
			rec.Corrects = own.Seq
		}
		if out.Status == commands.Unknown {
			// A letter cannot be taken back.
			if current, err := c.journal.Current(ctx, &v); err != nil || !current {
				if err != nil {
					return false, err
				}
				continue
			}
			if err := c.buryUnknown(ctx, key, own.Action, out.Error); errors.Is(err, ledger.ErrMoved) {
				continue
			} else if err != nil {
				return false, err
			}
		}
		err = c.journal.Append(ctx, &v, rec)
		if errors.Is(err, ledger.ErrMoved) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("settle %s: %w", own.Action, err)
		}
		return true, nil
	}
}

// operation tells whether the action makes an operation of Graph's.
func operation(a commands.Action) bool {
	switch a {
	case commands.PlayPrompt, commands.Mute, commands.Unmute, commands.CancelMediaProcessing:
		return true
	}
	return false
}

// SettleDecided settles every open command of the call whose outcome follows
// from the entry, and closes those in the registry. Those that have not begun
// stay: the executor finds out when it gets to them. One that ended unknown
// stays too, settled, for late news may correct it. It returns the entry as it
// is then.
func (c *Calls) SettleDecided(ctx context.Context, call commands.CallKey, e Entry) (Entry, error) {
	var closed, doubtful []string
	for _, o := range e.Open {
		out, ok := e.Decide(o)
		if !ok {
			continue
		}
		key := commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: o.ID}
		settled, err := c.Settle(ctx, key, e.CallID, out)
		if err != nil {
			return e, err
		}
		switch {
		case settled && out.Status == commands.Unknown && !o.Settled:
			doubtful = append(doubtful, o.ID)
		case settled && out.Status != commands.Unknown:
			closed = append(closed, o.ID)
		}
	}
	if len(closed)+len(doubtful) == 0 {
		return e, nil
	}
	e, err := c.Registry.Update(ctx, call, func(e *Entry) bool {
		removed := e.Remove(closed...)
		return e.markSettled(doubtful) || removed
	})
	c.hint(call) // somebody may have waited for just that
	return e, err
}

// AddOpen notes that a command of the call with the id waits for its outcome. It
// returns the entry as it is now; where that is not of this call any more, because
// the registry was lost or the name stands for another call, nothing is noted.
func (c *Calls) AddOpen(ctx context.Context, call commands.CallKey, callID string, o Open) (Entry, error) {
	return c.Registry.Update(ctx, call, func(e *Entry) bool { return e.Is(callID) && e.Add(o) })
}

// CloseOpen takes a command that has ended out of the call's open ones. One that
// ended unknown stays, settled, for late news may correct it.
func (c *Calls) CloseOpen(ctx context.Context, call commands.CallKey, id string, ended commands.Status) error {
	_, err := c.Registry.Update(ctx, call, func(e *Entry) bool {
		if ended == commands.Unknown {
			return e.markSettled([]string{id})
		}
		return e.Remove(id)
	})
	return err
}
