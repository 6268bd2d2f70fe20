package streams

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// Told is js with publishes that are explained (see [Explain]) and refusals
// that are told: each to refused, which may be nil and must not block, and to
// the log when a stream begins to refuse, when it does so for another reason,
// and when it takes messages again. Only PublishMsg is told of, which is what
// workers publish with.
func Told(js jetstream.JetStream, prefix commands.Prefix, log *slog.Logger, refused func(stream string, why Refusal)) jetstream.JetStream {
	if refused == nil {
		refused = func(string, Refusal) {}
	}
	return &told{JetStream: js, prefix: prefix, log: log.With("component", "streams"), refused: refused, trouble: map[string]Refusal{}}
}

type told struct {
	jetstream.JetStream
	prefix  commands.Prefix
	log     *slog.Logger
	refused func(stream string, why Refusal)

	mu      sync.Mutex
	trouble map[string]Refusal // by stream, of those that refuse
}

// PublishMsg publishes as the client does; the error of a refusal is a
// *[RefusedError].
func (t *told) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := t.JetStream.PublishMsg(ctx, msg, opts...)
	err = Explain(t.prefix, msg.Subject, err)
	if no, ok := errors.AsType[*RefusedError](err); ok {
		t.refused(no.Stream, no.Why)
		if t.changed(no.Stream, no.Why) {
			t.log.Error("stream refuses messages", "stream", no.Stream, "reason", no.Why, "err", err)
		}
	} else if err == nil {
		if h, ours := holderOf(t.prefix, msg.Subject); ours && t.changed(h.name, "") {
			t.log.Info("stream takes messages again", "stream", h.name)
		}
	}
	return ack, err
}

// changed notes whether and why a stream refuses, and tells whether that is new.
func (t *told) changed(stream string, why Refusal) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trouble[stream] == why {
		return false
	}
	t.trouble[stream] = why
	return true
}
