package executor

import (
	"time"

	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/pacing"
)

// next is what happens after an answer.
type next int

const (
	done      next = iota // the answer is the outcome
	callGone              // the call is over
	unsent                // Graph certainly did not take it: wait, then send again
	again                 // may have been taken, but a repetition does no harm
	lost                  // may have been taken and must not be repeated: reconcile
	failed                // refused for good
	dismissed             // ours to give up: the worker stops or lost its lease
)

// verdict is what an answer means for an action.
type verdict struct {
	next   next
	reason string        // of waiting, with unsent
	after  time.Duration // the least wait; zero: backoff
	// shut closes the scope's gate: its class, or all that the answer is about.
	shut  bool
	class pacing.Class
	// tries bounds how often the command comes back; 0: until it expires.
	tries int
}

// Waits where Graph gives no hint.
const (
	liveCallsWait    = 30 * time.Second
	monthlyCallsWait = time.Hour
	throttleWait     = 2 * time.Second
	conflictTries    = 6
	serverTries      = 6
)

// judge is the one table of what to do after which failure, for each action.
func judge(a commands.Action, e *graph.Error) verdict {
	switch e.Reason {
	case graph.Guarded:
		return verdict{next: dismissed, reason: "callNotReady"}
	case graph.BadRequest:
		return verdict{next: failed}
	case graph.TokenFailed, graph.Unauthorized:
		return verdict{next: unsent, reason: "breaker", after: e.RetryAfter}
	case graph.ConnectFailed, graph.Cancelled:
		return verdict{next: unsent, reason: "breaker"}
	case graph.Throttled:
		class, _ := pacing.ClassOf(a)
		return verdict{next: unsent, reason: "throttled", after: orElse(e, throttleWait), shut: class != "", class: class}
	case graph.LiveCalls:
		return verdict{next: unsent, reason: "liveCalls", after: orElse(e, liveCallsWait), shut: true, class: pacing.ClassPlace}
	case graph.MonthlyCalls:
		return verdict{next: unsent, reason: "monthlyCalls", after: orElse(e, monthlyCallsWait), shut: true, class: pacing.ClassPlace}
	case graph.NotFound:
		if a == commands.Place {
			return verdict{next: failed} // there is no call that could be missing
		}
		return verdict{next: callGone}
	case graph.NotReady, graph.Conflict:
		return verdict{next: unsent, reason: "callNotReady", after: e.RetryAfter, tries: conflictTries}
	case graph.Forbidden, graph.Invalid:
		return verdict{next: failed}
	case graph.Unavailable:
		if e.Definite() {
			class, _ := pacing.ClassOf(a)
			return verdict{next: unsent, reason: "breaker", after: e.RetryAfter, shut: e.HasRetryAfter && class != "", class: class}
		}
	case graph.ServerError:
		// A 500 in Graph's own words is a refusal, if an unfriendly one; Graph
		// says so of bodies that it cannot bind. Without words it proves nothing.
		if e.Code != "" && !a.Idempotent() {
			return verdict{next: failed}
		}
		if a.Idempotent() {
			return verdict{next: again, tries: serverTries}
		}
	}
	if e.Reason == graph.Unreadable && e.Definite() {
		return verdict{next: failed} // a 4xx that is not Graph's: a wrong address
	}
	// Lost, GatewayLost, Unreadable, and what is left of those above.
	if a.Idempotent() {
		return verdict{next: again}
	}
	return verdict{next: lost}
}

// orElse is Graph's own wait, or ours when it gave none.
func orElse(e *graph.Error, d time.Duration) time.Duration {
	if e.HasRetryAfter {
		return max(e.RetryAfter, 0)
	}
	return d
}

// outcomeError turns Graph's error into the producer's.
func outcomeError(e *graph.Error, now time.Time) *commands.Error {
	out := &commands.Error{
		Class: classOf(e.Reason), Reason: string(e.Reason), Code: e.Code, Message: e.Message,
		HTTPStatus: e.Status, RequestID: e.RequestID, ClientRequestID: e.ClientRequestID,
	}
	if e.Reason == graph.Unreadable && e.Definite() {
		out.Class = commands.ClassConfiguration
	}
	x := commands.Explain(e.Code)
	if x.Known {
		out.Hint, out.Retryable = x.Hint, x.Retryable
		if x.Class != "" {
			out.Class = x.Class
		}
		if x.Reason != "" {
			out.Reason = x.Reason
		}
		if out.Message == "" {
			out.Message = x.Message
		}
	}
	if out.Code == "" {
		out.Code = string(e.Reason)
	}
	if out.Message == "" {
		out.Message = string(e.Reason)
	}
	if e.HasRetryAfter {
		at := now.Add(e.RetryAfter).UTC()
		out.RetryAfter, out.Retryable = &at, true
	}
	return out
}

func classOf(r graph.Reason) commands.Class {
	switch r {
	case graph.BadRequest, graph.Invalid:
		return commands.ClassInvalid
	case graph.TokenFailed, graph.Unauthorized, graph.Forbidden:
		return commands.ClassConfiguration
	case graph.NotFound:
		return commands.ClassGone
	case graph.Conflict, graph.NotReady:
		return commands.ClassConflict
	case graph.Throttled:
		return commands.ClassThrottled
	case graph.MonthlyCalls, graph.LiveCalls:
		return commands.ClassQuota
	case graph.Lost, graph.GatewayLost, graph.Unreadable:
		return commands.ClassAmbiguous
	case graph.ConnectFailed, graph.Unavailable, graph.ServerError, graph.Cancelled:
		return commands.ClassTransient
	}
	return commands.ClassInternal
}
