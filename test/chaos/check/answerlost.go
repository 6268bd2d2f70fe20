package check

import (
	"fmt"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// answerLost judges an unknown that the worker ended because it heard nothing: was
// there a proof, and if not, what had gone wrong?
func (x *index) answerLost(c *command) (UnknownCause, string) {
	start := c.startBefore(c.final.Stored)
	if start == nil {
		return "", "it was never begun"
	}
	if flaw := x.weighProofs(c, start); flaw != "" {
		return "", flaw
	}
	requests := x.requestsSince(c, start)
	for _, r := range requests {
		if e := effectOf(r); e == done || e == perhaps {
			return x.wayBack(c, start, r)
		}
	}
	for _, r := range requests {
		if !r.Executed && ambiguous(r) {
			return NotSent, "" // lost on the way, or a gateway's answer
		}
	}
	from, to := start.Stored, start.Stored.Add(x.window())
	if x.hurt(start.Worker, from, to) {
		return NotSent, ""
	}
	if len(requests) > 0 {
		r := requests[len(requests)-1]
		return "", fmt.Sprintf("Graph answered %d %s at %s and did nothing, and nothing was done to %s", r.Status, r.Code, clock(r.End), orWorker(start.Worker))
	}
	return "", fmt.Sprintf("nothing reached Graph after started of %s, and nothing was done to %s", clock(start.Stored), orWorker(start.Worker))
}

func orWorker(name string) string {
	if name == "" {
		return "the worker"
	}
	return name
}

// window is how long after "started" a worker can be at the command.
func (x *index) window() time.Duration { return x.settings.AckWait + x.settings.GraphTimeout }

// wayBack judges a request that Graph executed: its answer must have been lost.
func (x *index) wayBack(c *command, start *Record, r *graphsim.Request) (UnknownCause, string) {
	if c.Action == commands.Place {
		if s := x.sims[commands.NormalCallID(r.CallID)]; s != nil && !s.Ended.IsZero() && s.heard() {
			return EndedUnseen, ""
		}
	}
	took := r.End.Sub(r.Start)
	if r.End.IsZero() || ambiguous(r) || r.Fault == "status" || took >= x.settings.GraphTimeout-slack/2 ||
		x.hurt(start.Worker, start.Stored, r.Start.Add(x.window())) {
		return AnswerAndNotificationLost, ""
	}
	return "", fmt.Sprintf("Graph did it and answered %d at %s, and nothing was done to %s", r.Status, clock(r.End), orWorker(start.Worker))
}

// requestsSince are the requests that were sent for the last attempt. A hang-up's
// and a keepAlive's are all of their kind on the call.
func (x *index) requestsSince(c *command, start *Record) []*graphsim.Request {
	all := c.requests
	switch c.Action {
	case commands.Hangup, commands.KeepAlive:
		operation := string(c.Action)
		if c.Action == commands.Hangup {
			operation = "deleteCall"
		}
		all = nil
		if s := x.sims[commands.NormalCallID(c.final.CallID)]; s != nil {
			for _, r := range s.requests {
				if r.Operation == operation {
					all = append(all, r)
				}
			}
		}
	}
	var since []*graphsim.Request
	for _, r := range all {
		if _, attempt, _ := origin(r.CallbackURI); !r.Start.Before(start.Stored) || (c.Action == commands.Place && attempt == start.Attempts) {
			since = append(since, r)
		}
	}
	return since
}

// weighProofs weighs everything from which a worker could have known: that the call
// of a place exists, the end of an operation, the end of the call under it, a
// transfer that failed.
func (x *index) weighProofs(c *command, start *Record) (flaw string) {
	if c.Action == commands.Place {
		return x.weighCall(c)
	}
	if c.Action.Idempotent() {
		return ""
	}
	if flaw := x.weigh(c, x.operationTold(c), "the end of the operation"); flaw != "" {
		return flaw
	}
	// The end of the call ends what is open on it, but corrects nothing later.
	for _, e := range x.call(c.key.Call()).events {
		failed := c.Action == commands.Transfer && e.State == "established" && e.ResultInfo != nil && e.ResultInfo.Code >= 400
		if e.Kind == commands.KindEnded || (e.State != "terminated" && (!failed || e.Stored.Before(start.Stored))) ||
			commands.NormalCallID(e.CallID) != commands.NormalCallID(c.final.CallID) {
			continue
		}
		if u := c.final.Stored; e.Stored.Before(u.Add(-x.lag(e.Stored, u))) {
			return "event " + fmt.Sprint(e.Seq) + " of " + clock(e.Stored) + " had decided it before the unknown of " + clock(u)
		}
	}
	return ""
}

// weighCall weighs what was told on the URL of a place. Any event proves that the
// call exists; only its answer or its end tells how the place ended.
func (x *index) weighCall(c *command) (flaw string) {
	for _, s := range x.callsOf(c) {
		for _, e := range s.events {
			decides := e.State == "established" || (e.State == "terminated" && x.tellsHow(c, e))
			early := e.Stored.Before(c.final.Stored.Add(-x.lag(e.Stored, c.final.Stored)))
			if e.CommandID != c.key.ID || e.Source == commands.SourceRead || e.Kind == commands.KindEnded || !(early || decides) {
				continue
			}
			if flaw := x.weigh(c, e, "that call "+s.ID+" exists ("+string(e.Kind)+" "+e.State+")"); flaw != "" {
				return flaw
			}
		}
	}
	return ""
}
