package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/pacing"
)

// BudgetOptions are how many calls may be placed.
type BudgetOptions struct {
	// MaxLiveCalls may live at once, MonthlyCalls be placed in a month; 0: no limit
	// of ours.
	MaxLiveCalls int
	MonthlyCalls int
	MonthlyHard  bool   // our own count holds places back, too
	MonthlyReset string // as pacing.ParseReset reads it; empty: the first, at midnight
	PerTenant    bool   // each tenant has budgets of its own
	// MonthlyProbe is between two places that ask Graph whether a month's calls are
	// really used up; 0: an hour. For tests.
	MonthlyProbe time.Duration
}

// mostCalls bounds the limits: beyond it a slot for each call is no way to count.
const mostCalls = 10_000

func (o BudgetOptions) validate() (wrong []error) {
	if o.MaxLiveCalls < 0 || o.MaxLiveCalls > mostCalls {
		wrong = append(wrong, fmt.Errorf("--max-live-calls is %d: want 0 (no limit) to %d", o.MaxLiveCalls, mostCalls))
	}
	if o.MonthlyCalls < 0 {
		wrong = append(wrong, fmt.Errorf("--monthly-calls is %d: want 0 (no limit) or more", o.MonthlyCalls))
	}
	if o.MonthlyHard && o.MonthlyCalls == 0 {
		wrong = append(wrong, errors.New("--monthly-calls-hard needs --monthly-calls: want a number of calls"))
	}
	if _, err := o.reset(); err != nil {
		wrong = append(wrong, fmt.Errorf("--monthly-reset is %w", err))
	}
	if o.MonthlyProbe < 0 {
		wrong = append(wrong, fmt.Errorf("--monthly-probe is %s: want 0 or more", o.MonthlyProbe))
	}
	return wrong
}

func (o BudgetOptions) reset() (pacing.Reset, error) {
	if o.MonthlyReset == "" {
		return pacing.Reset{}, nil
	}
	return pacing.ParseReset(o.MonthlyReset)
}

// probe is how often one place asks whether a month's calls are used up.
func (o BudgetOptions) probe() time.Duration {
	if o.MonthlyProbe > 0 {
		return o.MonthlyProbe
	}
	return pacing.ProbeEvery
}

// openBudget opens what holds calls back for longer than a moment: operators'
// pauses and the budgets of calls.
func (w *Worker) openBudget(ctx context.Context) error {
	o, prefix := w.opts.Budget, w.opts.Streams.Prefix
	reset, err := o.reset()
	if err != nil {
		return fmt.Errorf("%w: --monthly-reset is %w", ErrOptions, err)
	}
	if w.pauses, err = pacing.NewPauses(ctx, w.js, prefix, w.queue.Wake, w.metrics, w.log); err != nil {
		return err
	}
	b := &pacing.Budget{}
	if b.Slots, err = pacing.NewSlots(ctx, w.js, prefix, pacing.SlotOptions{
		Limit: o.MaxLiveCalls, PerTenant: o.PerTenant, Tenants: w.opts.Tenants, Worker: w.opts.WorkerName, Wake: w.queue.Wake, Observer: w.metrics,
	}, w.log); err != nil {
		return err
	}
	if b.Month, err = pacing.NewMonth(ctx, w.js, prefix, pacing.MonthOptions{
		Limit: o.MonthlyCalls, Hard: o.MonthlyHard, Reset: reset, PerTenant: o.PerTenant, Tenants: w.opts.Tenants,
		App: w.opts.CallbackAudience, Probe: o.probe(), Wake: w.queue.Wake, Observer: w.metrics,
	}, w.log); err != nil {
		return err
	}
	w.budget = b
	if err := b.StoreSettings(ctx); err != nil {
		w.log.Warn("operators cannot see the limits of calls", "err", err)
	}
	return nil
}

// keepBudget keeps the budgets until ctx ends.
func (w *Worker) keepBudget(ctx context.Context) error {
	return w.budget.Run(ctx, pacing.Holders{
		Holds: func(ctx context.Context, place commands.Key) (bool, error) {
			return w.calls.MayLive(ctx, place, w.opts.ReconcileWait)
		},
		Live: func(ctx context.Context, tell func(commands.Key, string)) error {
			return w.calls.Registry.EachLive(ctx, func(call commands.CallKey, e *calls.Entry) {
				if e.PlaceID != "" { // one that came in was not placed
					tell(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: e.PlaceID}, e.TenantID)
				}
			})
		},
		Young: 2 * w.opts.Streams.AckWait,
	})
}
