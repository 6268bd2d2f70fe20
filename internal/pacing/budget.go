package pacing

import (
	"context"
	"sync"

	"callbus/internal/commands"
)

// Reasons to wait, as results carry them.
const (
	ReasonLiveCalls    = "liveCalls"
	ReasonMonthlyCalls = "monthlyCalls"
	ReasonPaused       = "paused"
)

// Budget is what calls may be placed at all: so many at once, so many a month.
// Both are layers of [Admission]; here is what goes on beside the requests.
type Budget struct {
	Slots *Slots
	Month *Month
}

// Recorded is told of every record of a place that this worker stored, and does
// not block. One that came to no call gives its slot back; one that Graph took is
// counted. The slot of a call is given back by [Slots.Ended], that of a place that
// ended unknown by the sweep.
func (b *Budget) Recorded(tenant string, place commands.Key, status commands.Status, callID string) {
	switch {
	case status == commands.Accepted:
		b.Month.Took(tenant, place)
	case status == commands.Unknown, status == commands.Succeeded:
	case status.Final() && callID == "":
		b.Slots.Ended(place)
	}
}

// Run keeps the pictures of both until ctx ends, and heals the slots; the error
// is nil.
func (b *Budget) Run(ctx context.Context, h Holders) error {
	var parts sync.WaitGroup
	for _, run := range []func(){
		func() { _ = b.Month.Run(ctx) }, func() { _ = b.Slots.Run(ctx) }, func() { _ = b.Slots.KeepSwept(ctx, h) },
	} {
		parts.Go(run)
	}
	parts.Wait()
	return nil
}

// Close waits for what is being given back or counted, some seconds at most.
// Call it when no place is in work any more.
func (b *Budget) Close() {
	b.Slots.Close()
	b.Month.Close()
}
