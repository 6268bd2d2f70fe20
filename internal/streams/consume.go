package streams

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// stallPause is the wait before messages are asked for again after a failure.
const stallPause = time.Second

// Consume hands the messages of a durable consumer to handle, at most slots at
// once, until take ends, and returns when all that were in work have ended;
// they get the context work. What arrives after take has ended is handed back.
// It survives a lost connection, a request that was lost, and a consumer that
// is made anew. stalled, which may be nil, is told of every failure to fetch but
// a lost connection. It is for messages that are quickly done; the lanes of commands
// fetch slot by slot.
func Consume(take, work context.Context, js jetstream.JetStream, stream, durable string, slots int, log *slog.Logger, stalled func(consumer string), handle func(context.Context, jetstream.Msg)) {
	c := consumption{js: js, stream: stream, durable: durable, asking: Asking{Batch: slots}, log: log.With("stream", stream, "consumer", durable)}
	if stalled != nil {
		c.stalled = func() { stalled(durable) }
	}
	c.run(take, func(msg jetstream.Msg) { handle(work, msg) })
}

// consumption is one call of Consume.
type consumption struct {
	js              jetstream.JetStream
	stream, durable string
	asking          Asking // as many messages as there are slots
	stalled         func()
	log             *slog.Logger
}

func (c consumption) run(take context.Context, handle func(jetstream.Msg)) {
	free := make(chan struct{}, c.asking.Batch)
	var wg sync.WaitGroup
	defer wg.Wait()
	Reopen(take, c.log, func(opened func()) error {
		err := c.iterate(take, opened, func(msg jetstream.Msg) {
			free <- struct{}{}
			wg.Go(func() {
				defer func() { <-free }()
				handle(msg)
			})
		})
		if c.stalled != nil && take.Err() == nil && !errors.Is(err, ErrConnectionLost) {
			c.stalled()
		}
		return err
	})
}

// iterate runs one iterator until take ends or the iterator does.
func (c consumption) iterate(take context.Context, opened func(), handle func(jetstream.Msg)) error {
	it, err := Open(take, c.js, c.stream, c.durable, c.asking)
	if err != nil {
		return err
	}
	defer it.Close()
	opened()
	for {
		msg, err := it.Next()
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

// Reopen runs iterate until take ends, again and again with a pause when it
// fails. iterate says when it is open. A failure is logged when it is another
// one than before, and so is that it is over; a lost connection is told
// elsewhere and [Open] waits for another.
func Reopen(take context.Context, log *slog.Logger, iterate func(opened func()) error) {
	var trouble string
	for {
		err := iterate(func() {
			if trouble != "" {
				trouble = ""
				log.Info("fetching goes on")
			}
		})
		if take.Err() != nil {
			return
		}
		if errors.Is(err, ErrConnectionLost) {
			continue
		}
		if err == nil {
			err = errors.New("iterator closed")
		}
		if text := err.Error(); text != trouble {
			trouble = text
			log.Warn("fetching stalled", "err", err)
		}
		select {
		case <-time.After(stallPause):
		case <-take.Done():
			return
		}
	}
}
