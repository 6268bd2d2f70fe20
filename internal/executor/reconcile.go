package executor

import (
	"context"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
)

// reconcile finds out what became of a request that may have been executed and
// must not be repeated. Proof comes as an event: the callback of a call, the
// notification of an operation, the states of a transfer; the fold of events
// writes it into the journal, and this delivery then finds it there. Here the
// call is read where that can tell more, and after the wait the command ends
// unknown, or is sent again if its producer said so.
func (j *job) reconcile(ctx context.Context) (bool, error) {
	own := j.view.Own
	end := own.Stored.Add(j.x.opts.ReconcileWait)
	switch {
	case j.m.Action == commands.Place:
	case j.entry.Live():
		if err := j.readBack(ctx); err != nil {
			return false, err
		}
	case j.known() && j.entry.Ended() && j.entry.OpenOf(j.key.ID) != nil:
		// The end may have been folded before "started" was stored, when there was
		// nothing to be decided yet.
		if _, err := j.x.Calls.SettleDecided(ctx, j.m.Call, j.entry); err != nil {
			return false, err
		}
		if r, err := j.x.Journal.Last(ctx, j.key); err != nil || r.Final {
			j.m.Park(0)
			return false, err
		}
	}
	if wait := time.Until(end); wait > 0 {
		j.m.Park(min(wait, parkDelay(j.quiet())))
		return false, nil
	}
	unwanted := j.entry.HangupWanted && (j.m.Action != commands.Place || j.entry.PlaceID == j.key.ID)
	if j.cmd.OnUnknown == commands.OnUnknownRetry && !unwanted && time.Now().Before(j.expiry) {
		return true, nil
	}
	return false, j.fail(ctx, commands.Unknown, answerLost())
}

func answerLost() *commands.Error {
	return &commands.Error{
		Class: commands.ClassAmbiguous, Reason: "noProof", Code: "answerLost",
		Message: "the request was begun, its answer was lost, and nothing was heard of it in time",
		Hint:    "ask the people concerned before doing it again; late proof is corrected in a further record",
	}
}

// readBack reads the call whose transfer, redirect or prompt is in doubt and
// passes on what it shows, as an event.
func (j *job) readBack(ctx context.Context) error {
	r, err := j.x.line().ReadCall(ctx, j.entry.TenantID, j.entry.CallID)
	if err != nil {
		return nil // Graph is away: the wait goes on
	}
	if !r.Gone && r.State == j.entry.State {
		return nil
	}
	return j.x.Calls.Tell(ctx, j.m.Call, j.entry, r)
}

// opened lists the actions whose command is put into the registry before it is
// sent, because their outcome comes as events of the call.
func opened(a commands.Action) bool {
	switch a {
	case commands.PlayPrompt, commands.Transfer, commands.Redirect:
		return true
	}
	return false
}

// open notes the command among the call's open ones. ErrMoved says that the
// registry has lost the call: then nothing is noted, and what has been sent is
// noted when the registry is made anew from its record.
func (j *job) open(ctx context.Context, o calls.Open) error {
	o.ID, o.Action = j.key.ID, j.m.Action
	e, err := j.x.Calls.AddOpen(ctx, j.m.Call, j.entry.CallID, o)
	if err != nil {
		return err
	}
	return j.renew(e)
}
