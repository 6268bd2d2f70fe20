package executor

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/pacing"
)

// The kinds of actions that are judged alike.
var (
	prompts     = []commands.Action{commands.PlayPrompt, commands.Transfer, commands.Redirect}
	repeatables = []commands.Action{
		commands.GetCall, commands.ListParticipants, commands.ListContentSharingSessions, commands.GetContentSharingSession,
		commands.Mute, commands.Unmute, commands.CancelMediaProcessing,
	}
	hangups = []commands.Action{commands.Hangup, commands.KeepAlive}
	places  = []commands.Action{commands.Place}
)

func answered(r graph.Reason, status int, code string) *graph.Error {
	return &graph.Error{Reason: r, Sent: graph.Answered, Status: status, Code: code}
}

func after(d time.Duration, e *graph.Error) *graph.Error {
	e.RetryAfter, e.HasRetryAfter = d, true
	return e
}

// TestJudge is the table of what happens after which failure, for the four
// kinds of actions: places, what must not be repeated on a call, what may be,
// and what no gate holds.
func TestJudge(t *testing.T) {
	var (
		fail     = verdict{next: failed}
		over     = verdict{next: callGone}
		parked   = verdict{next: lost}
		repeat   = verdict{next: again}
		repeated = verdict{next: again, tries: serverTries}
		broken   = verdict{next: unsent, reason: "breaker"}
		notReady = verdict{next: unsent, reason: "callNotReady", tries: conflictTries}
		handBack = verdict{next: dismissed, reason: "callNotReady"}
	)
	shut := func(reason string, after time.Duration, class pacing.Class) verdict {
		return verdict{next: unsent, reason: reason, after: after, shut: class != "", class: class}
	}
	open := func(reason string, after time.Duration) verdict { return shut(reason, after, "") }
	for _, row := range []struct {
		name                              string
		err                               *graph.Error
		place, prompt, repeatable, hangup verdict
	}{
		{"the worker stops or the lease has run out", &graph.Error{Reason: graph.Guarded}, handBack, handBack, handBack, handBack},
		{"a request that cannot be made", &graph.Error{Reason: graph.BadRequest}, fail, fail, fail, fail},
		{"no token", &graph.Error{Reason: graph.TokenFailed}, broken, broken, broken, broken},
		{"no token for a while", after(time.Minute, &graph.Error{Reason: graph.TokenFailed}),
			open("breaker", time.Minute), open("breaker", time.Minute), open("breaker", time.Minute), open("breaker", time.Minute)},
		{"no connection", &graph.Error{Reason: graph.ConnectFailed}, broken, broken, broken, broken},
		{"cut before it was sent", &graph.Error{Reason: graph.Cancelled}, broken, broken, broken, broken},
		{"401", answered(graph.Unauthorized, 401, "InvalidAuthenticationToken"), broken, broken, broken, broken},
		{"403", answered(graph.Forbidden, 403, "7503"), fail, fail, fail, fail},
		{"400", answered(graph.Invalid, 400, "8523"), fail, fail, fail, fail},
		{"404", answered(graph.NotFound, 404, "8522"), fail, over, over, over},
		{"409 another action is in progress", answered(graph.Conflict, 409, "8519"), notReady, notReady, notReady, notReady},
		{"the call is not established", answered(graph.NotReady, 400, "8501"), notReady, notReady, notReady, notReady},
		{"429 without a wait", answered(graph.Throttled, 429, ""),
			shut("throttled", 2*time.Second, pacing.ClassPlace), shut("throttled", 2*time.Second, pacing.ClassOther), shut("throttled", 2*time.Second, pacing.ClassOther), open("throttled", 2*time.Second)},
		{"429 with a wait", after(7*time.Second, answered(graph.Throttled, 429, "")),
			shut("throttled", 7*time.Second, pacing.ClassPlace), shut("throttled", 7*time.Second, pacing.ClassOther), shut("throttled", 7*time.Second, pacing.ClassOther), open("throttled", 7*time.Second)},
		{"429 with a wait of nothing", after(0, answered(graph.Throttled, 429, "")),
			shut("throttled", 0, pacing.ClassPlace), shut("throttled", 0, pacing.ClassOther), shut("throttled", 0, pacing.ClassOther), open("throttled", 0)},
		{"8530 too many live calls", answered(graph.LiveCalls, 429, "8530"),
			shut("liveCalls", 30*time.Second, pacing.ClassPlace), shut("liveCalls", 30*time.Second, pacing.ClassPlace), shut("liveCalls", 30*time.Second, pacing.ClassPlace), shut("liveCalls", 30*time.Second, pacing.ClassPlace)},
		{"8529 the month's calls are used up", answered(graph.MonthlyCalls, 429, "8529"),
			shut("monthlyCalls", time.Hour, pacing.ClassPlace), shut("monthlyCalls", time.Hour, pacing.ClassPlace), shut("monthlyCalls", time.Hour, pacing.ClassPlace), shut("monthlyCalls", time.Hour, pacing.ClassPlace)},
		{"503 in Graph's words", answered(graph.Unavailable, 503, "serviceNotAvailable"), broken, broken, broken, broken},
		{"503 with a wait", after(9*time.Second, answered(graph.Unavailable, 503, "")),
			shut("breaker", 9*time.Second, pacing.ClassPlace), shut("breaker", 9*time.Second, pacing.ClassOther), shut("breaker", 9*time.Second, pacing.ClassOther), open("breaker", 9*time.Second)},
		{"a bare 503, which a gateway may have made up", answered(graph.Unavailable, 503, ""), parked, parked, repeat, repeat},
		{"500 in Graph's words", answered(graph.ServerError, 500, "9999"), fail, fail, repeated, repeated},
		{"a bare 500", answered(graph.ServerError, 500, ""), parked, parked, repeated, repeated},
		{"502, 504, 408", answered(graph.GatewayLost, 504, ""), parked, parked, repeat, repeat},
		{"the answer never came", &graph.Error{Reason: graph.Lost, Sent: graph.MaybeSent}, parked, parked, repeat, repeat},
		{"a 2xx that cannot be read", answered(graph.Unreadable, 201, ""), parked, parked, repeat, repeat},
		{"a 4xx that is not Graph's", answered(graph.Unreadable, 404, ""), fail, fail, fail, fail},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, kind := range []struct {
				actions []commands.Action
				want    verdict
			}{{places, row.place}, {prompts, row.prompt}, {repeatables, row.repeatable}, {hangups, row.hangup}} {
				for _, a := range kind.actions {
					got := judge(a, row.err)
					if !got.shut {
						got.class = "" // means nothing then
					}
					if diff := cmp.Diff(kind.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
						t.Errorf("judge(%s) (-want +got)\n%s", a, diff)
					}
				}
			}
		})
	}
}

// TestJudgeKnowsEveryAction: the four kinds are all thirteen actions.
func TestJudgeKnowsEveryAction(t *testing.T) {
	n := 0
	for _, kind := range [][]commands.Action{places, prompts, repeatables, hangups} {
		n += len(kind)
		for _, a := range kind {
			if !a.Known() {
				t.Errorf("%s is no action", a)
			}
		}
	}
	if n != len(commands.Actions) {
		t.Errorf("the table is about %d of %d actions", n, len(commands.Actions))
	}
}

// TestNothingIsDialledTwice holds promise 1 for any error: a place is put off
// to be sent again only when Graph certainly did not take it.
func TestNothingIsDialledTwice(t *testing.T) {
	for _, reason := range allReasons {
		for _, sent := range []graph.Sent{graph.NotSent, graph.MaybeSent, graph.Answered} {
			for _, status := range []int{0, 201, 400, 404, 408, 429, 500, 502, 503, 504} {
				for _, code := range []string{"", "9999"} {
					e := &graph.Error{Reason: reason, Sent: sent, Status: status, Code: code}
					for _, a := range append(places, prompts...) {
						switch v := judge(a, e); {
						case v.next == again:
							t.Errorf("judge(%s, %+v) sends it again", a, e)
						case v.next == unsent && sent == graph.MaybeSent && reason != graph.Guarded && !neverSent[reason] && !refusals[reason]:
							t.Errorf("judge(%s, %+v) takes it for unsent", a, e)
						}
					}
				}
			}
		}
	}
}

var allReasons = []graph.Reason{
	graph.Guarded, graph.TokenFailed, graph.ConnectFailed, graph.Cancelled, graph.BadRequest, graph.Lost, graph.Unauthorized, graph.Forbidden,
	graph.NotFound, graph.Conflict, graph.Invalid, graph.NotReady, graph.Throttled, graph.MonthlyCalls, graph.LiveCalls, graph.Unavailable,
	graph.GatewayLost, graph.ServerError, graph.Unreadable,
}

var (
	neverSent = map[graph.Reason]bool{graph.TokenFailed: true, graph.ConnectFailed: true, graph.Cancelled: true}
	refusals  = map[graph.Reason]bool{graph.Unauthorized: true, graph.Conflict: true, graph.NotReady: true, graph.Throttled: true, graph.MonthlyCalls: true, graph.LiveCalls: true}
)

func TestOutcomeError(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	later := now.Add(90 * time.Second)
	for _, row := range []struct {
		name string
		err  *graph.Error
		want commands.Error // Hint and Message only where they are set
	}{
		{"Graph's numeric code is explained", &graph.Error{Reason: graph.Forbidden, Sent: graph.Answered, Status: 403, Code: "7503", Message: "not registered", RequestID: "r", ClientRequestID: "c"},
			commands.Error{Class: commands.ClassConfiguration, Reason: "notPermitted", Code: "7503", Message: "not registered", HTTPStatus: 403, RequestID: "r", ClientRequestID: "c",
				Hint: "register an Azure Bot for the app, add the Teams channel and enable calling"}},
		{"a code without a message gets ours", &graph.Error{Reason: graph.Conflict, Sent: graph.Answered, Status: 409, Code: "8607"},
			commands.Error{Class: commands.ClassConflict, Reason: "conflict", Code: "8607", Message: "a transfer is already in progress", HTTPStatus: 409, Retryable: true}},
		{"an unknown code keeps the class of its reason", &graph.Error{Reason: graph.Invalid, Sent: graph.Answered, Status: 400, Code: "Sesame", Message: "open"},
			commands.Error{Class: commands.ClassInvalid, Reason: "invalid", Code: "Sesame", Message: "open", HTTPStatus: 400}},
		{"no code and no message: the reason says it", &graph.Error{Reason: graph.BadRequest},
			commands.Error{Class: commands.ClassInvalid, Reason: "badRequest", Code: "badRequest", Message: "badRequest"}},
		{"Retry-After makes it retryable from then on", &graph.Error{Reason: graph.Unavailable, Sent: graph.Answered, Status: 503, Message: "busy", RetryAfter: 90 * time.Second, HasRetryAfter: true},
			commands.Error{Class: commands.ClassTransient, Reason: "unavailable", Code: "unavailable", Message: "busy", HTTPStatus: 503, Retryable: true, RetryAfter: &later}},
		{"somebody else's page means a wrong address", &graph.Error{Reason: graph.Unreadable, Sent: graph.Answered, Status: 404, Message: "Not Found"},
			commands.Error{Class: commands.ClassConfiguration, Reason: "unreadable", Code: "unreadable", Message: "Not Found", HTTPStatus: 404}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := *outcomeError(row.err, now)
			if row.want.Hint == "" {
				got.Hint = ""
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("outcomeError() (-want +got)\n%s", diff)
			}
		})
	}
}

func TestOutcomeErrorHasAClassForEveryReason(t *testing.T) {
	want := map[graph.Reason]commands.Class{
		graph.Guarded: commands.ClassInternal, graph.TokenFailed: commands.ClassConfiguration, graph.ConnectFailed: commands.ClassTransient,
		graph.Cancelled: commands.ClassTransient, graph.BadRequest: commands.ClassInvalid, graph.Lost: commands.ClassAmbiguous,
		graph.Unauthorized: commands.ClassConfiguration, graph.Forbidden: commands.ClassConfiguration, graph.NotFound: commands.ClassGone,
		graph.Conflict: commands.ClassConflict, graph.Invalid: commands.ClassInvalid, graph.NotReady: commands.ClassConflict,
		graph.Throttled: commands.ClassThrottled, graph.MonthlyCalls: commands.ClassQuota, graph.LiveCalls: commands.ClassQuota,
		graph.Unavailable: commands.ClassTransient, graph.GatewayLost: commands.ClassAmbiguous, graph.ServerError: commands.ClassTransient,
		graph.Unreadable: commands.ClassAmbiguous,
	}
	for _, r := range allReasons {
		if got := outcomeError(&graph.Error{Reason: r}, time.Now()); got.Class != want[r] && r != graph.Unreadable || got.Code == "" || got.Message == "" {
			t.Errorf("outcomeError(%s) = %+v; want class %s, a code and a message", r, got, want[r])
		}
	}
	if got := outcomeError(answered(graph.Unreadable, 201, ""), time.Now()); got.Class != commands.ClassAmbiguous {
		t.Errorf("outcomeError(unreadable 201) = %+v; want ambiguous", got)
	}
}
