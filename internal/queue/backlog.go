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
	// Runnable are those that nobody has looked at yet, that are in work, or
	// that have come back; parked ones wait for something else than a worker,
	// whichever worker parked them.
	Runnable int
	Oldest   time.Duration // age of the oldest command, 0 without one
}

// Backlogs asks the server, and the other workers what they have parked; it
// blocks for a request an action and lane, and one or two more.
//
// Pending and Oldest are exact. Runnable is what is unfinished less what is
// parked: exactly known here, but for the last second of a delay, which counts
// as over; of the others it is known what they said when they last called
// Backlogs. So it is too high for what they have parked since, or could not say
// because the bucket of gates is full or missing, and too low for what was
// brought back early since. What a worker said that was killed stays known: what
// it had not said yet counts as runnable, and what it had said does so at most an
// eighth of the delay too early. One that is deleted while it is parked goes on
// counting as parked if its worker is gone, until its delay would have passed.
// Where clocks differ, delays seem longer or shorter by that much.
func (q *Queue) Backlogs(ctx context.Context) (map[commands.Lane]Backlog, error) {
	others, err := q.share(ctx)
	if err != nil {
		q.log.Debug("what other workers have parked is not known", "err", err)
	}
	all := map[commands.Lane]Backlog{}
	for _, lane := range commands.Lanes {
		b, err := q.backlog(ctx, lane, others)
		if err != nil {
			return nil, fmt.Errorf("look at lane %s: %w", lane, err)
		}
		all[lane] = b
	}
	return all, nil
}

func (q *Queue) backlog(ctx context.Context, lane commands.Lane, others dues) (Backlog, error) {
	cons, err := q.js.Consumer(ctx, q.prefix.Stream(streams.Commands), string(lane))
	if err != nil {
		return Backlog{}, err
	}
	info, now := cons.CachedInfo(), time.Now()
	parked := q.parked.left(now).parked(lane, now) + others.parked(lane, now)
	b := Backlog{Pending: int(info.NumPending) + info.NumAckPending}
	b.Runnable = int(info.NumPending) + max(info.NumAckPending-parked, 0)
	for _, a := range commands.Actions {
		if a.Lane() != lane {
			continue
		}
		msg, err := q.stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(q.prefix.Command(commands.CallKey{Producer: "*", CallRef: "*"}, a)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return b, err
		}
		b.Oldest = max(b.Oldest, now.Sub(msg.Time))
	}
	return b, nil
}
