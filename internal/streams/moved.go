package streams

import (
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// Moved tells whether a write lost a compare-and-swap: somebody else wrote since
// what it expects was read. Replicated streams have an error code of their own
// for it.
func Moved(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
