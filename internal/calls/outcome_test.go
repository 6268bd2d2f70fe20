package calls

import (
	"testing"

	"callbus/internal/commands"
)

// end is an entry whose call is over.
func end(reason string, change func(*Entry)) Entry {
	e := Entry{PlaceID: "p1", CallID: "c1", Notified: true, State: StateTerminated, EndedAt: at(9), Reason: reason}
	if change != nil {
		change(&e)
	}
	return e
}

func info(code, subcode int) func(*Entry) {
	return func(e *Entry) { e.ResultInfo = &commands.ResultInfo{Code: code, Subcode: subcode} }
}

func TestDecide(t *testing.T) {
	answered := func(e *Entry) { e.EstablishedAt = at(2) }
	operation := func(status string, code, subcode int) Open {
		return Open{ID: "o1", Action: commands.PlayPrompt, OperationID: "op", Status: status, ResultInfo: &commands.ResultInfo{Code: code, Subcode: subcode}}
	}
	of := func(a commands.Action) Open { return Open{ID: "o1", Action: a} }
	const undecided commands.Status = ""
	for _, row := range []struct {
		name   string
		entry  Entry
		open   Open
		status commands.Status
		reason string // of the outcome, or of its error
		code   string // of its error
		class  commands.Class
	}{
		{"place: ringing is not over", seed(StateEstablishing), of(commands.Place), undecided, "", "", ""},
		{"place: terminating is not over", Entry{CallID: "c1", State: StateTerminating, HangupWanted: true}, of(commands.Place), undecided, "", "", ""},
		{"place: established", seed(StateEstablished), of(commands.Place), commands.Succeeded, "", "", ""},
		{"place: held at once", seed(StateHold), of(commands.Place), commands.Succeeded, "", "", ""},
		{"place: answered and over", end("ended", answered), of(commands.Place), commands.Succeeded, "", "", ""},
		{"place: answered, hung up and over", end("ended", func(e *Entry) { answered(e); e.HangupWanted = true }), of(commands.Place), commands.Succeeded, "", "", ""},
		{"place: busy", end("busy", info(486, 560486)), of(commands.Place), commands.Failed, "busy", "486", commands.ClassCallee},
		{"place: nobody answered", end("noAnswer", info(487, 10004)), of(commands.Place), commands.Failed, "noAnswer", "487", commands.ClassCallee},
		{"place: declined", end("declined", info(603, 0)), of(commands.Place), commands.Failed, "declined", "603", commands.ClassCallee},
		{"place: ended without an explanation, the answer may be late news", end("ended", nil), of(commands.Place), undecided, "", "", ""},
		{"place: ended in good order, the answer may be late news", end("ended", info(200, 540000)), of(commands.Place), undecided, "", "", ""},
		{"place: hung up while it rang", end("ended", func(e *Entry) { info(200, 7000)(e); e.HangupWanted, e.HangupReason = true, "hungUp" }), of(commands.Place), commands.Cancelled, "hungUp", "", ""},
		{"place: rang too long", end("ended", func(e *Entry) { e.HangupWanted, e.HangupReason = true, "ringSeconds" }), of(commands.Place), commands.Cancelled, "ringSeconds", "", ""},
		{"place: hung up and found gone", end(ReasonUnseen, func(e *Entry) { e.HangupWanted, e.HangupReason = true, "hungUp" }), of(commands.Place), commands.Cancelled, "hungUp", "", ""},
		{"place: gone with nothing seen", end(ReasonUnseen, func(e *Entry) { e.Notified = false }), of(commands.Place), commands.Unknown, "endedUnseen", "endedUnseen", commands.ClassAmbiguous},
		{"place: rang, then gone", end(ReasonUnseen, nil), of(commands.Place), commands.Unknown, "endedUnseen", "endedUnseen", commands.ClassAmbiguous},
		{"place: answered, then gone", end(ReasonUnseen, answered), of(commands.Place), commands.Succeeded, "", "", ""},

		{"transfer: under way", seed(StateTransferring), of(commands.Transfer), undecided, "", "", ""},
		{"transfer: accepted is not over", seed(StateTransferAccepted), of(commands.Transfer), undecided, "", "", ""},
		{"transfer: accepted and over", end("ended", func(e *Entry) { e.TransferAccepted = true }), of(commands.Transfer), commands.Succeeded, "", "", ""},
		{"transfer: accepted and found gone", end(ReasonUnseen, func(e *Entry) { e.TransferAccepted = true }), of(commands.Transfer), commands.Succeeded, "", "", ""},
		{"transfer: over with 7015", end("transferred", info(0, 7015)), of(commands.Transfer), commands.Succeeded, "", "", ""},
		{"transfer: over with AppTransferred", end("ended", func(e *Entry) { e.TerminationReason = "AppTransferred" }), of(commands.Transfer), commands.Succeeded, "", "", ""},
		{"transfer: back to established", func() Entry {
			e := seed(StateEstablished)
			e.TransferFailure = &commands.ResultInfo{Code: 500, Subcode: 7000}
			return e
		}(),
			of(commands.Transfer), commands.Failed, "transferFailed", "500", commands.ClassCallee},
		{"transfer: the other side hung up first", end("ended", info(200, 540000)), of(commands.Transfer), commands.Failed, "ended", "callEnded", commands.ClassGone},
		{"transfer: found gone without acceptance", end(ReasonUnseen, nil), of(commands.Transfer), commands.Unknown, "endedUnseen", "endedUnseen", commands.ClassAmbiguous},

		{"redirect: under way", seed(StateRedirecting), of(commands.Redirect), undecided, "", "", ""},
		{"redirect: over without a code", end("ended", nil), of(commands.Redirect), commands.Succeeded, "", "", ""},
		{"redirect: over with 0", end("ended", info(0, 0)), of(commands.Redirect), commands.Succeeded, "", "", ""},
		{"redirect: over with a 2xx", end("ended", info(200, 0)), of(commands.Redirect), commands.Succeeded, "", "", ""},
		{"redirect: over with a refusal", end("other", info(487, 0)), of(commands.Redirect), commands.Failed, "cancelled", "487", commands.ClassCallee},
		{"redirect: found gone", end(ReasonUnseen, nil), of(commands.Redirect), commands.Unknown, "endedUnseen", "endedUnseen", commands.ClassAmbiguous},

		{"prompt: playing", seed(StateEstablished), of(commands.PlayPrompt), undecided, "", "", ""},
		{"prompt: completed", seed(StateEstablished), operation("completed", 200, 0), commands.Succeeded, "", "", ""},
		{"prompt: completed and the call over", end("ended", nil), operation("completed", 200, 0), commands.Succeeded, "", "", ""},
		{"prompt: cancelled by another command", seed(StateEstablished), operation("failed", 400, 8508), commands.Failed, "mediaCancelled", "8508", commands.ClassConflict},
		{"prompt: failed without a subcode", seed(StateEstablished), operation("failed", 500, 0), commands.Failed, "", "500", commands.ClassTransient},
		{"prompt: the call ended under it", end("ended", info(200, 540000)), of(commands.PlayPrompt), commands.Failed, "ended", "callEnded", commands.ClassGone},
		{"mute: the call ended under it", end("ended", nil), of(commands.Mute), commands.Failed, "ended", "callEnded", commands.ClassGone},
		{"unmute: completed", seed(StateEstablished), Open{ID: "o1", Action: commands.Unmute, Status: "completed"}, commands.Succeeded, "", "", ""},
		{"cancelMediaProcessing: failed", seed(StateEstablished), Open{ID: "o1", Action: commands.CancelMediaProcessing, Status: "failed"}, commands.Failed, "other", "unexplained", commands.ClassCallee},

		{"hang-up of an unknown place: not over", seed(StateEstablishing), of(commands.Hangup), undecided, "", "", ""},
		{"hang-up of an unknown place: over", end("ended", nil), of(commands.Hangup), commands.Succeeded, "", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, ok := row.entry.Decide(row.open)
			if ok != (row.status != undecided) || (ok && out.Status != row.status) {
				t.Fatalf("Decide() = %q, %t; want %q", out.Status, ok, row.status)
			}
			if !ok {
				return
			}
			if (out.Error != nil) != (row.class != "") {
				t.Fatalf("Decide() error = %+v; want class %q", out.Error, row.class)
			}
			if out.Error == nil {
				if out.Reason != row.reason {
					t.Errorf("reason = %q; want %q", out.Reason, row.reason)
				}
				return
			}
			if out.Error.Class != row.class || out.Error.Code != row.code || (row.reason != "" && out.Error.Reason != row.reason) || out.Error.Message == "" {
				t.Errorf("error = %+v; want class %q, code %q, reason %q and a message", out.Error, row.class, row.code, row.reason)
			}
		})
	}
}

// TestDecideSettlesEveryActionAtTheEnd walks all actions: whatever is open when
// a call ends has an outcome, but for a place whose answer may be late news.
func TestDecideSettlesEveryActionAtTheEnd(t *testing.T) {
	for _, a := range commands.Actions {
		for _, e := range []Entry{end("ended", nil), end(ReasonUnseen, nil), end("busy", info(486, 0))} {
			if a == commands.Place && e.Reason == "ended" {
				continue // see TestLateNews
			}
			if out, ok := e.Decide(Open{ID: "o1", Action: a}); !ok || !out.Status.Final() {
				t.Errorf("Decide(%s) after %s = %q, %t; want a final status", a, e.Reason, out.Status, ok)
			}
		}
	}
}

func TestEndOfACallHasAReason(t *testing.T) {
	for _, row := range []struct {
		name string
		ev   commands.Event
		want string
	}{
		{"the event's own reason", commands.Event{Reason: ReasonUnseen, ResultInfo: &commands.ResultInfo{Code: 486}}, ReasonUnseen},
		{"no account at all", commands.Event{}, "ended"},
		{"busy", commands.Event{ResultInfo: &commands.ResultInfo{Code: 486, Subcode: 560486}}, "busy"},
		{"a code without a row", commands.Event{ResultInfo: &commands.ResultInfo{Code: 999}}, "other"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := endReason(row.ev); got != row.want {
				t.Errorf("endReason() = %q; want %q", got, row.want)
			}
		})
	}
}

func TestBusyCountsOtherPromptsAndTransfers(t *testing.T) {
	e := seed(StateEstablished, Open{ID: "pp1", Action: commands.PlayPrompt}, Open{ID: "m1", Action: commands.Mute})
	if !e.Busy("x1") || e.Busy("pp1") {
		t.Errorf("Busy() = %t for another, %t for itself; want true, false", e.Busy("x1"), e.Busy("pp1"))
	}
	if e.Remove("pp1"); e.Busy("x1") {
		t.Error("Busy() with nothing but a mute open; want false")
	}
	if e.Remove("pp1") {
		t.Error("Remove() of what is not there = true")
	}
}
