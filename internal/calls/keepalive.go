package calls

import (
	"context"
	"math/rand/v2"
	"time"

	"callbus/internal/commands"
	"callbus/internal/timers"
)

// watchEstablished arms the keep-alive of a call that was answered, or that is
// seen established without one. One that is armed for this call stays as it is:
// a call that has something to tell every few minutes would otherwise never be
// kept alive. Calls that are answered together are not kept alive together.
func (c *Calls) watchEstablished(ctx context.Context, call commands.CallKey, e Entry) error {
	if !e.KeepAlive {
		return nil
	}
	t := timers.Timer{Key: callTimer(call), Kind: timerKeepAlive, CallID: e.CallID, TenantID: e.TenantID, Since: e.EstablishedAt}
	first := time.Now().Add(c.opts.KeepAliveInterval/2 + rand.N(c.opts.KeepAliveInterval/2+1))
	armed, err := c.timers.ArmMissing(ctx, t, first)
	if armed || err != nil {
		return err
	}
	old, ok, err := c.timers.Find(ctx, t.Key, t.Kind)
	if err != nil || (ok && commands.NormalCallID(old.CallID) == commands.NormalCallID(e.CallID)) {
		return err
	}
	return c.timers.Arm(ctx, t, first) // it was for an earlier call of the name
}

// keepAliveAgain is when a call is kept alive next: never later than the
// interval, and a little earlier each time, so that those that an outage has
// brought together part again.
func (c *Calls) keepAliveAgain() time.Time {
	return time.Now().Add(c.opts.KeepAliveInterval - rand.N(c.opts.KeepAliveInterval/10+1))
}

// fireKeepAlive keeps the call alive and says when next, until its end. A call
// that Graph does not find is read: its last notification may have been lost.
func (c *Calls) fireKeepAlive(ctx context.Context, t timers.Timer, e Entry, current bool) (time.Time, error) {
	if !current || e.Ended() || !e.KeepAlive {
		return time.Time{}, nil
	}
	gone, err := c.graph.KeepAlive(ctx, e.TenantID, e.CallID)
	outcome := "succeeded"
	switch {
	case err != nil:
		outcome = "failed"
	case gone:
		outcome = "gone"
	}
	if c.obs != nil {
		c.obs.KeepAlive(outcome)
	}
	c.tellKeepAlive(ctx, t.Key.Call(), e, outcome)
	if err != nil {
		return time.Time{}, err
	}
	if gone {
		return time.Time{}, c.look(ctx, t.Key.Call(), e)
	}
	return c.keepAliveAgain(), nil
}

// tellWithin bounds a note that nothing depends on.
const tellWithin = 2 * time.Second

// tellKeepAlive stores, for whoever asks later why a call lived or died, that a
// worker kept it alive or could not. A failure comes back every few seconds and
// is told once in the stream's window. It is a note: one that cannot be stored
// keeps no call from being kept alive.
func (c *Calls) tellKeepAlive(ctx context.Context, call commands.CallKey, e Entry, outcome string) {
	once := ""
	if outcome == "failed" {
		once = "keepAlive-failed-" + commands.NormalCallID(e.CallID)
	}
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	err := c.Events.Append(ctx, commands.Event{
		Producer: call.Producer, CallRef: call.CallRef, CallID: e.CallID, CallChainID: e.CallChainID, TenantID: e.TenantID,
		CommandID: e.PlaceID, Attempt: e.Attempt, Kind: commands.KindKeepAlive, State: e.State, Reason: outcome,
	}, once)
	if err != nil {
		c.log.Debug("keep-alive not told", "producer", call.Producer, "call_ref", call.CallRef, "err", err)
	}
}
