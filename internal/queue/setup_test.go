package queue

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/natstest"
	"callbus/internal/streams"
)

// serverURL is one server for the whole package; every test has streams of its
// own on it, under a prefix of its own.
var serverURL string

func TestMain(m *testing.M) { natstest.Main(m, &serverURL) }

var prefixes atomic.Int64

// site is one installation, on which a test opens as many queues as it has
// workers.
type site struct {
	t       testing.TB
	prefix  commands.Prefix
	ackWait time.Duration
	js      jetstream.JetStream
}

func setup(t testing.TB, ackWait time.Duration) *site {
	t.Helper()
	s := &site{t: t, prefix: commands.Prefix(fmt.Sprintf("q%d", prefixes.Add(1))), ackWait: ackWait}
	s.js = s.connect()
	o := streams.DefaultOptions()
	o.Prefix, o.AckWait, o.CommandsMaxBytes = s.prefix, ackWait, 1<<20
	if _, err := streams.Provision(t.Context(), s.js, o, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) connect() jetstream.JetStream {
	s.t.Helper()
	nc, err := nats.Connect(serverURL)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// open is the queue of one more worker, with a connection of its own.
func (s *site) open() *Queue {
	s.t.Helper()
	q, err := New(s.t.Context(), s.connect(), s.prefix, s.ackWait, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(q.Close)
	return q
}

var (
	call  = commands.CallKey{Producer: "crm", CallRef: "order-1"}
	other = commands.CallKey{Producer: "crm", CallRef: "order-2"}
)

// publish puts a command into the queue and returns its sequence.
func (s *site) publish(c commands.CallKey, a commands.Action, body string) uint64 {
	s.t.Helper()
	ack, err := s.js.Publish(s.t.Context(), s.prefix.Command(c, a), []byte(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return ack.Sequence
}

// worker runs one lane and hands every delivery to the test.
type worker struct {
	t        testing.TB
	q        *Queue
	arrived  chan *Message
	stop     context.CancelFunc
	ended    chan error
	released chan struct{} // closed: handlers return
}

// work runs a lane; each handler stays until the test lets it go.
func (s *site) work(q *Queue, lane commands.Lane, slots int) *worker {
	take, stop := context.WithCancel(s.t.Context())
	w := &worker{t: s.t, q: q, arrived: make(chan *Message, 100), stop: stop, ended: make(chan error, 1), released: make(chan struct{})}
	go func() {
		w.ended <- q.Run(take, s.t.Context(), Lane{Name: lane, Slots: slots}, func(_ context.Context, m *Message) {
			w.arrived <- m
			m.mu.Lock()
			for !m.done { // the test ends the message, or all of them
				m.mu.Unlock()
				select {
				case <-w.released:
					return
				case <-time.After(time.Millisecond):
				}
				m.mu.Lock()
			}
			m.mu.Unlock()
		})
	}()
	s.t.Cleanup(w.close)
	return w
}

// close stops the worker and waits for it.
func (w *worker) close() {
	w.stop()
	select {
	case <-w.released:
		return // closed before
	default:
	}
	close(w.released)
	if err := <-w.ended; err != nil {
		w.t.Errorf("Run() = %v", err)
	}
}

// next is the next delivery.
func (w *worker) next(within time.Duration) *Message {
	w.t.Helper()
	select {
	case m := <-w.arrived:
		return m
	case <-time.After(within):
		w.t.Fatalf("nothing was delivered within %s", within)
		return nil
	}
}

// quiet asserts that nothing is delivered for a while.
func (w *worker) quiet(d time.Duration) {
	w.t.Helper()
	select {
	case m := <-w.arrived:
		w.t.Fatalf("command %d was delivered, the %d. time; want none for %s", m.Seq, m.Deliveries, d)
	case <-time.After(d):
	}
}

const soon = 10 * time.Second
