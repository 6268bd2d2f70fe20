package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// Lane fetches one lane's commands.
type Lane struct {
	Name  commands.Lane
	Slots int // commands in work at once
	// Busy is told when a slot is taken (+1) and given back (-1); may be nil.
	Busy func(delta int)
	// Held tells that whatever the lane has would only be parked: then it is
	// fetched from slowly. May be nil.
	Held func() bool
	// Stalled is told of every failure to fetch but a lost connection; may be nil.
	Stalled func(err error)
}

// Run takes a slot, then asks for a command, then handles it, until take ends;
// what arrives after that is given back at once. It returns when every handler
// has returned. handle gets the context work and must end the message with Ack,
// Park or GiveBack; one that does not leaves it to come back when the lease
// ends. A consumer that has stalled or is gone is opened anew: see
// [streams.Iterator].
func (q *Queue) Run(take, work context.Context, lane Lane, handle func(context.Context, *Message)) error {
	slots := make(chan struct{}, lane.Slots)
	var wg sync.WaitGroup
	defer wg.Wait()
	streams.Reopen(take, q.log.With("lane", lane.Name), func(opened func()) error {
		err := q.fetch(take, work, lane, opened, slots, &wg, handle)
		if take.Err() == nil && lane.Stalled != nil && !errors.Is(err, streams.ErrConnectionLost) {
			lane.Stalled(err)
		}
		return err
	})
	return nil
}

// fetch runs one iterator until take ends or the iterator fails.
func (q *Queue) fetch(take, work context.Context, lane Lane, opened func(), slots chan struct{}, wg *sync.WaitGroup, handle func(context.Context, *Message)) error {
	// One message a request, and a request only inside Next: a message that
	// waits in a buffer is losing its lease.
	it, err := streams.Open(take, q.js, q.prefix.Stream(streams.Commands), string(lane.Name), q.asking)
	if err != nil {
		return err
	}
	defer it.Close()
	opened()
	for {
		select {
		case slots <- struct{}{}:
		case <-take.Done():
			// Fall through to Next without a slot: it hands out what had
			// already arrived, then reports the end.
		}
		lane.pause(take)
		msg, err := it.Next()
		if err != nil {
			release(slots)
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

// A lane that is held is looked at every heldLook and gives one message all the
// same every heldMost: it may be of another scope, or expire.
const (
	heldLook = 5 * time.Millisecond
	heldMost = 100 * time.Millisecond
)

// pause waits while the lane is held, at most heldMost.
func (l Lane) pause(take context.Context) {
	if l.Held == nil {
		return
	}
	for waited := time.Duration(0); waited < heldMost && l.Held(); waited += heldLook {
		select {
		case <-time.After(heldLook):
		case <-take.Done():
			return
		}
	}
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
