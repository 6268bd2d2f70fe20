package executor

import (
	"context"
	"net/http"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/pacing"
)

// fullPause is the wait of a read while the journal has no room.
const fullPause = 3 * time.Second

// admit is step 5: does Graph want to hear from us now? What the layers of
// pacing claim for the request is in the job's pass, until the request has been
// answered or was not sent.
func (j *job) admit(ctx context.Context) (bool, error) {
	if j.m.Action.Read() && j.x.journalFull.Load() {
		// What cannot be journalled is not sent. Others find out by "started"; here
		// the record of waiting is the question whether there is room again.
		return false, j.wait(ctx, "breaker", time.Now().Add(fullPause))
	}
	pass, w, err := j.x.Admission.Admit(ctx, j.paced())
	if err != nil {
		return false, err
	}
	if pass == nil {
		return false, j.waitFor(ctx, w)
	}
	j.pass = pass
	return true, nil
}

// paced is the command as the layers of pacing see it.
func (j *job) paced() pacing.Request {
	class, _ := pacing.ClassOf(j.m.Action)
	return pacing.Request{
		Scope: j.tenant, Class: class, Action: j.m.Action,
		Call: j.key.Call(), Command: j.key.ID, Seq: j.m.Seq, CallID: j.entry.CallID, Expires: j.expiry,
	}
}

// budgeted tells whether a refusal is the business of a budget among the layers,
// which has heard of it, and how long the place waits there.
func (j *job) budgeted(reason string) (until time.Time, ok bool) {
	switch {
	case j.m.Action != commands.Place:
		return time.Time{}, false
	case reason == pacing.ReasonLiveCalls && j.x.opts.LiveBudget:
		return time.Time{}, true // a call's end, whenever that is
	case reason == pacing.ReasonMonthlyCalls && j.x.opts.MonthLook > 0:
		w, held := j.x.Admission.Held(j.paced())
		return w.Until, held && w.Reason == reason
	}
	return time.Time{}, false
}

// release gives back what admit claimed for a request that was not sent.
func (j *job) release(ctx context.Context) {
	j.pass.Release(ctx)
	j.pass = nil
}

// heard tells the layers of pacing what came of the request.
func (j *job) heard(ctx context.Context, a answer) {
	told := heard(a.err)
	if a.err == nil && j.m.Action == commands.Place {
		if call, err := a.resp.Call(); err == nil {
			told.CallID = call.ID
		}
	}
	j.pass.Heard(ctx, told)
	j.pass = nil
}

// heard is what an error means to pacing; nil is a 2xx.
func heard(e *graph.Error) pacing.Answer {
	if e == nil {
		return pacing.Answer{Outcome: pacing.Taken}
	}
	return pacing.Answer{Outcome: outcomeOf(e), RetryAfter: e.RetryAfter, Told: e.HasRetryAfter}
}

func outcomeOf(e *graph.Error) pacing.Outcome {
	switch e.Reason {
	case graph.Guarded, graph.BadRequest, graph.Cancelled:
		return pacing.NotSent
	case graph.TokenFailed, graph.Unauthorized:
		return pacing.NoToken
	case graph.ConnectFailed:
		return pacing.Unreached
	case graph.Throttled:
		return pacing.Throttled
	case graph.LiveCalls:
		return pacing.OverLiveCalls
	case graph.MonthlyCalls:
		return pacing.OverMonth
	case graph.Unavailable:
		if e.Definite() {
			return pacing.Broken
		}
	case graph.ServerError:
		return serverOutcome(e)
	case graph.Lost, graph.GatewayLost:
	case graph.Unreadable:
		if e.Definite() {
			return pacing.Refused
		}
	default:
		return pacing.Refused
	}
	return pacing.Lost
}

// serverOutcome is what a 500, or another 5xx that is not known to be a gateway's,
// means to pacing. Without Graph's words it proves nothing, and somebody on the
// way is ill. In Graph's words it is a refusal (judge), as often of a body that
// cannot be bound (9998, 9999) as of a Graph that is ill: that it is, is only
// sure of a request in which a producer wrote nothing, and where the service says
// that another one failed it (9001 to 9003).
func serverOutcome(e *graph.Error) pacing.Outcome {
	switch {
	case e.Code == "":
		return pacing.Lost
	case e.Status == http.StatusNotImplemented:
		return pacing.Refused
	case bare[e.Operation], e.Code == "9001", e.Code == "9002", e.Code == "9003":
		return pacing.Broken
	}
	return pacing.Balked
}

// bare are the operations whose requests have no body.
var bare = map[graph.Operation]bool{
	graph.GetCall: true, graph.ListParticipants: true, graph.ListContentSharingSessions: true, graph.GetContentSharingSession: true,
	graph.DeleteCall: true, graph.KeepAlive: true,
}
