// Package calls knows the calls: a registry that is shared by all workers, the
// fold of events into it, the outcomes that follow from a call's state, and the
// timers that look after calls Graph tells us nothing about.
package calls

import (
	"slices"
	"strings"
	"time"

	"callbus/internal/commands"
)

// Call states as Graph's CSDL spells them.
const (
	StateIncoming         = "incoming"
	StateEstablishing     = "establishing"
	StateEstablished      = "established"
	StateHold             = "hold"
	StateTransferring     = "transferring"
	StateTransferAccepted = "transferAccepted"
	StateRedirecting      = "redirecting"
	StateTerminating      = "terminating"
	StateTerminated       = "terminated"
)

// rank orders the states: a call never goes back, but for a transfer that
// failed and a hold that ended, because notifications come swapped and late.
func rank(state string) int {
	switch state {
	case StateIncoming:
		return 1
	case StateEstablishing, "ringing":
		return 2
	case StateRedirecting:
		return 3
	case StateEstablished, StateHold:
		return 4
	case StateTransferring:
		return 5
	case StateTransferAccepted:
		return 6
	case StateTerminating:
		return 7
	case StateTerminated:
		return 8
	}
	return 0
}

// ReasonUnseen is the end of a call that was found gone: nobody told us why.
const ReasonUnseen = "unseen"

// Entry is one call in the registry. It is bound to one place command, attempt
// and Graph call id, or to a call id alone when the call was not placed here.
type Entry struct {
	PlaceID     string `json:"placeId,omitempty"`
	Attempt     int    `json:"attempt,omitempty"`
	CallID      string `json:"callId,omitempty"`
	CallChainID string `json:"callChainId,omitempty"`
	TenantID    string `json:"tenantId,omitempty"`

	State             string               `json:"state,omitempty"`
	AudioActive       bool                 `json:"audioActive,omitempty"`
	Participants      int                  `json:"participants,omitempty"`
	AcceptedAt        time.Time            `json:"acceptedAt,omitzero"`
	EstablishedAt     time.Time            `json:"establishedAt,omitzero"`
	EndedAt           time.Time            `json:"endedAt,omitzero"`
	Reason            string               `json:"reason,omitempty"` // of the end
	ResultInfo        *commands.ResultInfo `json:"resultInfo,omitempty"`
	TerminationReason string               `json:"terminationReason,omitempty"`
	// TransferAccepted remembers that Graph said so, whatever came later.
	TransferAccepted bool `json:"transferAccepted,omitempty"`
	// TransferFailure is why the last transfer went back to established.
	TransferFailure *commands.ResultInfo `json:"transferFailure,omitempty"`
	// TransferringAt is when the last transfer was seen to be under way.
	TransferringAt time.Time `json:"transferringAt,omitzero"`
	// Terminating says that the call was seen to be on its way out, which one that
	// we hang up is; the other side's end comes without.
	Terminating bool `json:"terminating,omitempty"`
	// Notified is false until the first notification has been seen.
	Notified bool `json:"notified,omitempty"`
	// HangupWanted says that a hang-up of ours is under way or done.
	HangupWanted bool                `json:"hangupWanted,omitempty"`
	HangupReason string              `json:"hangupReason,omitempty"` // hungUp, ringSeconds, callSeconds, maxCallDuration
	KeepAlive    bool                `json:"keepAlive,omitempty"`
	RespondBy    time.Time           `json:"respondBy,omitzero"`
	Limits       commands.CallLimits `json:"limits,omitzero"`

	// Open are the commands whose outcome follows from this call's events.
	Open []Open `json:"open,omitempty"`

	revision uint64
}

// Open is a command that waits for its outcome.
type Open struct {
	ID            string          `json:"id"`
	Action        commands.Action `json:"action"`
	OperationID   string          `json:"operationId,omitempty"`
	ClientContext string          `json:"clientContext,omitempty"`
	// Status and ResultInfo are what the operation's notification said.
	Status     string               `json:"status,omitempty"`
	ResultInfo *commands.ResultInfo `json:"resultInfo,omitempty"`
	// Settled says that the command ended unknown; late news may correct it.
	Settled bool `json:"settled,omitempty"`
}

// Live tells whether Graph has the call, as far as we know.
func (e *Entry) Live() bool { return e.CallID != "" && e.EndedAt.IsZero() }

// Ended tells whether the call is over.
func (e *Entry) Ended() bool { return !e.EndedAt.IsZero() }

// Established tells whether the call is up and not on its way out.
func (e *Entry) Established() bool {
	switch e.State {
	case StateEstablished, StateHold, StateTransferring, StateTransferAccepted:
		return true
	}
	return false
}

// Is tells whether the entry is about the Graph call id, however it is spelled.
func (e *Entry) Is(callID string) bool {
	return e.CallID != "" && commands.NormalCallID(e.CallID) == commands.NormalCallID(callID)
}

// OpenOf returns the open command with the id, nil when there is none.
func (e *Entry) OpenOf(id string) *Open {
	if i := slices.IndexFunc(e.Open, func(o Open) bool { return o.ID == id }); i >= 0 {
		return &e.Open[i]
	}
	return nil
}

// Busy tells whether a prompt or transfer other than the command id is open,
// so that a transfer has to wait.
func (e *Entry) Busy(id string) bool {
	return slices.ContainsFunc(e.Open, func(o Open) bool {
		return o.ID != id && !o.Settled && (o.Action == commands.PlayPrompt || o.Action == commands.Transfer)
	})
}

// Add opens a command; one that is open already keeps what is known of it.
func (e *Entry) Add(o Open) bool {
	if old := e.OpenOf(o.ID); old != nil {
		if o.OperationID == "" || old.OperationID == o.OperationID {
			return false
		}
		old.OperationID = o.OperationID
		return true
	}
	if o.Action == commands.Transfer {
		// What an earlier transfer came to is no answer to this one.
		e.TransferFailure, e.TransferAccepted, e.TransferringAt = nil, false, time.Time{}
	}
	e.Open = append(e.Open, o)
	return true
}

// Waits tells whether a command other than id has no outcome yet.
func (e *Entry) Waits(id string) bool {
	return slices.ContainsFunc(e.Open, func(o Open) bool { return o.ID != id && !o.Settled })
}

// markSettled notes that commands ended unknown.
func (e *Entry) markSettled(ids []string) (changed bool) {
	for _, id := range ids {
		if o := e.OpenOf(id); o != nil && !o.Settled {
			o.Settled, changed = true, true
		}
	}
	return changed
}

// Remove closes commands by their ids.
func (e *Entry) Remove(ids ...string) bool {
	before := len(e.Open)
	e.Open = slices.DeleteFunc(e.Open, func(o Open) bool { return slices.Contains(ids, o.ID) })
	return len(e.Open) != before
}

// matches tells whether an operation of Graph's is this open command's: by its
// id where both are known, else by the client context.
func (o *Open) matches(op *commands.Operation) bool {
	if o.OperationID != "" && op.ID != "" {
		return commands.NormalCallID(o.OperationID) == commands.NormalCallID(op.ID)
	}
	return op.ClientContext != "" && strings.EqualFold(o.ClientContext, op.ClientContext)
}
