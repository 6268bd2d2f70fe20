package streams

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// Refusal says why the server did not store a message.
type Refusal string

// The closed set of refusals.
const (
	Full     Refusal = "full"     // the stream is at its limit
	NoRoom   Refusal = "noRoom"   // the server or the account is
	TooLarge Refusal = "tooLarge" // the message is beyond the stream's limit
	Missing  Refusal = "missing"  // there is no such stream
)

// RefusedError is a message that was certainly not stored, and why, in one line
// that tells an operator what to do.
type RefusedError struct {
	Stream string // one of the names of streams and buckets, such as [Results]
	Why    Refusal
	text   string
	err    error
}

func (e *RefusedError) Error() string { return e.text }

// Unwrap gives the client's own error.
func (e *RefusedError) Unwrap() error { return e.err }

// Error codes of JetStream's API that a publish can meet and the client library
// has no name for.
const (
	codeNoResources = 10023 // insufficient resources
	codeNoMemory    = 10028
	codeNoStorage   = 10047 // storage resources exceeded
	codeStoreFailed = 10077 // any limit of the stream, named in the text
)

// holder is what stands behind a subject.
type holder struct {
	name   string // without the prefix, as in RefusedError
	full   string // the object's own name
	effect string // of its being full
	remedy string
}

// address is how the subjects of a holder begin.
type address struct {
	first, second string
	holder
}

// holders are all that callbus keeps messages in, but the tokens of the rate,
// which never refuse any.
func holders(prefix commands.Prefix) []address {
	return []address{
		{string(prefix), "results", holder{Results, prefix.Stream(Results), "no command is sent to Graph", "raise --results-max-bytes (`worker provision --streams=reconcile`)"}},
		{string(prefix), "commands", holder{Commands, prefix.Stream(Commands), "producers are refused", "raise --commands-max-bytes (`worker provision --streams=reconcile`), or add workers"}},
		{string(prefix), "events", holder{Events, prefix.Stream(Events), "notifications are refused and Graph has to repeat them", "raise its max_bytes or lower --events-max-age"}},
		{string(prefix), "dead", holder{Dead, prefix.Stream(Dead), "commands that need a look stay in the queue", "raise its max_bytes or delete letters that were dealt with"}},
		{string(prefix), "timers", holder{Timers, prefix.Stream(Timers), "commands that Graph took stay in the queue", "give it the settings of `worker provision --streams=reconcile`"}},
		{string(prefix), "quota", holder{Quota, prefix.Stream(Quota), "calls are not counted against the month", "give it the settings of `worker provision --streams=reconcile`"}},
		{"$KV", prefix.Registry(), holder{Registry, "bucket " + prefix.Registry(), "what happens to calls is not noted", "raise its max_bytes"}},
		{"$KV", prefix.Stream(Gates), holder{Gates, "bucket " + prefix.Stream(Gates), "workers do not learn of each other's throttling", "raise its max_bytes"}},
	}
}

// holderOf finds the stream or bucket that takes a subject; false for subjects
// that are none of ours.
func holderOf(prefix commands.Prefix, subject string) (holder, bool) {
	parts := strings.SplitN(subject, ".", 3)
	if len(parts) < 2 {
		return holder{}, false
	}
	for _, h := range holders(prefix) {
		if parts[0] == h.first && parts[1] == h.second {
			return h.holder, true
		}
	}
	return holder{}, false
}

// Explain makes a *[RefusedError] of the error of a publish on subject when the
// server refused to store it for want of room or of a stream, and returns any
// other error, a lost compare-and-swap too, as it is.
func Explain(prefix commands.Prefix, subject string, err error) error {
	h, ours := holderOf(prefix, subject)
	if _, done := errors.AsType[*RefusedError](err); done || !ours || err == nil {
		return err
	}
	refused := func(why Refusal, format string, args ...any) error {
		return &RefusedError{Stream: h.name, Why: why, text: fmt.Sprintf(format, args...), err: err}
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return refused(Missing, "%s does not exist or has no leader: until it does, %s; `worker provision` makes what is missing", h.full, h.effect)
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return err
	}
	switch api.ErrorCode {
	case codeStoreFailed:
		if strings.Contains(api.Description, "maximum") {
			return refused(Full, "%s is full (%s): until there is room, %s; %s", h.full, api.Description, h.effect, h.remedy)
		}
	case codeNoResources, codeNoMemory, codeNoStorage:
		return refused(NoRoom, "the server has no room left for %s (%s): until there is, %s; give JetStream more storage", h.full, api.Description, h.effect)
	case jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return refused(TooLarge, "%s does not take a message of this size (%s): raise its max_msg_size; callbus sets none", h.full, api.Description)
	}
	return err
}
