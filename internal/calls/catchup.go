package calls

import (
	"context"

	"callbus/internal/commands"
)

// catchUp makes the end of a call wait for no one: what is stored of the call
// and has not been folded, because the worker that had it died or stands still,
// is taken into account before the end decides the open commands. Otherwise a
// call that was answered would end "cancelled", and a prompt that was played
// "failed".
func (c *Calls) catchUp(ctx context.Context, call commands.CallKey, e *Entry, ev commands.Event) error {
	if ev.State != StateTerminated || e.Ended() {
		return nil
	}
	var states, operations bool
	for _, o := range e.Open {
		switch o.Action {
		case commands.Place:
			states = states || e.EstablishedAt.IsZero()
		case commands.Transfer:
			states = true
		default:
			operations = operations || operation(o.Action)
		}
	}
	for kind, wanted := range map[commands.Kind]bool{commands.KindState: states, commands.KindOperation: operations} {
		if !wanted {
			continue
		}
		stored, err := c.Events.Stored(ctx, call, kind, e.CallID)
		if err != nil {
			return err
		}
		for _, before := range stored {
			e.recall(before)
		}
	}
	return nil
}

// recall takes from a stored event what would be decisive at the end of the
// call, and nothing that an earlier transfer may have left behind.
func (e *Entry) recall(ev commands.Event) {
	if ev.Operation != nil {
		e.foldOperation(ev.Operation)
	}
	if e.answeredBy(ev) {
		e.EstablishedAt = ev.Time
	}
	if ev.State == StateTransferAccepted && e.open(commands.Transfer) && !e.TransferringAt.IsZero() && !ev.Time.Before(e.TransferringAt) {
		e.TransferAccepted = true
	}
}
