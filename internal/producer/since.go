package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// How long a reader's consumer outlives it, and how long one pull is open.
const (
	readerIdle = 2 * time.Second
	readerPull = 2 * time.Second
)

// readSince starts a reader for each stream; end waits for them, after their
// context has ended.
func (c *Client) readSince(ctx context.Context, f Filter, out chan *nats.Msg, failed chan<- error) (end func(), err error) {
	var readers sync.WaitGroup
	for _, s := range f.sources(c.prefix) {
		readers.Go(func() {
			if err := c.read(ctx, s, f, out); err != nil {
				failed <- err
			}
		})
	}
	return readers.Wait, nil
}

// read follows one stream from f.Since on until ctx ends. A producer may make
// exactly one consumer a stream, named like itself; it forgets itself soon
// after the reader is gone, and is made again where it stopped when the server
// has lost it.
func (c *Client) read(ctx context.Context, s source, f Filter, out chan<- *nats.Msg) error {
	cfg := jetstream.ConsumerConfig{
		Name:              f.Producer,
		FilterSubject:     s.filter,
		DeliverPolicy:     jetstream.DeliverByStartTimePolicy,
		OptStartTime:      &f.Since,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: readerIdle,
		MemoryStorage:     true,
		Replicas:          1,
	}
	if f.Producer == Everyone {
		cfg.Name = "watch-" + nuid.Next()
	}
	for {
		consumer, err := c.makeReader(ctx, s.stream, cfg)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		r := reader{consumer: consumer, out: out}
		err = r.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("read %s: %w", s.stream, err)
		}
		pause(ctx, 200*time.Millisecond)
		if r.last > 0 {
			cfg.DeliverPolicy, cfg.OptStartTime, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, r.last+1
		}
		// Never the same settings again: the server would give us back the
		// consumer that has just failed.
		cfg.InactiveThreshold += time.Millisecond
	}
}

// makeReader waits for the name to become free: the consumer of a watch that
// ended moments ago is still there.
func (c *Client) makeReader(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	const patience = 15 * time.Second // the server takes its time to notice
	request := fmt.Sprintf("$JS.API.CONSUMER.CREATE.%s.%s.%s", stream, cfg.Name, cfg.FilterSubject)
	giveUp := time.Now().Add(patience)
	for {
		attempt, cancel := context.WithTimeout(ctx, c.ackWait)
		consumer, err := c.js.CreateConsumer(attempt, stream, cfg)
		cancel()
		if err == nil {
			return consumer, nil
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, fmt.Errorf("there is no stream %s: create it first (worker provision)", stream)
		case c.violation(request) != nil:
			return nil, c.violation(request)
		case !c.nc.IsConnected() && !c.nc.IsClosed():
			giveUp = time.Now().Add(patience) // counts from the reconnect
		case time.Now().After(giveUp) && errors.Is(err, jetstream.ErrConsumerExists):
			return nil, fmt.Errorf("another watch of producer %s is reading %s from a time in the past, and only one can: end it first, or watch from now", cfg.Name, stream)
		case time.Now().After(giveUp):
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		pause(ctx, 500*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// reader hands on what one consumer delivers.
type reader struct {
	consumer jetstream.Consumer
	out      chan<- *nats.Msg
	last     uint64 // place in the stream of the last message; 0: none
	count    uint64 // messages delivered
}

// errGap means that a message got lost on its way here: nobody acknowledges, so
// the consumer has to be made again where the last one came from.
var errGap = errors.New("a message is missing")

// run pulls until ctx ends (nil) or the consumer fails.
func (r *reader) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.pull(ctx); err != nil {
			return fmt.Errorf("after message %d: %w", r.last, err)
		}
	}
	return nil
}

// pull is one request; it ends with ctx or after readerPull.
func (r *reader) pull(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readerPull)
	defer cancel()
	batch, err := r.consumer.Fetch(256, jetstream.FetchContext(ctx))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("message without metadata: %w", err)
		}
		if meta.Sequence.Consumer != r.count+1 {
			return errGap
		}
		select {
		case r.out <- &nats.Msg{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data()}:
			r.count, r.last = r.count+1, meta.Sequence.Stream
		case <-ctx.Done():
			return nil // had the watch not ended, the gap would be seen
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
