package commands

import (
	"encoding/json"
	"time"
)

// Status is one step in the life of a command.
type Status string

// The statuses; those from Succeeded on are final.
const (
	Waiting    Status = "waiting"
	Started    Status = "started"
	Accepted   Status = "accepted"
	Succeeded  Status = "succeeded"
	Failed     Status = "failed"
	Rejected   Status = "rejected"
	Expired    Status = "expired"
	Cancelled  Status = "cancelled"
	Superseded Status = "superseded"
	Unknown    Status = "unknown"
)

// Statuses lists every status, the final ones last.
var Statuses = []Status{Waiting, Started, Accepted, Succeeded, Failed, Rejected, Expired, Cancelled, Superseded, Unknown}

// Final tells whether a record with this status ends the command.
func (s Status) Final() bool {
	switch s {
	case Waiting, Started, Accepted:
		return false
	}
	return true
}

// Class sorts errors by what they mean for the producer.
type Class string

// The closed set of classes.
const (
	ClassInvalid       Class = "invalid"
	ClassConfiguration Class = "configuration"
	ClassRefused       Class = "refused"
	ClassCallee        Class = "callee"
	ClassGone          Class = "gone"
	ClassConflict      Class = "conflict"
	ClassThrottled     Class = "throttled"
	ClassQuota         Class = "quota"
	ClassTransient     Class = "transient"
	ClassAmbiguous     Class = "ambiguous"
	ClassInternal      Class = "internal"
)

// Classes lists every class.
var Classes = []Class{ClassInvalid, ClassConfiguration, ClassRefused, ClassCallee, ClassGone, ClassConflict,
	ClassThrottled, ClassQuota, ClassTransient, ClassAmbiguous, ClassInternal}

// Result is one record in the life of a command. Absent members are left out,
// never null; times are RFC 3339 UTC. Within v1 the shape only grows.
type Result struct {
	Producer  string `json:"producer"`
	CallRef   string `json:"callRef"`
	CommandID string `json:"commandId"`
	Action    Action `json:"action"`
	Status    Status `json:"status"`
	Final     bool   `json:"final"`
	// Corrects is the stream sequence of the "unknown" record this one corrects.
	Corrects uint64    `json:"corrects,omitempty"`
	Time     time.Time `json:"time"`
	CallID   string    `json:"callId,omitempty"`
	TenantID string    `json:"tenantId,omitempty"`
	// Reason says why a command waits, or how a final outcome came about.
	Reason string     `json:"reason,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	// Observed is false when Graph's 2xx is all we can ever know.
	Observed  *bool             `json:"observed,omitempty"`
	Operation *Operation        `json:"operation,omitempty"`
	Data      json.RawMessage   `json:"data,omitempty"`
	Error     *Error            `json:"error,omitempty"`
	Attempts  int               `json:"attempts,omitempty"`
	Timing    *Timing           `json:"timing,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	// ReplayOf is the id of the command that this one repeats.
	ReplayOf string `json:"replayOf,omitempty"`
	Worker   string `json:"worker,omitempty"`

	// Truncated, Bytes and SHA256 say that Data was cut to fit the server's
	// max_payload, how long it was and what it was.
	Truncated bool   `json:"truncated,omitempty"`
	Bytes     int    `json:"bytes,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
}

// Key is the command the record belongs to.
func (r Result) Key() Key { return Key{r.Producer, r.CallRef, r.CommandID} }

// Operation is Graph's commsOperation, the asynchronous part of some actions.
type Operation struct {
	ID         string      `json:"id,omitempty"`
	Status     string      `json:"status,omitempty"`
	ResultInfo *ResultInfo `json:"resultInfo,omitempty"`
	// ClientContext correlates the operation with its command.
	ClientContext string `json:"clientContext,omitempty"`
}

// ResultInfo is Graph's own account of an outcome.
type ResultInfo struct {
	Code    int    `json:"code"`
	Subcode int    `json:"subcode"`
	Message string `json:"message,omitempty"`
}

// Error says why a command did not succeed.
type Error struct {
	Class  Class  `json:"class"`
	Reason string `json:"reason,omitempty"`
	// Code is Graph's code or our camelCase word, always a string.
	Code            string      `json:"code"`
	Message         string      `json:"message"`
	Hint            string      `json:"hint,omitempty"`
	ResultInfo      *ResultInfo `json:"resultInfo,omitempty"`
	HTTPStatus      int         `json:"httpStatus,omitempty"`
	RequestID       string      `json:"requestId,omitempty"`
	ClientRequestID string      `json:"clientRequestId,omitempty"`
	// Retryable means that a new command with a new id may succeed, from
	// RetryAfter on.
	Retryable  bool       `json:"retryable"`
	RetryAfter *time.Time `json:"retryAfter,omitempty"`
}

// Timing tells where the time of a command went; durations are milliseconds.
type Timing struct {
	ReceivedAt  *time.Time `json:"receivedAt,omitempty"`
	StartedAt   *time.Time `json:"startedAt,omitempty"`
	QueuedMS    int64      `json:"queuedMs"`
	ThrottledMS int64      `json:"throttledMs"`
	GraphMS     int64      `json:"graphMs"`
}
