package executor

import (
	"context"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/crashpoint"
)

// strayCall passes on a call that this worker was answered with and that the
// journal knows nothing of, because the answer came after somebody else had
// decided: as an event, by which it is bound to a place that ended unknown, or
// hung up as an orphan.
func (j *job) strayCall(ctx context.Context, a answer) error {
	if j.m.Action != commands.Place || a.err != nil {
		return nil
	}
	call, err := a.resp.Call()
	if err != nil || call.ID == "" || commands.NormalCallID(call.ID) == commands.NormalCallID(j.view.Own.CallID) {
		return nil
	}
	stray := calls.Entry{PlaceID: j.key.ID, Attempt: j.attempts(), CallID: call.ID, TenantID: j.tenant}
	return j.x.Calls.Tell(ctx, j.m.Call, stray, calls.Reading{State: calls.StateEstablishing})
}

// settled tells whether the command's record lets it leave the queue.
func (j *job) settled() bool {
	own := j.view.Own
	return own != nil && (own.Final || own.Status == commands.Accepted)
}

// leave takes a settled command out of the queue, after what its record brings
// about. It is repeated when the command is delivered again.
func (j *job) leave(ctx context.Context) error {
	after := j.close
	own := j.view.Own
	// A call may be answered before what looks after it has been armed: then its
	// place has succeeded, and its limits are still to be armed.
	answered := j.m.Action == commands.Place && own.Status == commands.Succeeded && j.entry.PlaceID == j.key.ID && j.entry.Live()
	if own.Status == commands.Accepted || answered {
		after = j.afterAccepted
	}
	if err := after(ctx); err != nil {
		return err
	}
	j.reach(crashpoint.Bound)
	err := j.m.Ack()
	j.reach(crashpoint.Acked)
	return err
}

// afterAccepted brings the registry and the timers to where the journal is.
func (j *job) afterAccepted(ctx context.Context) error {
	own := j.view.Own
	if j.m.Action == commands.Place {
		return j.x.Calls.Placed(ctx, own, j.cmd.Limits, j.original())
	}
	o := calls.Open{ClientContext: own.ClientContext}
	if own.Operation != nil {
		o.OperationID = own.Operation.ID
	}
	if err := j.open(ctx, o); err != nil && !isMoved(err) {
		return err
	}
	if err := j.x.Calls.WatchOpen(ctx, j.key, j.entry, own.Stored, j.original()); err != nil {
		return err
	}
	// The fold of events may have ended the command, and closed it, before it was
	// opened here; nobody would close it again.
	last, err := j.x.Journal.Last(ctx, j.key)
	if err != nil {
		return err
	}
	if last.Final {
		return j.x.Calls.CloseOpen(ctx, j.m.Call, j.key.ID, last.Status)
	}
	_, err = j.x.Calls.SettleDecided(ctx, j.m.Call, j.entry)
	return err
}

// original is the message as it came.
func (j *job) original() calls.Original {
	return calls.Original{Subject: j.m.Subject, Sequence: j.m.Seq, Headers: j.m.Header, Body: j.m.Body}
}
