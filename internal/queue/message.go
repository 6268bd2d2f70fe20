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
)

// Message is one delivered command, leased to this worker.
type Message struct {
	Call       commands.CallKey
	Action     commands.Action
	Subject    string
	Seq        uint64    // stream sequence: the order of publication
	Published  time.Time // server time
	Received   time.Time
	Deliveries uint64
	Header     nats.Header
	Body       []byte

	msg    jetstream.Msg
	queue  *Queue
	hinted bool // guarded by queue.parked.mu

	mu       sync.Mutex
	leaseEnd time.Time
	done     bool
}

// LeaseEnd is when the server may hand the message to another worker.
func (m *Message) LeaseEnd() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leaseEnd
}

// ErrLapsed says that the lease had ended before it could be renewed.
var ErrLapsed = errors.New("the lease has ended")

// Renew extends the lease and returns its new end. It blocks until the server
// has said yes; on an error the lease ends when it ended before. A lease that
// has ended stays so, and a yes that comes after its end counts for nothing:
// the server says it for any delivery of the message, also for one that has
// gone to another worker meanwhile.
func (m *Message) Renew(ctx context.Context) (time.Time, error) {
	asked, end := time.Now(), m.LeaseEnd()
	if !asked.Before(end) {
		return end, fmt.Errorf("renew lease: %w", ErrLapsed)
	}
	if _, err := m.queue.nc.RequestWithContext(ctx, m.msg.Reply(), []byte("+WPI")); err != nil {
		return end, fmt.Errorf("renew lease: %w", err)
	}
	if !time.Now().Before(end) {
		return end, fmt.Errorf("renew lease: %w", ErrLapsed)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if end = asked.Add(m.queue.ackWait); end.After(m.leaseEnd) {
		m.leaseEnd = end
	}
	return m.leaseEnd, nil
}

// Ack takes the command out of the queue: what became of it is stored.
func (m *Message) Ack() error {
	m.finish()
	if err := m.msg.Ack(); err != nil {
		return fmt.Errorf("ack: %w", err)
	}
	m.queue.Hint(m.Call)
	return nil
}

// Abandon leaves the command to whoever has it now: nothing is told to the
// server, which would take a word about an old delivery for one about the new.
func (m *Message) Abandon() { m.finish() }

// GiveBack hands the command to whichever worker asks next.
func (m *Message) GiveBack() {
	m.finish()
	_ = m.msg.Nak() // unanswered it comes back when the lease ends
}

// Park brings the command back after d, or earlier when something about its
// call moves.
func (m *Message) Park(d time.Duration) {
	m.finish()
	m.queue.parked.park(m, d, false)
}

// Hold brings a command that is not due back after d and not earlier: younger
// commands of its call go before it, and a hint is theirs.
func (m *Message) Hold(d time.Duration) {
	m.finish()
	m.queue.parked.park(m, d, true)
}

// finish stops the renewal of the lease.
func (m *Message) finish() {
	m.mu.Lock()
	m.done = true
	m.mu.Unlock()
}

// keep renews the lease every third of it until ctx ends.
func (m *Message) keep(ctx context.Context) {
	tick := time.NewTicker(m.queue.ackWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m.mu.Lock()
		done := m.done
		m.mu.Unlock()
		if done {
			return
		}
		renew, cancel := context.WithTimeout(ctx, m.queue.ackWait/3)
		_, _ = m.Renew(renew) // the lease then ends by itself, and whoever relies on it looks at LeaseEnd
		cancel()
	}
}
