package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/internal/graph"
	"callbus/internal/ledger"
	"callbus/internal/pacing"
)

// settle is step 8: what the answer means is stored, and then the command
// leaves the queue, or goes back to it.
func (j *job) settle(ctx context.Context, a answer) error {
	begun := j.view.Own // "started", but for reads
	err := j.settleOnce(ctx, a)
	// The fold of events may have been faster: then what it wrote stands, and
	// what is left is to let the command go.
	for try := 0; isMoved(err) && try < movedTries; try++ {
		if j.view, err = j.x.Journal.Read(ctx, j.key); err != nil {
			return err
		}
		switch own := j.view.Own; {
		case !j.m.Action.Read() && (own == nil || own.Seq < begun.Seq):
			err = ledger.ErrMoved // a replica that is behind
			if time.Since(j.startedAt) < j.x.opts.AckWait {
				try-- // nobody else is at the command until then, and only we know the answer
			}
			select {
			case <-time.After(behindPause):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			continue
		case j.settled():
			if err := j.strayCall(ctx, a); err != nil {
				return err
			}
			return j.leave(ctx)
		case !j.m.Action.Read() && own.Attempt != j.nonce && a.err != nil:
			// Another worker has begun it anew. What did not come of our
			// request says nothing about its own.
			j.m.Abandon()
			return nil
		}
		err = j.settleOnce(ctx, a)
	}
	if isMoved(err) {
		return fmt.Errorf("settle after an answer: %w", errJournalBusy)
	}
	return err
}

// behindPause is the wait for a replica that has not got what we wrote.
const behindPause = 20 * time.Millisecond

// errJournalBusy is not ErrMoved: the steps must not be taken again from the
// first one, which would send a second time.
var errJournalBusy = errors.New("the call's journal keeps moving")

func (j *job) settleOnce(ctx context.Context, a answer) error {
	if a.err == nil {
		return j.succeeded(ctx, a)
	}
	v := judge(j.m.Action, a.err)
	if v.tries > 0 && j.attempts() >= v.tries {
		v.next = failed
	}
	switch v.next {
	case callGone:
		return j.gone(ctx, a)
	case unsent:
		return j.unsent(ctx, a, v)
	case again:
		return j.resend(ctx)
	case lost:
		j.m.Park(j.x.opts.AckWait + j.x.opts.GraphTimeout)
		return nil
	case dismissed:
		return j.dismissed(ctx, v)
	}
	return j.failed(ctx, a)
}

// resends bounds how often an idempotent request is sent again within one
// delivery; a hang-up does not wait for another worker to be sure that this one
// is not at it any more.
const resends = 4

// resend sends an idempotent request again after a short wait, under a new
// attempt, while this worker holds the command.
func (j *job) resend(ctx context.Context) error {
	j.doubt = true
	down := j.x.Down != nil && j.x.Down(j.tenant) // a hang-up is not held, but a Graph that is down is not hammered
	if j.resent++; j.resent > resends || down || !time.Now().Before(j.expiry) {
		j.x.Admission.Await(j.paced())
		j.m.Park(min(retryDelay(j.attempts(), time.Second, parkMost), max(time.Until(j.expiry), time.Second)))
		return nil
	}
	select {
	case <-time.After(retryDelay(j.resent, 250*time.Millisecond, 4*time.Second)):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, step := range []func(context.Context) (bool, error){j.admit, j.begin} {
		if on, err := step(ctx); !on || err != nil {
			return err
		}
	}
	return j.settleOnce(ctx, j.send(ctx))
}

// attempts is how often the command was begun. Of reads the ledger has no
// "started", at most that they waited; their deliveries stand in.
func (j *job) attempts() int {
	if j.view.Own == nil || j.m.Action.Read() {
		return int(j.m.Deliveries)
	}
	return max(j.view.Own.Attempts, 1)
}

// succeeded stores a 2xx: as the outcome, or as accepted when events decide.
func (j *job) succeeded(ctx context.Context, a answer) error {
	r := j.record(commands.Succeeded)
	r.Timing.GraphMS += a.took.Milliseconds()
	switch j.m.Action {
	case commands.Place:
		call, err := a.resp.Call()
		if err != nil || call.ID == "" {
			// It rings, and we do not know its name: its events will tell.
			return j.settleOnce(ctx, answer{err: &graph.Error{Reason: graph.Unreadable, Sent: graph.Answered, Status: a.resp.Status}, took: a.took})
		}
		r.Status, r.CallID = commands.Accepted, call.ID
		return j.accepted(ctx, r)
	case commands.Transfer, commands.Redirect:
		if j.unobserved() {
			r.Observed = new(bool)
			return j.finish(ctx, r)
		}
		r.Status = commands.Accepted
		return j.accepted(ctx, r)
	case commands.PlayPrompt, commands.Mute, commands.Unmute, commands.CancelMediaProcessing:
		return j.operation(ctx, a, r)
	case commands.Hangup:
		return j.deleted(ctx, r)
	case commands.KeepAlive:
		return j.finish(ctx, r)
	}
	r.Data = a.resp.Body
	if a.resp.SkipToken != "" {
		data, err := with(a.resp.Body, "skipToken", a.resp.SkipToken)
		if err != nil {
			return err
		}
		r.Data = json.RawMessage(data)
	}
	return j.finish(ctx, r)
}

// unobserved tells whether the end of an operation would never be heard of: a
// call that was not placed here and that nobody notifies us of.
func (j *job) unobserved() bool { return j.entry.PlaceID == "" && !j.entry.Notified }

// operation stores Graph's answer to an operation: completed or failed at once,
// or running.
func (j *job) operation(ctx context.Context, a answer, r ledger.Record) error {
	op, err := a.resp.CommsOperation()
	if err != nil {
		return j.settleOnce(ctx, answer{err: &graph.Error{Reason: graph.Unreadable, Sent: graph.Answered, Status: a.resp.Status}, took: a.took})
	}
	r.Operation = &commands.Operation{ID: op.ID, Status: op.Status, ClientContext: op.ClientContext}
	if op.ResultInfo != nil {
		r.Operation.ResultInfo = &commands.ResultInfo{Code: op.ResultInfo.Code, Subcode: op.ResultInfo.Subcode, Message: op.ResultInfo.Message}
	}
	switch {
	case op.Status == "completed":
		return j.finish(ctx, r)
	case op.Status == "failed":
		r.Status, r.Error = commands.Failed, calls.OperationError(r.Operation.ResultInfo)
		return j.finish(ctx, r)
	case j.unobserved():
		r.Observed = new(bool)
		return j.finish(ctx, r)
	}
	// Before the record: once that is there, a command that waits for its turn
	// asks the registry what is still open.
	if err := j.open(ctx, calls.Open{OperationID: op.ID, ClientContext: clientContext(j.cmd)}); err != nil && !isMoved(err) {
		return err
	}
	r.Status = commands.Accepted
	return j.accepted(ctx, r)
}

// accepted stores that Graph took the command; events and timers own it then.
func (j *job) accepted(ctx context.Context, r ledger.Record) error {
	r.ClientContext = clientContext(j.cmd)
	if err := j.append(ctx, r); err != nil {
		return err
	}
	j.reach(crashpoint.Recorded)
	return j.leave(ctx)
}

// gone stores that Graph does not know the call any more.
func (j *job) gone(ctx context.Context, a answer) error {
	if j.m.Action == commands.KeepAlive {
		// Graph may be wrong for a moment; a read settles it.
		if r, err := j.x.line().ReadCall(ctx, j.tenant, j.entry.CallID); err != nil || !r.Gone {
			j.m.Park(retryDelay(j.attempts(), time.Second, parkMost))
			return nil
		}
	}
	// Its last notification may be on the way, with the reason of the end.
	if err := j.x.Calls.WatchGone(ctx, j.m.Call, j.entry); err != nil {
		return err
	}
	if j.m.Action == commands.Hangup {
		return j.hungUp(ctx, "alreadyEnded")
	}
	r := j.record(commands.Failed)
	r.Timing.GraphMS += a.took.Milliseconds()
	r.Error = outcomeError(a.err, time.Now())
	r.Error.Class, r.Error.Reason = commands.ClassGone, "ended"
	return j.finish(ctx, r)
}

// unsent puts off a command that Graph certainly did not take, and shuts the
// gate for others like it where the answer says so.
func (j *job) unsent(ctx context.Context, a answer, v verdict) error {
	now := time.Now()
	until := now.Add(v.after)
	if v.after == 0 {
		until = now.Add(retryDelay(j.attempts(), time.Second, parkMost))
	}
	if v.reason == "throttled" && j.x.Observer != nil {
		class, gated := pacing.ClassOf(j.m.Action)
		if !gated {
			class = pacing.ClassOther
		}
		j.x.Observer.Throttled(j.tenant, string(class))
	}
	if then, ok := j.budgeted(v.reason); ok {
		until = then
	} else if v.shut {
		if err := j.x.Gates.Close(ctx, pacing.Gate{Scope: j.tenant, Class: v.class, Reason: v.reason, Until: until}); err != nil {
			j.x.log.Warn("gate is shut here alone", "err", err)
		}
	}
	if own := j.view.Own; own != nil && own.Timing != nil {
		own.Timing.GraphMS += a.took.Milliseconds()
	}
	if class, _ := pacing.ClassOf(j.m.Action); class == pacing.ClassUrgent {
		j.x.Admission.Await(j.paced())
	}
	return j.wait(ctx, v.reason, until)
}

// dismissed hands a command back that was begun and certainly not sent; one that
// may have been sent before stays begun.
func (j *job) dismissed(ctx context.Context, v verdict) error {
	if !j.m.Action.Read() && !j.doubt {
		r := j.record(commands.Waiting)
		r.Reason = v.reason
		if err := j.append(ctx, r); err != nil {
			return err
		}
	}
	j.m.GiveBack()
	return nil
}

// failed stores a refusal.
func (j *job) failed(ctx context.Context, a answer) error {
	r := j.record(commands.Failed)
	r.Timing.GraphMS += a.took.Milliseconds()
	r.Error = outcomeError(a.err, time.Now())
	return j.finish(ctx, r)
}
