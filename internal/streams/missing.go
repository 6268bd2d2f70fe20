package streams

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// MissingError says that a stream or a consumer that callbus needs is not
// there: somebody deleted it, or the server has lost its state.
type MissingError struct {
	What string // "consumer CALL_COMMANDS/control"
	err  error
}

// Error is one line and says what an operator has to do.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s does not exist: somebody deleted it or the server lost its state; `worker provision` makes it anew, and work goes on by itself then", e.What)
}

// Unwrap gives the client's own error.
func (e *MissingError) Unwrap() error { return e.err }

// missing makes a *MissingError of an error that says so, and returns any other
// as it is.
func missing(stream, durable string, err error) error {
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return &MissingError{What: "consumer " + stream + "/" + durable, err: err}
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return &MissingError{What: "stream " + stream, err: err}
	}
	return err
}

// opening is why a consumer cannot be opened.
func opening(stream, durable string, err error) error {
	if gone := missing(stream, durable, err); gone != err {
		return gone
	}
	return fmt.Errorf("open consumer %s/%s: %w", stream, durable, err)
}
