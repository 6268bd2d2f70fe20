package producer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Refusal says why a command was not stored.
type Refusal string

// The closed set of refusals.
const (
	Full         Refusal = "full"         // the queue is at its limit; later it may not be
	NoStream     Refusal = "noStream"     // nothing takes commands here
	TooLarge     Refusal = "tooLarge"     // the body is beyond a limit
	NotPermitted Refusal = "notPermitted" // the server's permissions
	NoAnswer     Refusal = "noAnswer"     // stored or not, nobody said so in time
	Stopped      Refusal = "stopped"      // the caller gave up
	OtherRefusal Refusal = "other"
)

// RefusedError is a command that was not stored, in one line. After
// [NoAnswer] it may have been: sending the same id again does no harm.
type RefusedError struct {
	Why     Refusal
	Problem string
	err     error
}

func (e *RefusedError) Error() string { return e.Problem }

// Unwrap gives the client's own error.
func (e *RefusedError) Unwrap() error { return e.err }

// Error codes of JetStream's API that a publish can meet.
const (
	codeNoJetStream     = 10039 // not enabled for this account
	codeNoJetStreamHere = 10076 // not enabled on this server
	codeNoResources     = 10023 // insufficient resources
	codeNoStorage       = 10047 // storage resources exceeded
	codeNoMemory        = 10028
	codeMessageTooLarge = 10054 // message size exceeds maximum allowed
	codeStoreFailed     = 10077 // any limit of the stream, named in the text
	codeInProcess       = 10158 // an earlier try with this message id is being stored just now
)

// refusal is the one place that knows what the server and the client say when
// a publish fails.
func (c *Client) refusal(subject string, size int, err error) error {
	queue := c.prefix.Stream("COMMANDS")
	refused := func(why Refusal, format string, args ...any) error {
		return &RefusedError{Why: why, Problem: fmt.Sprintf(format, args...), err: err}
	}
	if apiErr, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch apiErr.ErrorCode {
		case codeStoreFailed:
			if strings.Contains(apiErr.Description, "maximum") {
				return refused(Full, "%s is full (%s): nothing was stored; try again later or let the workers catch up", queue, apiErr.Description)
			}
		case codeNoResources, codeNoStorage, codeNoMemory:
			return refused(Full, "the server has no room left (%s): nothing was stored", apiErr.Description)
		case codeMessageTooLarge:
			return refused(TooLarge, "the command has %d bytes, more than %s takes: a body may have %d", size, queue, commands.MaxBody)
		case codeNoJetStream, codeNoJetStreamHere:
			return refused(NoStream, "JetStream is not enabled for this account: nothing was stored")
		case codeInProcess:
			return refused(NoAnswer, "an earlier try of the same command is being stored just now: sending the same id again does no harm")
		}
		return refused(OtherRefusal, "%s refused the command: %s (%d)", queue, apiErr.Description, apiErr.ErrorCode)
	}
	switch {
	case nobodyListens(err):
		return refused(NoStream, "no stream takes %s: is %s there (worker provision) and the prefix %q right, or has it no leader just now?", subject, queue, c.prefix)
	case errors.Is(err, nats.ErrMaxPayload):
		return refused(TooLarge, "the command has %d bytes, more than the server's max_payload of %d", size, c.nc.MaxPayload())
	case isViolation(err):
		return refused(NotPermitted, "not permitted to publish on %s: ask for the producer's permissions on it", subject)
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrDisconnected):
		return refused(NoAnswer, "the connection to NATS is down: the command was not stored")
	case errors.Is(err, nats.ErrConnectionClosed):
		return refused(Stopped, "the connection to NATS is closed: the command was not stored")
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout), errors.Is(err, nats.ErrTimeout), errors.Is(err, errNoAck), errors.Is(err, context.DeadlineExceeded):
		return refused(NoAnswer, "no acknowledgement in time: the command may or may not be stored; sending the same id again does no harm")
	case errors.Is(err, context.Canceled):
		return refused(Stopped, "stopped before the acknowledgement came: the command may or may not be stored; sending the same id again does no harm")
	}
	return refused(OtherRefusal, "publish on %s: %s", subject, strings.TrimPrefix(err.Error(), "nats: "))
}

func isViolation(err error) bool {
	return errors.Is(err, nats.ErrPermissionViolation) || strings.Contains(strings.ToLower(err.Error()), "permissions violation")
}
