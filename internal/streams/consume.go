package streams

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullExpiry = 10 * time.Second
	// stallPause is the wait before messages are asked for again after a failure.
	stallPause = time.Second
)

// Consume hands the messages of a durable consumer to handle, at most slots at
// once, until take ends, and returns when all that were in work have ended;
// they get the context work. What arrives after take has ended is handed back.
// It survives a lost connection and a consumer that is made anew. It is for
// messages that are quickly done; the lanes of commands fetch slot by slot.
func Consume(take, work context.Context, js jetstream.JetStream, stream, durable string, slots int, log *slog.Logger, handle func(context.Context, jetstream.Msg)) {
	free := make(chan struct{}, slots)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		err := consume(take, js, stream, durable, slots, func(msg jetstream.Msg) {
			free <- struct{}{}
			wg.Go(func() {
				defer func() { <-free }()
				handle(work, msg)
			})
		})
		if take.Err() != nil {
			return
		}
		log.Warn("fetching stalled", "stream", stream, "consumer", durable, "err", err)
		select {
		case <-time.After(stallPause):
		case <-take.Done():
			return
		}
	}
}

// consume runs one iterator until take ends or the iterator does, which it also
// does when its consumer is made anew.
func consume(take context.Context, js jetstream.JetStream, stream, durable string, slots int, handle func(jetstream.Msg)) error {
	cons, err := js.Consumer(take, stream, durable)
	if err != nil {
		return fmt.Errorf("open consumer %s/%s: %w", stream, durable, err)
	}
	msgs, err := cons.Messages(jetstream.PullMaxMessages(slots), jetstream.PullExpiry(pullExpiry), jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("open consumer %s/%s: %w", stream, durable, err)
	}
	stop := context.AfterFunc(take, msgs.Drain)
	defer stop()
	defer msgs.Stop()
	for {
		msg, err := msgs.Next()
		if err != nil {
			return err
		}
		if take.Err() != nil {
			_ = msg.Nak()
			continue
		}
		handle(msg)
	}
}
