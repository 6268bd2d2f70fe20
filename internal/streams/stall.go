package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrStalled says that the server has messages for an iterator, or does not
// know of its request, and that nothing comes.
var ErrStalled = errors.New("consumer has stalled")

// ErrConnectionLost says that the connection to the server was lost, and the
// request with it. The client library would renew the request in the same
// iterator (nats.go 1.55), beside one that it may still hold in its buffer; two
// messages then come where there is room for one, and what is dropped is not
// delivered again before its lease has ended.
var ErrConnectionLost = errors.New("connection lost")

// watch ends the iterator when the connection is lost, the consumer is gone or
// it has stalled. A client
// and its server can come to disagree on whether a request stands: the request
// or its answer was lost with a connection, the consumer's leader moved or its
// server shut down, or the note that the connection is back was lost. The
// server's heartbeats show some of that and not all, and none of it when they
// go on. So after a wait of a while the server is asked what it thinks, one
// request; and once more a fifth of that later if it thinks otherwise than we
// do, for a message that has just come and a request that has just been renewed
// look the same for a moment. Nothing is asked while messages come or nobody
// waits for one.
func (it *Iterator) watch(ctx context.Context, nc *nats.Conn, lost <-chan nats.Status, every time.Duration) {
	tick := time.NewTicker(every / 5)
	defer tick.Stop()
	var suspected, asked int64 // the wait that was found wanting, and when the server was asked last
	for {
		select {
		case <-ctx.Done():
			return
		case <-lost:
			it.verdict.Store(&ErrConnectionLost)
			it.msgs.Stop()
			return
		case <-tick.C:
		}
		since, now := it.since.Load(), time.Now().UnixNano()
		if since == 0 || now-since < int64(every) {
			continue
		}
		if suspected != since && now-asked < int64(every) {
			continue
		}
		asked = now
		why, err := it.ask(ctx, nc, every)
		switch {
		case err != nil:
			it.end(err)
			return
		case why == "":
			suspected = 0
		case suspected != since:
			suspected = since
		case it.since.Load() == since:
			it.end(fmt.Errorf("%s: %w: nothing came for %s, but %s", it.name, ErrStalled, time.Duration(now-since).Round(time.Second/10), why))
			return
		}
	}
}

// ask returns what speaks against the belief that a request stands and that
// there is nothing to hand out, or an error when the consumer is gone. When the
// server does not answer there is nothing to say: the connection is looked
// after elsewhere.
func (it *Iterator) ask(ctx context.Context, nc *nats.Conn, within time.Duration) (string, error) {
	if !nc.IsConnected() {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	info, err := it.cons.Info(ctx)
	if err != nil {
		if gone := missing(it.cons.CachedInfo().Stream, it.cons.CachedInfo().Name, err); gone != err {
			return "", gone
		}
		return "", nil
	}
	return owed(info), nil
}

// owed tells what a consumer with a standing request owes it. Messages that
// were delivered and not acknowledged are no sign: parked ones are among them,
// and nothing tells them from those that are due. But those that are due go to
// any request that stands, so they are owed when there is none.
func owed(info *jetstream.ConsumerInfo) string {
	limit := info.Config.MaxAckPending
	switch {
	case info.NumWaiting == 0:
		return "the server knows of no request"
	case info.Paused, limit > 0 && info.NumAckPending >= limit:
		return "" // held back on purpose
	case info.NumPending > 0:
		return fmt.Sprintf("%d messages are pending", info.NumPending)
	}
	return ""
}

// end makes Next hand out what has arrived meanwhile and then report err.
func (it *Iterator) end(err error) {
	it.verdict.Store(&err)
	it.msgs.Drain()
}
