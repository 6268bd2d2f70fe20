package queue

import (
	"context"
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

// Renew extends the lease and returns its new end. It blocks until the server
// has said yes; on an error the lease ends when it ended before.
func (m *Message) Renew(ctx context.Context) (time.Time, error) {
	asked := time.Now()
	reply, err := m.queue.nc.RequestWithContext(ctx, m.msg.Reply(), []byte("+WPI"))
	if err != nil {
		return m.LeaseEnd(), fmt.Errorf("renew lease: %w", err)
	}
	_ = reply
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaseEnd = asked.Add(m.queue.ackWait)
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
