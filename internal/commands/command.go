package commands

import (
	"encoding/json"
	"strings"
	"time"
)

// Limits of what producers may send. MaxBody is in bytes; the lengths count
// characters of the id alphabet [A-Za-z0-9_-].
const (
	MaxBody     = 64 << 10
	MaxProducer = 64
	MaxCallRef  = 128
	MaxID       = 128
	MaxMetadata = 16
	MaxMetaText = 256
	// MaxTTL is the longest time between publishing and expiresAt.
	MaxTTL = 72 * time.Hour
)

// Wait says what a command waits for before it is sent.
type Wait string

// WaitReady waits until the call is ready for the action, WaitNone sends at
// once, WaitTurn waits until every earlier command of the call is final.
const (
	WaitReady Wait = "ready"
	WaitNone  Wait = "none"
	WaitTurn  Wait = "turn"
)

// OnUnknown says what becomes of a command whose fate cannot be found out.
type OnUnknown string

// OnUnknownFail ends it as "unknown"; OnUnknownRetry sends it again under a new
// attempt, which may dial twice: only the producer can decide that.
const (
	OnUnknownFail  OnUnknown = "fail"
	OnUnknownRetry OnUnknown = "retry"
)

// Key names one command: where it was published and its id.
type Key struct {
	Producer, CallRef, ID string
}

// Command is one instruction for one call, read and checked by [Decode].
type Command struct {
	Key    `json:"-"`
	Action Action `json:"-"`

	NotBefore time.Time // zero: at once
	ExpiresAt time.Time // zero: the default of the action, from publish time
	Wait      Wait      // never empty after Decode
	OnUnknown OnUnknown // never empty after Decode
	TenantID  string
	CallID    string // binds the callRef to a call that was not placed here
	ReplyTo   string
	KeepAlive bool // keep a bound call alive
	Limits    CallLimits
	Metadata  map[string]string

	// Parameters is Graph's request body with every "@odata.type" and default
	// filled in, ready to be sent but for callbackUri and clientContext;
	// nil when the action has none.
	Parameters json.RawMessage
	// Body is what was received, byte for byte: with the action it is the
	// identity of the command (see [BodyHash]).
	Body []byte
}

// CallLimits bounds a call; zero means no limit of the command's own.
type CallLimits struct {
	RingSeconds int `json:"ringSeconds,omitempty"`
	CallSeconds int `json:"callSeconds,omitempty"`
}

// CallTerms is what a command said of its call and nothing else in its records
// tells. The registry can be made anew from it.
type CallTerms struct {
	Limits CallLimits `json:"limits,omitzero"`
	// Bound says that the command's callId made the name stand for a call that was
	// not placed here, kept alive or not.
	Bound     bool `json:"bound,omitempty"`
	KeepAlive bool `json:"keepAlive,omitempty"`
}

// Call names a call without a command: producer and callRef.
func (k Key) Call() CallKey { return CallKey{k.Producer, k.CallRef} }

// CallKey names one call by its producer's own name for it.
type CallKey struct {
	Producer, CallRef string
}

// String is "producer.callRef", which is also the registry's key.
func (k CallKey) String() string { return k.Producer + "." + k.CallRef }

// Literal is the call under a name that is a filter for nothing else: wildcards,
// which a published subject may hold literally, become "_".
func (k CallKey) Literal() CallKey {
	plain := strings.NewReplacer("*", "_", ">", "_")
	return CallKey{plain.Replace(k.Producer), plain.Replace(k.CallRef)}
}
