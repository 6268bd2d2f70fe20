package commands

import (
	"encoding/json"
	"time"
)

// Kind is the kind of an event and the last token of its subject.
type Kind string

// The kinds of events.
const (
	KindIncoming       Kind = "incoming"
	KindState          Kind = "state"
	KindEnded          Kind = "ended"
	KindRoster         Kind = "roster"
	KindOperation      Kind = "operation"
	KindContentSharing Kind = "contentSharing"
	KindKeepAlive      Kind = "keepAlive"
	KindOther          Kind = "other"
)

// Kinds lists every kind.
var Kinds = []Kind{KindIncoming, KindState, KindEnded, KindRoster, KindOperation, KindContentSharing, KindKeepAlive, KindOther}

// SourceRead marks events that no notification told us.
const SourceRead = "read"

// IncomingProducer owns calls that came in and that nobody has claimed yet;
// their callRef is the Graph call id.
const IncomingProducer = "_incoming"

// Event is something Graph told us, or we found out, about a call. Absent
// members are left out; the shape only grows.
type Event struct {
	Producer    string      `json:"producer"`
	CallRef     string      `json:"callRef"`
	CallID      string      `json:"callId,omitempty"` // as Graph wrote it; compare with [NormalCallID]
	CallChainID string      `json:"callChainId,omitempty"`
	TenantID    string      `json:"tenantId,omitempty"`
	CommandID   string      `json:"commandId,omitempty"` // the place command of the callback URL
	Attempt     int         `json:"attempt,omitempty"`
	Kind        Kind        `json:"kind"`
	Time        time.Time   `json:"time"`
	ChangeType  string      `json:"changeType,omitempty"`
	State       string      `json:"state,omitempty"` // Graph's callState, in CSDL's spelling
	ResultInfo  *ResultInfo `json:"resultInfo,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Hint        string      `json:"hint,omitempty"`
	// TerminationReason is Graph's, e.g. "AppTransferred".
	TerminationReason string `json:"terminationReason,omitempty"`
	// AudioActive is the call's mediaState.audio, absent when not told.
	AudioActive *bool           `json:"audioActive,omitempty"`
	AnsweredBy  json.RawMessage `json:"answeredBy,omitempty"`
	RingMS      *int64          `json:"ringMs,omitempty"`
	TalkMS      *int64          `json:"talkMs,omitempty"`
	RespondBy   *time.Time      `json:"respondBy,omitempty"` // incoming: when Graph gives up
	Operation   *Operation      `json:"operation,omitempty"`
	// Participants is the size of a full roster.
	Participants *int `json:"participants,omitempty"`
	// Source is SourceRead when we found it out by reading the call, else absent.
	Source string          `json:"source,omitempty"`
	Raw    json.RawMessage `json:"raw,omitempty"`

	Truncated bool   `json:"truncated,omitempty"`
	Bytes     int    `json:"bytes,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
}

// Call is the call the event belongs to.
func (e Event) Call() CallKey { return CallKey{e.Producer, e.CallRef} }
