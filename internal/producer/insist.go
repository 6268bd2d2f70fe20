package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// insistFor bounds one attempt: what is lost with a connection is asked for again.
const insistFor = 30 * time.Second

// insist runs do, which may begin anew, until the server has answered, ctx ends,
// or there is no use in it. what says in an error what is not permitted.
func (c *Client) insist(ctx context.Context, what string, do func(context.Context) error) error {
	var before error
	for {
		err := c.permitted(ctx, what, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, insistFor)
			defer cancel()
			return do(ctx)
		})
		switch {
		case err == nil, useless(err, before == nil):
			return err
		case ctx.Err() != nil:
			return cmp.Or(before, err)
		}
		before = err
		pause(ctx, 500*time.Millisecond)
	}
}

// permitted runs do and ends it as soon as the server says, out of turn, that
// we may not do this, which what names; requests that are not permitted are
// never answered.
func (c *Client) permitted(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	before, watched := c.nc.LastError(), make(chan struct{})
	defer func() { <-watched }()
	defer cancel(nil)
	go func() {
		defer close(watched)
		look := time.NewTicker(50 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
				if err := c.nc.LastError(); err != nil && err != before && isViolation(err) {
					cancel(&RefusedError{Why: NotPermitted, err: err,
						Problem: fmt.Sprintf("not permitted to %s: an operator's rights are needed (%s)", what, strings.TrimPrefix(err.Error(), "nats: "))})
					return
				}
			}
		}
	}()
	err := do(ctx)
	if refused, ok := errors.AsType[*RefusedError](context.Cause(ctx)); ok && err != nil {
		return refused
	}
	return err
}

// useless tells whether there is no use in scanning again. That nobody answers
// counts only the first time: later it is a server that starts.
func useless(err error, first bool) bool {
	return hopeless(err) || errors.Is(err, errNotThere) || (first && errors.Is(err, nats.ErrNoResponders)) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// errNotThere is a stream or bucket that was never made.
var errNotThere = errors.New("create it first (worker provision)")
