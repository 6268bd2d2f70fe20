package callbacks

import (
	"context"
	"errors"

	"callbus/internal/commands"
)

// store keeps the events of one body, in order and each independently, and
// tells whether the answer may be 202; see [Receiver] for a body stored in part.
func (r *Receiver) store(ctx context.Context, notes []Notification, base commands.Event, messageID string) bool {
	var stored, failed int
	for i, n := range notes {
		err := r.append(ctx, n, base, eventID(messageID, i))
		outcome := OutcomeStored
		switch {
		case errors.Is(err, ErrDuplicate):
			outcome = OutcomeDuplicate
			stored++
		case err != nil:
			outcome = OutcomeStoreFailed
			failed++
			r.log.error("notification not stored", OutcomeStoreFailed, "kind", string(n.Kind), "err", err)
		default:
			stored++
		}
		r.opts.Counter.Notification(string(n.Kind), outcome)
	}
	if failed > 0 && stored > 0 && messageID == "" {
		r.log.error("notifications lost", "lost", "lost", failed, "stored", stored)
		return true
	}
	return failed == 0
}

func (r *Receiver) append(ctx context.Context, n Notification, base commands.Event, id string) error {
	e := n.Event(base)
	if e.Producer == "" { // came to the global webhook
		owner, err := r.owner(ctx, n, base.TenantID)
		if err != nil {
			return err
		}
		e.Producer, e.CallRef = owner.Producer, owner.CallRef
	}
	return r.opts.Store.Append(ctx, e, id)
}
