package streams

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Asking says how an iterator asks for messages. Zero values are what it takes
// outside of tests.
type Asking struct {
	Batch int // messages in one request; 0: 1
	// Expiry is how long one request stands at the server, 0: 10 s. While it
	// stands the server sends a heartbeat every half of it.
	Expiry time.Duration
	// LookEvery is how often the server is asked about a wait that brings
	// nothing, 0: every 5 s.
	LookEvery time.Duration
}

// Iterator hands out the messages of a durable consumer, and ends with an error
// rather than wait for ever when it has come to a standstill. Make it with
// [Open]; whoever gets an error from Next closes it and opens another.
type Iterator struct {
	name string // stream/durable, for people
	cons jetstream.Consumer
	msgs jetstream.MessagesContext

	since   atomic.Int64 // when the wait inside Next began, Unix nanoseconds; 0: nobody waits
	verdict atomic.Pointer[error]
	stop    context.CancelFunc
	watched chan struct{} // closed when the watch has ended
}

// Open asks for the messages of a durable consumer until take ends; then Next
// hands out what had already arrived and reports
// [jetstream.ErrMsgIteratorClosed]. It waits for a connection, and returns a
// *[MissingError] when there is no such consumer.
func Open(take context.Context, js jetstream.JetStream, stream, durable string, a Asking) (*Iterator, error) {
	a = Asking{cmp.Or(a.Batch, 1), cmp.Or(a.Expiry, 10*time.Second), cmp.Or(a.LookEvery, 5*time.Second)}
	if err := connected(take, js.Conn()); err != nil {
		return nil, opening(stream, durable, err)
	}
	// From here on every loss of the connection is seen.
	status := js.Conn().StatusChanged(nats.RECONNECTING)
	it, err := open(take, js, stream, durable, a)
	if err != nil {
		js.Conn().RemoveStatusListener(status)
		if len(status) > 0 { // then the answer was lost, whatever else the error says
			return nil, ErrConnectionLost
		}
		return nil, err
	}
	ctx, cancel := context.WithCancel(take)
	drain := context.AfterFunc(take, it.msgs.Drain)
	it.stop = func() { drain(); cancel() }
	go func() {
		defer close(it.watched)
		defer js.Conn().RemoveStatusListener(status)
		it.watch(ctx, js.Conn(), status, a.LookEvery)
	}()
	return it, nil
}

func open(take context.Context, js jetstream.JetStream, stream, durable string, a Asking) (*Iterator, error) {
	cons, err := js.Consumer(take, stream, durable)
	if err != nil {
		return nil, opening(stream, durable, err)
	}
	msgs, err := cons.Messages(jetstream.PullMaxMessages(a.Batch), jetstream.PullExpiry(a.Expiry))
	if err != nil {
		return nil, opening(stream, durable, err)
	}
	return &Iterator{name: stream + "/" + durable, cons: cons, msgs: msgs, watched: make(chan struct{})}, nil
}

// connected waits for the connection; it fails when take ends.
func connected(take context.Context, nc *nats.Conn) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !nc.IsConnected() {
		if nc.IsClosed() {
			return nats.ErrConnectionClosed
		}
		select {
		case <-take.Done():
			return context.Cause(take)
		case <-look.C:
		}
	}
	return nil
}

// Close gives up the request and waits for what looks after it.
func (it *Iterator) Close() {
	it.stop()
	it.msgs.Stop()
	<-it.watched
}

// Next blocks for the next message. An error ends the iterator: it is
// [ErrConnectionLost], wraps [ErrStalled] when the server has something for it
// that does not come, is [jetstream.ErrNoHeartbeat] when two heartbeats are
// missing, and a *[MissingError] when the consumer is gone.
func (it *Iterator) Next() (jetstream.Msg, error) {
	it.since.Store(time.Now().UnixNano())
	msg, err := next(it.msgs)
	it.since.Store(0)
	if err == nil {
		return msg, nil
	}
	if why := it.verdict.Load(); why != nil && errors.Is(err, jetstream.ErrMsgIteratorClosed) {
		return nil, *why
	}
	if errors.Is(err, jetstream.ErrConsumerDeleted) {
		return nil, &MissingError{What: "consumer " + it.name, err: err}
	}
	return nil, err
}

// next is msgs.Next, asked a few times in short turns first. The client library
// (nats.go 1.55) leaves the request out when a message arrived before its own
// goroutine had noted that the last request was sent; the iterator would then
// stand still until two heartbeats are missing, 10 s. Each turn makes good for
// that. The last one has no end, for only within it are heartbeats watched.
func next(msgs jetstream.MessagesContext) (jetstream.Msg, error) {
	for wait := 2 * time.Millisecond; wait < time.Second; wait *= 4 {
		msg, err := msgs.Next(jetstream.NextMaxWait(wait))
		if !errors.Is(err, nats.ErrTimeout) {
			return msg, err
		}
	}
	return msgs.Next()
}
