package executor

import (
	"net/http"
	"testing"

	"callbus/internal/graph"
	"callbus/internal/pacing"
)

// TestOutcomeOf is the table of what an error means to the layers of pacing, and
// so of what is the sign of a Graph that is down.
func TestOutcomeOf(t *testing.T) {
	of := func(op graph.Operation, e *graph.Error) *graph.Error { e.Operation = op; return e }
	for _, row := range []struct {
		name string
		err  *graph.Error
		want pacing.Outcome
	}{
		{"the worker stops", &graph.Error{Reason: graph.Guarded}, pacing.NotSent},
		{"a request that cannot be made", &graph.Error{Reason: graph.BadRequest}, pacing.NotSent},
		{"cut before it was sent", &graph.Error{Reason: graph.Cancelled}, pacing.NotSent},
		{"no token", &graph.Error{Reason: graph.TokenFailed}, pacing.NoToken},
		{"401", answered(graph.Unauthorized, 401, "InvalidAuthenticationToken"), pacing.NoToken},
		{"no connection", &graph.Error{Reason: graph.ConnectFailed}, pacing.Unreached},
		{"no answer", &graph.Error{Reason: graph.Lost, Sent: graph.MaybeSent}, pacing.Lost},
		{"502", answered(graph.GatewayLost, 502, ""), pacing.Lost},
		{"504 in Graph's words", answered(graph.GatewayLost, 504, "gatewayTimeout"), pacing.Lost},
		{"503 in Graph's words", answered(graph.Unavailable, 503, "serviceNotAvailable"), pacing.Broken},
		{"503 with a Retry-After", after(0, answered(graph.Unavailable, 503, "")), pacing.Broken},
		{"a bare 503", answered(graph.Unavailable, 503, ""), pacing.Lost},
		{"a 500 that is empty or HTML, of a place", of(graph.CreateCall, answered(graph.ServerError, 500, "")), pacing.Lost},
		{"a 500 that is empty or HTML, of a read", of(graph.GetCall, answered(graph.ServerError, 500, "")), pacing.Lost},
		{"500 9999 of a place: a body that Graph cannot bind", of(graph.CreateCall, answered(graph.ServerError, 500, "9999")), pacing.Balked},
		{"500 9998 of a prompt", of(graph.PlayPrompt, answered(graph.ServerError, 500, "9998")), pacing.Balked},
		{"500 in the gateway's words of a place", of(graph.CreateCall, answered(graph.ServerError, 500, "UnknownError")), pacing.Balked},
		{"500 in the gateway's words of a transfer", of(graph.Transfer, answered(graph.ServerError, 500, "generalException")), pacing.Balked},
		{"500 of a mute", of(graph.Mute, answered(graph.ServerError, 500, "InternalServerError")), pacing.Balked},
		{"500 9999 of a read, in which nobody wrote a body", of(graph.GetCall, answered(graph.ServerError, 500, "9999")), pacing.Broken},
		{"500 in Graph's words of a list", of(graph.ListParticipants, answered(graph.ServerError, 500, "InternalServerError")), pacing.Broken},
		{"500 in Graph's words of a hang-up", of(graph.DeleteCall, answered(graph.ServerError, 500, "UnknownError")), pacing.Broken},
		{"500 in Graph's words of a keepAlive", of(graph.KeepAlive, answered(graph.ServerError, 500, "UnknownError")), pacing.Broken},
		{"9001 of a place: a service behind Graph failed", of(graph.CreateCall, answered(graph.ServerError, 500, "9001")), pacing.Broken},
		{"9002 of a place: it did not answer", of(graph.CreateCall, answered(graph.ServerError, 500, "9002")), pacing.Broken},
		{"9003 of a prompt: it gave up", of(graph.PlayPrompt, answered(graph.ServerError, 500, "9003")), pacing.Broken},
		{"501 of a read: there is no such route", of(graph.ListContentSharingSessions, answered(graph.ServerError, http.StatusNotImplemented, "notSupported")), pacing.Refused},
		{"429", answered(graph.Throttled, 429, ""), pacing.Throttled},
		{"8530", answered(graph.LiveCalls, 429, "8530"), pacing.OverLiveCalls},
		{"8529", answered(graph.MonthlyCalls, 429, "8529"), pacing.OverMonth},
		{"400", answered(graph.Invalid, 400, "8523"), pacing.Refused},
		{"404", answered(graph.NotFound, 404, "8522"), pacing.Refused},
		{"a 404 page of another server", answered(graph.Unreadable, 404, ""), pacing.Refused},
		{"a 2xx that cannot be read", answered(graph.Unreadable, 201, ""), pacing.Lost},
	} {
		if got := outcomeOf(row.err); got != row.want {
			t.Errorf("%s: outcomeOf() = %d; want %d", row.name, got, row.want)
		}
	}
}
