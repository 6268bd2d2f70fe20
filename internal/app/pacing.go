package app

import (
	"callbus/internal/commands"
	"callbus/internal/executor"
	"callbus/internal/pacing"
)

// What a request rate may be but a rate: not known and to be learned, or none at
// all, so that nothing but a 429 holds.
const (
	QuotaLearned = "learn"
	QuotaOff     = "off"
)

// openPacing makes the layers that hold requests back, and composes them: the
// order is theirs, outermost first.
func (w *Worker) openPacing() {
	w.breaker = pacing.NewBreaker(w.gates, pacing.BreakerOptions{Probe: executor.Probe(w.graph), Observer: w.metrics})
	layers := []pacing.Layer{w.pauses, w.breaker, w.gates, w.budget.Slots, w.budget.Month}
	if w.opts.QuotaRequests != QuotaOff {
		var quota pacing.Quota // learned
		if w.opts.QuotaRequests != "" && w.opts.QuotaRequests != QuotaLearned {
			quota, _ = pacing.ParseQuota(w.opts.QuotaRequests) // validated
		}
		w.pacer = pacing.NewPacer(w.gates, w.opts.Streams.Prefix, pacing.PacerOptions{
			Quota: quota, Waiting: max(w.opts.Concurrency/2, 1), Observer: w.metrics,
		})
		layers = append(layers, w.pacer)
	}
	w.admission = pacing.NewAdmission(layers...)
}

// held tells of a lane that every tenant's next command of it would be parked.
// Urgent commands never are, and tenants that are not configured are not known.
func (w *Worker) held(lane commands.Lane) func() bool {
	class := pacing.ClassOther
	switch {
	case lane == commands.LaneUrgent || len(w.opts.Tenants) == 0:
		return nil
	case lane == commands.LanePlace:
		class = pacing.ClassPlace
	}
	return func() bool {
		for _, tenant := range w.opts.Tenants {
			if _, held := w.admission.Held(pacing.Request{Scope: tenant, Class: class}); !held {
				return false
			}
		}
		return true
	}
}
