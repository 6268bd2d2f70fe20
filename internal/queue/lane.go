package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

const (
	pullExpiry = 10 * time.Second
	// stallPause is the wait before a lane whose fetching failed tries again.
	stallPause = time.Second
)

// Lane fetches one lane's commands.
type Lane struct {
	Name  commands.Lane
	Slots int // commands in work at once
	// Busy is told when a slot is taken (+1) and given back (-1); may be nil.
	Busy func(delta int)
	// Stalled is told of every failure to fetch; may be nil.
	Stalled func(err error)
}

// Run takes a slot, then asks for a command, then handles it, until take ends;
// what arrives after that is given back at once. It returns when every handler
// has returned. handle gets the context work and must end the message with Ack,
// Park or GiveBack; one that does not leaves it to come back when the lease
// ends.
func (q *Queue) Run(take, work context.Context, lane Lane, handle func(context.Context, *Message)) error {
	slots := make(chan struct{}, lane.Slots)
	var wg sync.WaitGroup
	defer wg.Wait()
	for take.Err() == nil {
		err := q.fetch(take, work, lane, slots, &wg, handle)
		if err == nil || take.Err() != nil {
			continue
		}
		if lane.Stalled != nil {
			lane.Stalled(err)
		}
		q.log.Warn("fetching commands stalled", "lane", lane.Name, "err", err)
		select {
		case <-time.After(stallPause):
		case <-take.Done():
		}
	}
	return nil
}

// fetch runs one iterator until take ends or the iterator fails.
func (q *Queue) fetch(take, work context.Context, lane Lane, slots chan struct{}, wg *sync.WaitGroup, handle func(context.Context, *Message)) error {
	cons, err := q.js.Consumer(take, q.prefix.Stream(streams.Commands), string(lane.Name))
	if err != nil {
		return fmt.Errorf("open lane %s: %w", lane.Name, err)
	}
	// One message a request, and a request only inside Next: a message that
	// waits in a buffer is losing its lease.
	msgs, err := cons.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return fmt.Errorf("open lane %s: %w", lane.Name, err)
	}
	defer msgs.Stop()
	stop := context.AfterFunc(take, msgs.Drain)
	defer stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-take.Done():
			// Fall through to Next without a slot: it hands out what had
			// already arrived, then reports the end.
		}
		msg, err := next(msgs)
		if err != nil {
			release(slots)
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return nil
			}
			return err
		}
		m, err := q.receive(msg)
		if err != nil || take.Err() != nil {
			release(slots)
			_ = msg.Nak()
			if err != nil {
				return err
			}
			continue
		}
		if lane.Busy != nil {
			lane.Busy(1)
		}
		wg.Go(func() {
			defer release(slots)
			if lane.Busy != nil {
				defer lane.Busy(-1)
			}
			q.parked.begin(m)
			defer q.parked.end(m)
			lease, cancel := context.WithCancel(work)
			defer cancel()
			wg.Go(func() { m.keep(lease) })
			handle(work, m)
		})
	}
}

// next is msgs.Next, asked a few times in short turns first. The client library
// (nats.go 1.55) leaves the request out when a message arrived before its own
// goroutine had noted that the last request was sent; the lane would then stand
// still until two heartbeats are missing, 10 s. Each turn makes good for that.
// The last one has no end, for only within it are heartbeats watched.
func next(msgs jetstream.MessagesContext) (jetstream.Msg, error) {
	for wait := 2 * time.Millisecond; wait < time.Second; wait *= 4 {
		msg, err := msgs.Next(jetstream.NextMaxWait(wait))
		if !errors.Is(err, nats.ErrTimeout) {
			return msg, err
		}
	}
	return msgs.Next()
}

// release gives a slot back, if one was taken.
func release(slots chan struct{}) {
	select {
	case <-slots:
	default:
	}
}

func (q *Queue) receive(msg jetstream.Msg) (*Message, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read delivery: %w", err)
	}
	call, action, err := q.prefix.CommandSubject(msg.Subject())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	m := &Message{
		Call: call, Action: action, Subject: msg.Subject(),
		Seq: meta.Sequence.Stream, Published: meta.Timestamp, Received: now, Deliveries: meta.NumDelivered,
		Header: msg.Headers(), Body: msg.Data(),
		msg: msg, queue: q, leaseEnd: now.Add(q.ackWait),
	}
	return m, nil
}
