package graph

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Sent tells how far a failed request can have got.
type Sent int

// NotSent: no byte of the request left. MaybeSent: it may have been executed
// and the answer is lost or says nothing about it. Answered: Graph answered.
const (
	NotSent Sent = iota
	MaybeSent
	Answered
)

// Reason is the closed set of what a failed request comes down to.
type Reason string

// The reasons. The first five say that Graph certainly did not execute the
// request because it never arrived.
const (
	Guarded       Reason = "guarded"       // Request.Guard refused
	TokenFailed   Reason = "tokenFailed"   // no token to be had
	ConnectFailed Reason = "connectFailed" // DNS, connect, TLS, before the request left
	Cancelled     Reason = "cancelled"     // the caller's context ended before the request left
	BadRequest    Reason = "badRequest"    // the Request itself is unusable; nothing sent

	Lost         Reason = "lost"         // timeout, reset, cut: the answer never came
	Unauthorized Reason = "unauthorized" // 401, also after one fresh token
	Forbidden    Reason = "forbidden"    // 403: configuration or permission
	NotFound     Reason = "notFound"     // 404: no such call, or it has ended
	Conflict     Reason = "conflict"     // 409, 412: the call is in another state or busy
	Invalid      Reason = "invalid"      // 400, 405, 413, 422 …: permanent
	NotReady     Reason = "notReady"     // 8501, 8503, 8585: wrong moment
	Throttled    Reason = "throttled"    // 429
	MonthlyCalls Reason = "monthlyCalls" // 8529
	LiveCalls    Reason = "liveCalls"    // 8530
	Unavailable  Reason = "unavailable"  // 503: not executed according to Graph's own advice to send again
	GatewayLost  Reason = "gatewayLost"  // 502, 504, 408: may have been executed
	ServerError  Reason = "serverError"  // 500 and other 5xx: may have been executed
	Unreadable   Reason = "unreadable"   // 2xx whose body cannot be used, or an answer that is no HTTP answer of Graph's
)

// Error is the one error that Do returns.
type Error struct {
	Reason    Reason
	Operation Operation
	Sent      Sent
	Status    int    // HTTP status, 0 without an answer
	Code      string // Graph's code, numeric codes as decimal strings, unwrapped from nested JSON
	Message   string // Graph's message, cut to a size, without secrets
	// RetryAfter is how long Graph asked us to wait; HasRetryAfter tells an
	// asked-for zero from silence.
	RetryAfter      time.Duration
	HasRetryAfter   bool
	RequestID       string
	ClientRequestID string
	// Location is the header of that name, the only thing left to learn a new
	// call's id from when the answer to a create is Unreadable.
	Location string
	Duration time.Duration
	// Err is the cause, if any. It may hold what Message had stripped: log the
	// *Error, not this.
	Err error

	claims string // the claims challenge of a 401, decoded
}

// Error says it all in one line, without secrets.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s: %s", e.Operation, e.Reason)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.Status)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	switch {
	case e.Message != "":
		b.WriteString(": " + e.Message)
	case e.Err != nil:
		b.WriteString(": " + redact(e.Err.Error()))
	}
	if e.RequestID != "" {
		b.WriteString(" (request-id " + e.RequestID + ")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Definite tells that Graph certainly did not execute the request: it never
// left, or it was refused. An answer of 500, 502, 504 or 408 proves nothing, nor
// does a 2xx that cannot be read. A 503 counts as a refusal only with Graph's own
// error body or a Retry-After; a bare one may come from a gateway that had
// already passed the request on.
func (e *Error) Definite() bool {
	switch e.Sent {
	case NotSent:
		return true
	case MaybeSent:
		return false
	}
	switch e.Reason {
	case Unauthorized, Forbidden, NotFound, Conflict, Invalid, NotReady, Throttled, MonthlyCalls, LiveCalls:
		return true
	case Unavailable:
		return e.Code != "" || e.HasRetryAfter
	case Unreadable:
		return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout
	default:
		return false
	}
}
