package executor

import (
	"context"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/crashpoint"
)

// begin is step 6: the ledger says "started" before anything leaves, by
// compare-and-swap, so that only one worker sends it. From here on a request
// that is not idempotent is not sent again until "waiting" proves that Graph
// did not take it.
func (j *job) begin(ctx context.Context) (bool, error) {
	if j.x.opts.Stopping() {
		j.m.GiveBack()
		return false, nil
	}
	j.reach(crashpoint.Admitted)
	if own := j.view.Own; own != nil && own.Status == commands.Waiting && gateReasons[own.Reason] {
		j.x.Traces.Throttled(ctx, own.Reason, own.Stored)
	}
	j.startedAt = time.Now()
	if opened(j.m.Action) {
		// Before "started": a crash between that and the request is the one
		// that nobody can tell from a lost answer, so nothing else goes there.
		if err := j.open(ctx, calls.Open{ClientContext: clientContext(j.cmd)}); err != nil {
			return false, err
		}
		j.reach(crashpoint.Opened)
	}
	if !j.m.Action.Read() {
		r := j.record(commands.Started)
		r.Attempts++
		if opened(j.m.Action) {
			r.ClientContext = clientContext(j.cmd)
		}
		if err := j.append(ctx, r); err != nil {
			return false, err
		}
		j.reach(crashpoint.Started)
	}
	return true, nil
}

// guard is asked when a connection is there and before the first byte leaves:
// may the request still be sent? The lease says little after a freeze: a
// message that had arrived before it seems freshly leased after it. What counts
// is the age of "started", for others take the command over by that: not before
// the lease and a request's time have passed since. Half a lease is kept for
// clocks that differ.
func (j *job) guard() error {
	switch {
	case j.x.opts.Stopping():
		return errStopping
	case time.Until(j.m.LeaseEnd()) < j.x.opts.GraphTimeout/2, time.Since(j.startedAt) > j.x.opts.AckWait/2:
		return errLeaseLost
	}
	return nil
}
