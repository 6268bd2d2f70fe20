package calls

import (
	"callbus/internal/commands"
)

// Fold works an event into the entry and reports what changed. It is pure and
// idempotent: the same event twice, or a late one, does no harm. doubt says
// that the order of events would decide an outcome and the call must be read:
// an "established" that comes while a transfer is under way is either the late
// news of the answer or the end of the transfer.
func (e *Entry) Fold(ev commands.Event) (changed, doubt bool) {
	if ev.Source != commands.SourceRead && !e.Notified {
		e.Notified, changed = true, true
	}
	changed = set(&e.CallChainID, ev.CallChainID) || changed
	changed = set(&e.TenantID, ev.TenantID) || changed
	if ev.RespondBy != nil && e.RespondBy.IsZero() {
		e.RespondBy, changed = *ev.RespondBy, true
	}
	if e.Ended() {
		return e.foldLate(ev) || changed, false // terminated is absorbing
	}
	if ev.AudioActive != nil && *ev.AudioActive != e.AudioActive {
		e.AudioActive, changed = *ev.AudioActive, true
	}
	if ev.Participants != nil && *ev.Participants != e.Participants {
		e.Participants, changed = *ev.Participants, true
	}
	if ev.Operation != nil {
		changed = e.foldOperation(ev.Operation) || changed
	}
	moved, doubt := e.foldState(ev)
	return changed || moved, doubt
}

func (e *Entry) foldState(ev commands.Event) (changed, doubt bool) {
	if ev.State == "" || rank(ev.State) == 0 {
		return false, false
	}
	switch {
	case ev.State == StateTerminated:
		e.Terminating = e.State == StateTerminating
		if e.EstablishedAt.After(ev.Time) { // told out of order
			e.EstablishedAt = ev.Time
		}
		e.State, e.EndedAt = StateTerminated, ev.Time
		e.ResultInfo, e.TerminationReason, e.AudioActive = ev.ResultInfo, ev.TerminationReason, false
		e.Reason = endReason(ev)
		return true, false
	case ev.State == StateEstablished && (e.State == StateTransferring || e.State == StateTransferAccepted):
		failed := ev.ResultInfo != nil && ev.ResultInfo.Code >= 400
		switch {
		case ev.Source == commands.SourceRead && ev.Time.Before(e.TransferringAt):
			return false, false // read before the transfer began
		case ev.Source != commands.SourceRead && !failed:
			return false, true
		}
		e.State = StateEstablished
		e.TransferFailure = ev.ResultInfo
		if e.TransferFailure == nil {
			e.TransferFailure = &commands.ResultInfo{Message: "the call is established again"}
		}
		return true, false
	case ev.State == StateTransferAccepted && !e.TransferAccepted:
		e.TransferAccepted, changed = true, true
	}
	if ev.State == StateEstablished && ev.ResultInfo != nil && ev.ResultInfo.Code >= 400 && e.TransferFailure == nil && e.open(commands.Transfer) {
		// The "transferring" before it was lost or is still on its way.
		e.TransferFailure, changed = ev.ResultInfo, true
	}
	if e.answeredBy(ev) {
		e.EstablishedAt, changed = ev.Time, true
	}
	switch {
	case rank(ev.State) > rank(e.State):
	case e.State != ev.State && rank(ev.State) == rank(e.State): // hold and back
	default:
		return changed, false
	}
	if e.TransferFailure != nil && (ev.State == StateTransferring || ev.State == StateTransferAccepted) {
		return changed, false // late news of a transfer that has failed
	}
	if ev.State == StateTransferring || (ev.State == StateTransferAccepted && e.State != StateTransferring) {
		e.TransferringAt = ev.Time
	}
	e.State = ev.State
	return true, false
}

// foldLate takes from a notification that came after the end what the end left
// open: that the call was answered, that a transfer was accepted, and why a call
// ended that was only found gone.
func (e *Entry) foldLate(ev commands.Event) (changed bool) {
	if ev.Source == commands.SourceRead {
		return false
	}
	if ev.State == StateTerminated && e.Reason == ReasonUnseen {
		e.ResultInfo, e.TerminationReason, e.Reason = ev.ResultInfo, ev.TerminationReason, endReason(ev)
		changed = true
	}
	if ev.State == StateTransferAccepted && !e.TransferAccepted {
		e.TransferAccepted, changed = true, true
	}
	if ev.State == StateTerminating && !e.Terminating {
		e.Terminating, changed = true, true
	}
	if ev.Time.After(e.EndedAt) {
		ev.Time = e.EndedAt
	}
	if e.answeredBy(ev) {
		e.EstablishedAt, changed = ev.Time, true
	}
	if ev.Operation != nil {
		changed = e.foldOperation(ev.Operation) || changed
	}
	return changed
}

// answeredBy tells whether the event says that the call was answered, and earlier
// than is known: in whatever order events come, the first answer counts.
func (e *Entry) answeredBy(ev commands.Event) bool {
	r := rank(ev.State)
	return r >= rank(StateEstablished) && r < rank(StateTerminating) && (e.EstablishedAt.IsZero() || ev.Time.Before(e.EstablishedAt))
}

func (e *Entry) open(a commands.Action) bool {
	for _, o := range e.Open {
		if o.Action == a {
			return true
		}
	}
	return false
}

func (e *Entry) foldOperation(op *commands.Operation) bool {
	if op.Status != "completed" && op.Status != "failed" {
		return false
	}
	for i := range e.Open {
		o := &e.Open[i]
		if o.matches(op) && o.Status == "" {
			o.Status, o.ResultInfo = op.Status, op.ResultInfo
			if o.OperationID == "" {
				o.OperationID = op.ID
			}
			return true
		}
	}
	return false
}

func endReason(ev commands.Event) string {
	switch {
	case ev.Reason != "":
		return ev.Reason
	case ev.ResultInfo == nil:
		return "ended"
	}
	if x := commands.ExplainResult(ev.ResultInfo.Code, ev.ResultInfo.Subcode); x.Reason != "" {
		return x.Reason
	}
	return "other"
}

// set fills a member that is still empty.
func set(member *string, value string) bool {
	if value == "" || *member != "" {
		return false
	}
	*member = value
	return true
}
