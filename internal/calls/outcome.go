package calls

import (
	"strconv"
	"strings"

	"callbus/internal/commands"
)

// Outcome is how an open command ended, as far as its call's state tells.
type Outcome struct {
	Status    commands.Status
	Reason    string
	Operation *commands.Operation
	Error     *commands.Error
}

// Decide tells the outcome of an open command from the state of its call. It
// is pure; false means that nothing is decided yet.
func (e *Entry) Decide(o Open) (Outcome, bool) {
	switch o.Action {
	case commands.Place:
		return e.decidePlace()
	case commands.Transfer:
		return e.decideTransfer()
	case commands.Redirect:
		return e.decideRedirect()
	case commands.Hangup:
		return Outcome{Status: commands.Succeeded}, e.Ended()
	}
	return e.decideOperation(o)
}

func (e *Entry) decidePlace() (Outcome, bool) {
	switch {
	case !e.EstablishedAt.IsZero():
		return Outcome{Status: commands.Succeeded}, true
	case !e.Ended():
		return Outcome{}, false
	case e.HangupWanted && !e.endedByThem():
		return e.cancelled(), true
	case e.Reason == ReasonUnseen && !e.Notified:
		return unknown("endedUnseen", "the call was gone before anything was heard of it: it may have been answered or not"), true
	case e.Reason == ReasonUnseen:
		return unknown("endedUnseen", "the call ended unseen while it was being set up: it may have been answered or not"), true
	}
	if e.endedInOrder() {
		return Outcome{}, false
	}
	return Outcome{Status: commands.Failed, Error: e.endError("the call ended before it was answered")}, true
}

func (e *Entry) cancelled() Outcome {
	return Outcome{Status: commands.Cancelled, Reason: e.HangupReason}
}

// endedByThem tells whether the call ended in good order without having been
// seen to be on its way out: then it may have been answered and ended by the
// other side before our hang-up came.
func (e *Entry) endedByThem() bool {
	return e.endedInOrder() && e.Reason != ReasonUnseen && !e.Terminating && e.ResultInfo != nil && !botHungUp(e.ResultInfo.Subcode)
}

// botHungUp knows the subcodes of calls that the bot itself hung up (Microsoft:
// "Troubleshooting call end response codes").
func botHungUp(subcode int) bool { return subcode == 7000 || subcode == 10550 }

// endedInOrder tells whether the call ended as one ends that was answered, or
// for no stated reason: then the news of the answer may be late or lost, and
// "failed" would make somebody dial again.
func (e *Entry) endedInOrder() bool {
	if e.ResultInfo == nil {
		return true
	}
	switch e.ResultInfo.Subcode {
	case 5003, 5012: // all endpoints declined; nobody joined
		return false
	}
	return e.ResultInfo.Code == 0 || e.ResultInfo.Code/100 == 2
}

func (e *Entry) decideTransfer() (Outcome, bool) {
	switch {
	case !e.Ended() && e.TransferFailure != nil:
		err := explained(e.TransferFailure, "the transfer failed, the call lives")
		err.Reason = "transferFailed"
		return Outcome{Status: commands.Failed, Error: err}, true
	case !e.Ended():
		return Outcome{}, false
	case e.TransferAccepted, strings.EqualFold(e.TerminationReason, "AppTransferred"), e.ResultInfo != nil && e.ResultInfo.Subcode == 7015:
		return Outcome{Status: commands.Succeeded}, true
	case e.Reason == ReasonUnseen:
		return unknown("endedUnseen", "the call is gone and nothing was heard of the transfer"), true
	}
	return Outcome{Status: commands.Failed, Error: e.goneError("the call ended before the transfer was done")}, true
}

func (e *Entry) decideRedirect() (Outcome, bool) {
	switch {
	case !e.Ended():
		return Outcome{}, false
	case e.Reason == ReasonUnseen:
		return unknown("endedUnseen", "the incoming call is gone and nothing was heard of the redirect"), true
	case e.ResultInfo == nil || e.ResultInfo.Code == 0 || e.ResultInfo.Code/100 == 2:
		return Outcome{Status: commands.Succeeded}, true
	}
	return Outcome{Status: commands.Failed, Error: e.endError("the redirect failed")}, true
}

func (e *Entry) decideOperation(o Open) (Outcome, bool) {
	op := &commands.Operation{ID: o.OperationID, Status: o.Status, ResultInfo: o.ResultInfo}
	switch {
	case o.Status == "completed":
		return Outcome{Status: commands.Succeeded, Operation: op}, true
	case o.Status == "failed":
		return Outcome{Status: commands.Failed, Operation: op, Error: OperationError(o.ResultInfo)}, true
	case e.Ended():
		return Outcome{Status: commands.Failed, Error: e.goneError("the call ended before the operation was done")}, true
	}
	return Outcome{}, false
}

// OperationError is the error of an operation that Graph reports as failed.
func OperationError(info *commands.ResultInfo) *commands.Error {
	err := explained(info, "the operation failed")
	if info != nil && info.Subcode != 0 {
		err.Code = strconv.Itoa(info.Subcode) // 8508 says more than 400
	}
	return err
}

// endError explains an end that is itself the outcome.
func (e *Entry) endError(message string) *commands.Error { return explained(e.ResultInfo, message) }

// goneError is for a command whose call ended under it.
func (e *Entry) goneError(message string) *commands.Error {
	return &commands.Error{
		Class: commands.ClassGone, Reason: "ended", Code: "callEnded", Message: message,
		Hint: "place the call again if it is still wanted", ResultInfo: e.ResultInfo,
	}
}

// CallEnded is the outcome of a command that came after the end of its call.
func (e *Entry) CallEnded() *commands.Error { return e.goneError("the call has ended") }

// explained turns Graph's account into an error with our explanation.
func explained(info *commands.ResultInfo, message string) *commands.Error {
	err := &commands.Error{Class: commands.ClassCallee, Reason: "other", Code: "unexplained", Message: message, ResultInfo: info}
	if info == nil {
		return err
	}
	x := commands.ExplainResult(info.Code, info.Subcode)
	err.Code = x.Code
	if info.Code != 0 || err.Code == "" {
		err.Code = strconv.Itoa(info.Code)
	}
	if x.Class != "" {
		err.Class = x.Class
	}
	if x.Reason != "" {
		err.Reason = x.Reason
	}
	if x.Message != "" {
		err.Message = message + ": " + x.Message
	}
	err.Hint, err.Retryable = x.Hint, x.Retryable
	return err
}

func unknown(reason, message string) Outcome {
	return Outcome{Status: commands.Unknown, Reason: reason, Error: &commands.Error{
		Class: commands.ClassAmbiguous, Reason: reason, Code: reason, Message: message,
		Hint: "ask the people concerned before doing it again",
	}}
}
