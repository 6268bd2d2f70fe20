package callbacks

import (
	"context"
	"errors"

	"callbus/internal/commands"
)

// store keeps the events of one body, in order and each independently, and
// tells whether all of them are stored.
func (r *Receiver) store(ctx context.Context, notes []Notification, base commands.Event, id identity) bool {
	all := true
	for i, n := range notes {
		err := r.append(ctx, n, base, id.event(i, n.Raw))
		outcome := OutcomeStored
		switch {
		case errors.Is(err, ErrDuplicate):
			outcome = OutcomeDuplicate
		case err != nil:
			outcome, all = OutcomeStoreFailed, false
			r.log.error("notification not stored", OutcomeStoreFailed, "kind", string(n.Kind), "err", err)
		}
		r.opts.Counter.Notification(string(n.Kind), outcome)
	}
	return all
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
