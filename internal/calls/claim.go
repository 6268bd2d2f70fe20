package calls

import (
	"context"
	"errors"
	"fmt"

	"callbus/internal/commands"
)

// BindCall makes the name stand for a call that was not placed here. It
// returns the owner of the call id, which is call itself when that worked. An
// incoming call moves from the name it came in under, and what has been heard of
// it moves along.
func (c *Calls) BindCall(ctx context.Context, call commands.CallKey, callID, tenant string, keepAlive bool) (commands.CallKey, error) {
	incoming := commands.CallKey{Producer: commands.IncomingProducer, CallRef: commands.NormalCallID(callID)}
	owner, err := c.Registry.Claim(ctx, callID, call)
	if err != nil || owner != call {
		return owner, err
	}
	for {
		was, _, err := c.Registry.Get(ctx, incoming)
		if err != nil {
			return owner, err
		}
		e, err := c.Registry.Update(ctx, call, func(e *Entry) bool {
			if e.Is(callID) && !(was.Is(callID) && rank(was.State) > rank(e.State)) {
				return false
			}
			fresh := Entry{CallID: callID, TenantID: tenant}
			if was.Is(callID) {
				fresh = was
			}
			if e.Is(callID) {
				fresh.Open, fresh.HangupWanted, fresh.HangupReason = e.Open, e.HangupWanted, e.HangupReason
			}
			fresh.KeepAlive, fresh.revision = keepAlive, e.revision
			*e = fresh
			return true
		})
		if err != nil {
			return owner, fmt.Errorf("bind call: %w", err)
		}
		if !was.Is(callID) {
			return owner, nil
		}
		// The name it came in under stands for nothing any more. If news was folded
		// there meanwhile, it moves along.
		if err = c.Registry.Remove(ctx, incoming, &was); errors.Is(err, ErrConflict) {
			continue
		} else if err != nil {
			return owner, err
		}
		if e.Live() {
			err = c.watchIncoming(ctx, call, e)
		}
		return owner, err
	}
}
