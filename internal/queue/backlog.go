package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// Backlog is what lies in one lane.
type Backlog struct {
	Pending int // commands in the queue, parked ones included
	// Runnable are those that nobody has looked at yet or that are in work;
	// parked ones wait for something else than a worker.
	Runnable int
	Oldest   time.Duration // age of the oldest command, 0 without one
}

// Backlog asks the server; it blocks for a request an action of the lane.
func (q *Queue) Backlog(ctx context.Context, lane commands.Lane) (Backlog, error) {
	cons, err := q.js.Consumer(ctx, q.prefix.Stream(streams.Commands), string(lane))
	if err != nil {
		return Backlog{}, fmt.Errorf("look at lane %s: %w", lane, err)
	}
	info := cons.CachedInfo()
	b := Backlog{Pending: int(info.NumPending) + info.NumAckPending}
	b.Runnable = int(info.NumPending) + max(info.NumAckPending-q.parked.len(lane), 0)
	now := time.Now()
	for _, a := range commands.Actions {
		if a.Lane() != lane {
			continue
		}
		msg, err := q.stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(q.prefix.Command(commands.CallKey{Producer: "*", CallRef: "*"}, a)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return b, fmt.Errorf("look at lane %s: %w", lane, err)
		}
		b.Oldest = max(b.Oldest, now.Sub(msg.Time))
	}
	return b, nil
}
