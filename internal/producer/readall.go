package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// reading is a part of a stream that is read once, from since (zero: the
// beginning) to what is its end now.
type reading struct {
	stream, filter string
	since          time.Time
	// names are what the consumer may be called, in the order in which they are
	// tried: a name may be taken, and rights may go with names.
	names []string
	// keep leaves the consumer to forget itself: for a name under which the
	// reader may not delete.
	keep string
}

const (
	onceIdle = time.Second      // how long the consumer outlives its reader
	oncePull = 5 * time.Second  // the longest silence in the middle of a reading
	onceWait = 10 * time.Second // for a name that is taken
	onceMost = 256              // messages asked for at once
)

// errTaken means that other readers hold every name there is.
var errTaken = errors.New("another reader has the name")

// readAll hands over every message of the reading, in order. It blocks until
// take has had the last one. A name that is taken is waited for.
func (c *Client) readAll(ctx context.Context, r reading, take func(stored) error) error {
	giveUp := time.Now().Add(onceWait)
	for {
		consumer, err := c.openReading(ctx, r)
		if errors.Is(err, errTaken) && time.Now().Before(giveUp) && ctx.Err() == nil {
			pause(ctx, 200*time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		err = c.permitted(ctx, "read "+r.stream, func(ctx context.Context) error { return c.drain(ctx, r, consumer, take) })
		if name := consumer.CachedInfo().Name; name != r.keep {
			// What is left is gone after onceIdle.
			_ = c.js.DeleteConsumer(context.WithoutCancel(ctx), r.stream, name)
		}
		return err
	}
}

// openReading makes the consumer under the first name that is free and
// permitted.
func (c *Client) openReading(ctx context.Context, r reading) (jetstream.Consumer, error) {
	cfg := jetstream.ConsumerConfig{
		FilterSubject: r.filter, DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy,
		InactiveThreshold: onceIdle, MemoryStorage: true, Replicas: 1,
		// Never the same settings twice: the server would give us a consumer that
		// has been read to its end.
		Description: "read once " + nuid.Next(),
	}
	if !r.since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.since
	}
	taken := false
	var refused error
	for _, cfg.Name = range r.names {
		var consumer jetstream.Consumer
		err := c.permitted(ctx, "read "+r.stream, func(ctx context.Context) (err error) {
			ctx, cancel := context.WithTimeout(ctx, c.lookWait())
			defer cancel()
			consumer, err = c.js.CreateConsumer(ctx, r.stream, cfg)
			return err
		})
		switch refusal, isRefusal := errors.AsType[*RefusedError](err); {
		case err == nil:
			return consumer, nil
		case errors.Is(err, jetstream.ErrConsumerExists):
			taken = true
		case isRefusal && refusal.Why == NotPermitted:
			refused = err
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, fmt.Errorf("there is no stream %s: %w", r.stream, errNotThere)
		default:
			return nil, fmt.Errorf("read %s: %w", r.stream, err)
		}
	}
	if taken {
		return nil, fmt.Errorf("%w %s on %s, and only one can: end it first", errTaken, r.names[0], r.stream)
	}
	return nil, refused
}

// drain reads to the end that the consumer had when it was made.
func (c *Client) drain(ctx context.Context, r reading, consumer jetstream.Consumer, take func(stored) error) error {
	d := draining{consumer: consumer, take: take, since: r.since, left: consumer.CachedInfo().NumPending}
	for d.left > 0 {
		before := d.count
		if err := d.pull(ctx); err != nil {
			return fmt.Errorf("read %s: %w", r.stream, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("read %s: %w", r.stream, context.Cause(ctx))
		}
		if d.count == before {
			return fmt.Errorf("read %s: the server stopped sending with %d messages left", r.stream, d.left)
		}
	}
	return nil
}

// draining is how far a reading has come.
type draining struct {
	consumer    jetstream.Consumer
	take        func(stored) error
	since       time.Time
	count, left uint64
}

// pull is one request.
func (d *draining) pull(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, oncePull)
	defer cancel()
	batch, err := d.consumer.Fetch(int(min(d.left, onceMost)), jetstream.FetchContext(ctx))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("message without metadata: %w", err)
		}
		if d.count++; meta.Sequence.Consumer != d.count {
			return errGap // nobody acknowledges: it does not come again
		}
		d.left = min(d.left-1, meta.NumPending) // fewer, when some have been deleted
		if meta.Timestamp.Before(d.since) {
			continue // a time so far ahead that the server takes it for none
		}
		if err := d.take(stored{subject: msg.Subject(), sequence: meta.Sequence.Stream, time: meta.Timestamp, header: msg.Headers(), data: msg.Data()}); err != nil {
			return err
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
