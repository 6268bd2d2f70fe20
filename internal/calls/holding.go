package calls

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// MayLive tells whether a place may have a call that lives: it was begun, and
// nothing says that its call is over. One that ended unknown may for the time
// ring, after which it is not ringing any more. The journal decides, and the
// registry of a call that was there.
func (c *Calls) MayLive(ctx context.Context, place commands.Key, ring time.Duration) (bool, error) {
	own, err := c.journal.Last(ctx, place)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch {
	case own.Status == commands.Waiting:
		return false, nil
	case own.Status == commands.Started:
		return true, nil
	}
	e, known, err := c.Registry.Get(ctx, place.Call())
	if err != nil {
		return false, err
	}
	if known && e.PlaceID == place.ID && e.CallID != "" {
		return e.Live(), nil
	}
	// The registry has no call of it: not yet, or the name stands for another one
	// by now, or there never was any.
	return !known && own.Status == commands.Accepted || own.Status == commands.Unknown && time.Since(own.Stored) < ring, nil
}
