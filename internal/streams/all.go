package streams

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// All hands over every message that a stream has now, in order, those on the
// subjects alone when any are given. It blocks until take has had the last one;
// what is stored after it has begun may be missing.
func All(ctx context.Context, js jetstream.JetStream, name string, take func(jetstream.RawStreamMsg) error, subjects ...string) error {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	last := s.CachedInfo().State.LastSeq
	cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: subjects})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	info := cons.CachedInfo()
	defer func() {
		// The library leaves it to the server, which lets it stand for minutes.
		if info := cons.CachedInfo(); info != nil {
			_ = s.DeleteConsumer(context.WithoutCancel(ctx), info.Name)
		}
	}()
	if info == nil || info.NumPending == 0 {
		return nil
	}
	msgs, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer msgs.Stop()
	for {
		msg, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		m, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		raw := jetstream.RawStreamMsg{Subject: msg.Subject(), Sequence: m.Sequence.Stream, Header: msg.Headers(), Data: msg.Data(), Time: m.Timestamp}
		if err := take(raw); err != nil {
			return fmt.Errorf("read %s, message %d on %s: %w", name, raw.Sequence, raw.Subject, err)
		}
		if m.NumPending == 0 || m.Sequence.Stream >= last {
			return nil
		}
	}
}
