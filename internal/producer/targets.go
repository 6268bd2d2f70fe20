package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// StopFilter says which calls a stop is about. The zero value means all.
type StopFilter struct {
	Producer string // empty or [Everyone]: of all producers
	// Tenant leaves out calls that are known to be of another tenant; those of
	// which it is not known stay in.
	Tenant string
}

// producers is the filter's token in a subject.
func (f StopFilter) producers() string {
	if f.Producer == "" {
		return Everyone
	}
	return f.Producer
}

func (f StopFilter) check() error {
	if f.producers() == Everyone {
		return nil
	}
	return commands.CheckProducer(f.Producer)
}

// elsewhere tells whether a call is known to be of another tenant.
func (f StopFilter) elsewhere(tenant string) bool {
	return f.Tenant != "" && tenant != "" && !strings.EqualFold(tenant, f.Tenant)
}

// Target is a call that a stop has to hang up.
type Target struct {
	Call commands.CallKey
	// Queued means that a place command of it is in the queue: it waits, or is
	// being dialled.
	Queued bool
	// State and CallID are the registry's; both empty: not there yet.
	State  string
	CallID string
	// TenantID is empty when it is not known. That of a queued place is only
	// looked for when the filter asks for a tenant.
	TenantID string
}

// Targets lists the calls that live or wait to be placed, by name. Calls that
// came in and that no producer has claimed are not callbus' to end and are left
// out. It needs an operator's rights: it reads the registry's bucket and the
// subjects of the queue. It blocks until both are read; a server that does not
// answer is asked again until ctx ends.
func (c *Client) Targets(ctx context.Context, f StopFilter) ([]Target, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var before error
	for {
		targets, err := c.scan(ctx, f)
		switch {
		case err == nil, useless(err, before == nil):
			return targets, err
		case ctx.Err() != nil:
			return nil, cmp.Or(before, err)
		}
		before = err
		pause(ctx, 500*time.Millisecond)
	}
}

// scanFor bounds one attempt: what is lost with a connection is asked for again.
const scanFor = 30 * time.Second

// scan looks once. The queue comes first: a place leaves it only after its call
// is in the registry, so none can slip through between the two.
func (c *Client) scan(ctx context.Context, f StopFilter) ([]Target, error) {
	found := map[commands.CallKey]Target{}
	err := c.permitted(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, scanFor)
		defer cancel()
		if err := c.queuedPlaces(ctx, f, found); err != nil {
			return err
		}
		return c.registered(ctx, f, found)
	})
	if err != nil {
		return nil, err
	}
	targets := slices.Collect(maps.Values(found))
	slices.SortFunc(targets, func(a, b Target) int { return strings.Compare(a.Call.String(), b.Call.String()) })
	return targets, nil
}

// permitted runs do and ends it as soon as the server says, out of turn, that
// we may not do this; requests that are not permitted are never answered.
func (c *Client) permitted(ctx context.Context, do func(context.Context) error) error {
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
						Problem: fmt.Sprintf("not permitted to read which calls there are: an operator's rights are needed (%s)", strings.TrimPrefix(err.Error(), "nats: "))})
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
