// Package queue is the command queue as a worker sees it: three lanes fetched
// slot first, the oldest command of a call, leases, and parking with an early
// wake-up.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// Queue reads the commands stream. Make it with New, close it with Close.
type Queue struct {
	prefix  commands.Prefix
	js      jetstream.JetStream
	nc      *nats.Conn
	stream  jetstream.Stream
	ackWait time.Duration
	log     *slog.Logger
	parked  *parking
	elders  elders
	hints   *nats.Subscription
	asking  streams.Asking // one message in a request
	name    string         // among those that share what they have parked; of this process alone

	sharing sync.Mutex
	others  dues // what the others had parked when they were last asked
}

// New opens the queue, which must exist, and listens for hints.
func New(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, ackWait time.Duration, log *slog.Logger) (*Queue, error) {
	var s jetstream.Stream
	err := streams.AwaitLeader(ctx, nil, func(ctx context.Context) (err error) {
		s, err = js.Stream(ctx, prefix.Stream(streams.Commands))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open command queue: %w", err)
	}
	q := &Queue{prefix: prefix, js: js, nc: js.Conn(), stream: s, ackWait: ackWait, log: log.With("component", "queue"), parked: newParking(), name: nuid.Next()}
	q.hints, err = q.nc.Subscribe(prefix.Hint(commands.CallKey{Producer: "*", CallRef: "*"}), func(m *nats.Msg) {
		parts := strings.Split(m.Subject, ".")
		if len(parts) != 4 {
			return
		}
		call := commands.CallKey{Producer: parts[2], CallRef: parts[3]}
		if seq, err := strconv.ParseUint(string(m.Data), 10, 64); err == nil {
			q.parked.forget(call, seq)
			return
		}
		q.parked.wake(call, time.Now())
	})
	if err != nil {
		return nil, fmt.Errorf("listen for hints: %w", err)
	}
	return q, nil
}

// Close stops listening for hints and hands over what this worker has parked,
// and the knowledge of what stays parked; that blocks for a second at most.
// Call it when no lane runs any more and before the connection is closed.
func (q *Queue) Close() {
	_ = q.hints.Unsubscribe()
	q.parked.release(time.Now())
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = q.share(ctx)
}

// Hint tells all workers that something about the call has moved, so that its
// parked commands are looked at again. Lost hints cost only time.
func (q *Queue) Hint(c commands.CallKey) { _ = q.nc.Publish(q.prefix.Hint(c), nil) }

// Wake does on this worker alone what a hint does on all, and reports whether it
// had a command of the call.
func (q *Queue) Wake(c commands.CallKey) bool { return q.parked.wake(c, time.Now()) }

// Parked is about how many commands this worker has parked.
func (q *Queue) Parked() int { return q.parked.total() }

// Reply sends a copy to a producer's inbox, at most once, without waiting.
func (q *Queue) Reply(subject string, body []byte) { _ = q.nc.Publish(subject, body) }

// Queued is one command as it lies in the queue.
type Queued struct {
	Action  commands.Action
	Subject string
	Seq     uint64
	Time    time.Time
	Header  nats.Header
	Body    []byte
}

// Next returns the call's first queued command at or after seq, nil when there
// is none. Any replica may answer: it can show a command that has just left,
// and miss one that has just come.
func (q *Queue) Next(ctx context.Context, c commands.CallKey, seq uint64) (*Queued, error) {
	msg, err := q.stream.GetMsg(ctx, max(seq, 1), jetstream.WithGetMsgSubject(q.prefix.Commands(c)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up queue of %s: %w", c, err)
	}
	_, action, err := q.prefix.CommandSubject(msg.Subject)
	if err != nil {
		return nil, err
	}
	return &Queued{Action: action, Subject: msg.Subject, Seq: msg.Sequence, Time: msg.Time, Header: msg.Header, Body: msg.Data}, nil
}

// Head tells whether the message is the oldest of its call that still matters.
// passed says which older ones do not: those with an accepted or final record,
// and those that are not due. When it is not the head, blocker is the sequence
// that stands before it, or 0 when the message itself is not to be seen, on a
// stale replica or because it has left.
func (q *Queue) Head(ctx context.Context, m *Message, passed func(context.Context, *Queued) (bool, error)) (head bool, blocker uint64, err error) {
	for seq := uint64(1); ; {
		first, err := q.Next(ctx, m.Call, seq)
		if err != nil {
			return false, 0, err
		}
		switch {
		case first == nil || first.Seq > m.Seq:
			return false, 0, nil
		case first.Seq == m.Seq:
			return true, 0, nil
		}
		ok, err := passed(ctx, first)
		if err != nil || !ok {
			return false, first.Seq, err
		}
		seq = first.Seq + 1
	}
}

// Delete removes a command of the call from the queue by its sequence; one that
// has already left is no error.
func (q *Queue) Delete(ctx context.Context, c commands.CallKey, seq uint64) error {
	if err := q.delete(ctx, seq); err != nil {
		return fmt.Errorf("delete command %d: %w", seq, err)
	}
	q.gone(c, seq)
	return nil
}

func (q *Queue) delete(ctx context.Context, seq uint64) error {
	err := q.stream.DeleteMsg(ctx, seq)
	if err == nil || errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	// The server has no code of its own for "that sequence is gone".
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeMessageNotFound || strings.Contains(api.Description, "no message found") || strings.Contains(api.Description, "not found")) {
		return nil
	}
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, get := q.stream.GetMsg(ctx, seq); errors.Is(get, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return err
}
