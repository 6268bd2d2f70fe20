package producer

import (
	"context"
	"maps"
	"slices"
	"strings"

	"callbus/internal/commands"
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
	var found map[commands.CallKey]Target
	err := c.insist(ctx, "read which calls there are", func(ctx context.Context) error {
		// The queue comes first: a place leaves it only after its call is in the
		// registry, so none can slip through between the two.
		found = map[commands.CallKey]Target{}
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
