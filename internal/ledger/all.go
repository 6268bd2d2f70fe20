package ledger

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/streams"
)

// All hands over every record that is stored now, in order. It blocks until take
// has had the last one.
func (j *Journal) All(ctx context.Context, take func(*Record) error) error {
	return streams.All(ctx, j.js, j.name, func(msg jetstream.RawStreamMsg) error {
		r, err := decodeRecord(&msg)
		if err != nil {
			return err
		}
		return take(r)
	})
}
