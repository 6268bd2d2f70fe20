package calls

import (
	"context"
	"time"

	"callbus/internal/commands"
	"callbus/internal/timers"
)

// fireLook looks after an accepted command without an outcome: it settles what
// the registry knows, else reads the call.
func (c *Calls) fireLook(ctx context.Context, t timers.Timer, e Entry, current bool) (time.Time, error) {
	v, err := c.journal.Read(ctx, t.Key)
	if err != nil {
		return time.Time{}, err
	}
	own := v.Own
	switch {
	case (own == nil || own.Status == commands.Waiting) && t.Tries < 3:
		return time.Now().Add(c.opts.SilentEvery), nil // a replica that is behind
	case own != nil && own.Final:
		// The one who put it into the registry may have been slower than its end.
		if e.OpenOf(t.Key.ID) == nil {
			return time.Time{}, nil
		}
		return time.Time{}, c.CloseOpen(ctx, t.Key.Call(), t.Key.ID, own.Status)
	case own == nil || own.Status == commands.Waiting:
		return time.Time{}, nil
	case !current && own.Action == commands.Place:
		_, err := c.Settle(ctx, t.Key, own.CallID, answerUnseen())
		return time.Time{}, err
	case !current:
		_, err := c.Settle(ctx, t.Key, own.CallID, Outcome{Status: commands.Failed, Error: (&Entry{}).goneError("the call ended before the outcome was known")})
		return time.Time{}, err
	}
	if e.OpenOf(t.Key.ID) == nil {
		open := Open{ID: t.Key.ID, Action: own.Action, ClientContext: own.ClientContext}
		if own.Operation != nil {
			open.OperationID = own.Operation.ID
		}
		if e, err = c.AddOpen(ctx, t.Key.Call(), t.CallID, open); err != nil {
			return time.Time{}, err
		}
	}
	if e, err = c.SettleDecided(ctx, t.Key.Call(), e); err != nil {
		return time.Time{}, err
	}
	switch open := e.OpenOf(t.Key.ID); {
	case open == nil || open.Settled:
		return time.Time{}, nil
	case e.Ended() && own.Action == commands.Place:
		return time.Time{}, c.giveUpAnswer(ctx, t.Key, e)
	case e.Ended():
		_, err := c.Settle(ctx, t.Key, e.CallID, Outcome{Status: commands.Failed, Error: e.goneError("the call ended before the outcome was known")})
		return time.Time{}, err
	}
	if !e.Notified && t.Tries == 0 && own.Action == commands.Place && c.obs != nil {
		c.obs.CallSilent()
	}
	r, err := c.graph.ReadCall(ctx, e.TenantID, e.CallID)
	if err != nil {
		return time.Time{}, err
	}
	if r.Gone || r.State != e.State || own.Action == commands.Transfer {
		if err := c.Tell(ctx, t.Key.Call(), e, r); err != nil {
			return time.Time{}, err
		}
	}
	return c.lookNext(ctx, t, own.Action, e, r)
}

func answerUnseen() Outcome {
	return unknown("endedUnseen", "the call ended in good order and nothing was heard of an answer: it may have been answered or not")
}

// giveUpAnswer ends a place whose call ended in good order although nothing was
// ever heard of an answer.
func (c *Calls) giveUpAnswer(ctx context.Context, place commands.Key, e Entry) error {
	out := answerUnseen()
	if e.HangupWanted {
		out = e.cancelled()
	}
	_, err := c.Settle(ctx, place, e.CallID, out)
	if err != nil {
		return err
	}
	return c.CloseOpen(ctx, place.Call(), place.ID, commands.Unknown)
}

// lookNext says when to look again. A call that rings is read until it settles;
// an operation whose call lives on after its time has no outcome that anybody
// could still find out.
func (c *Calls) lookNext(ctx context.Context, t timers.Timer, a commands.Action, e Entry, r Reading) (time.Time, error) {
	switch {
	case a == commands.Place && !e.Notified, r.Gone:
		return time.Now().Add(c.opts.SilentEvery), nil
	case a == commands.Place, a == commands.Transfer, a == commands.Redirect && r.State == StateIncoming:
		return time.Now().Add(lookAgain), nil
	}
	_, err := c.Settle(ctx, t.Key, e.CallID, unknown("operationUnseen", "nothing was heard of the operation within its time, and the call lives on"))
	if err != nil {
		return time.Time{}, err
	}
	err = c.CloseOpen(ctx, t.Key.Call(), t.Key.ID, commands.Unknown)
	c.hint(t.Key.Call()) // somebody may have waited for just that
	return time.Time{}, err
}
