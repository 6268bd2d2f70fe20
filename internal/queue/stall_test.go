package queue

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/natstest"
	"callbus/internal/streams"
)

// logged is what a queue wrote to its log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// openBehind is the queue of one more worker, behind a proxy, that looks often
// into lanes to which nothing comes.
func (s *site) openBehind(proxy *natstest.Proxy) (*Queue, *logged) {
	s.t.Helper()
	nc, err := nats.Connect(proxy.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	log := &logged{}
	q, err := New(s.t.Context(), js, s.prefix, s.ackWait, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		s.t.Fatal(err)
	}
	q.asking.LookEvery = 200 * time.Millisecond
	s.t.Cleanup(q.Close)
	return q, log
}

// start runs a lane whose commands are handed to handle; it returns where the
// lane's failures are told.
func (s *site) start(q *Queue, lane commands.Lane, slots int, handle func(*Message)) <-chan error {
	take, stop := context.WithCancel(s.t.Context())
	stalled, done := make(chan error, 100), make(chan error, 1)
	l := Lane{Name: lane, Slots: slots, Stalled: func(err error) { stalled <- err }}
	go func() {
		done <- q.Run(take, s.t.Context(), l, func(_ context.Context, m *Message) { handle(m) })
	}()
	s.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			s.t.Errorf("Run() = %v", err)
		}
	})
	return stalled
}

// TestALaneThatStallsIsOpenedAnew: the requests of a worker are lost, as they
// can be around a reconnect; commands are there, and its slots are free.
func TestALaneThatStallsIsOpenedAnew(t *testing.T) {
	s := setup(t, 15*time.Second)
	proxy := natstest.StartProxy(t, serverURL)
	q, log := s.openBehind(proxy)
	var lost atomic.Int64
	proxy.Judge(func(subject string) natstest.Fate {
		if strings.HasPrefix(subject, "$JS.API.CONSUMER.MSG.NEXT.") {
			lost.Add(1)
			return natstest.Swallow
		}
		return natstest.Pass
	})
	for range 3 {
		s.publish(call, commands.Mute, "x")
	}
	arrived := make(chan *Message, 10)
	stalled := s.start(q, commands.LaneControl, 2, func(m *Message) { _ = m.Ack(); arrived <- m })
	select {
	case err := <-stalled:
		if !errors.Is(err, streams.ErrStalled) || strings.Contains(err.Error(), "\n") {
			t.Errorf("told of %v; want one line that wraps ErrStalled", err)
		}
	case <-time.After(soon):
		t.Fatal("nobody was told that the lane has stalled")
	}
	if lost.Load() == 0 {
		t.Fatal("no request was lost; the test proves nothing")
	}
	proxy.Judge(nil)
	for range 3 {
		select {
		case m := <-arrived:
			if m.Deliveries != 1 {
				t.Errorf("command %d was delivered %d times; want once", m.Seq, m.Deliveries)
			}
		case <-time.After(2 * soon):
			t.Fatal("a command did not come")
		}
	}
	if n, told := strings.Count(log.String(), "fetching stalled"), len(stalled)+1; n != told {
		t.Errorf("%d warnings of %d stalls; want one each: %s", n, told, log)
	}
}

// TestALaneAtWorkHasNotStalled: commands are pending, or parked, and none of
// them is due to this worker.
func TestALaneAtWorkHasNotStalled(t *testing.T) {
	for _, row := range []struct {
		name   string
		handle func(*Message, <-chan struct{})
	}{
		{"all slots are busy and more is pending", func(m *Message, over <-chan struct{}) { <-over; m.GiveBack() }},
		{"everything is parked", func(m *Message, _ <-chan struct{}) { m.Park(time.Hour) }},
		{"the queue is empty", func(m *Message, _ <-chan struct{}) { _ = m.Ack() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := setup(t, 15*time.Second)
			q := s.open()
			q.asking.LookEvery = 50 * time.Millisecond
			for range 5 {
				s.publish(call, commands.Mute, "x")
			}
			over := make(chan struct{})
			stalled := s.start(q, commands.LaneControl, 2, func(m *Message) { row.handle(m, over) })
			select {
			case err := <-stalled:
				t.Errorf("told of %v; want nothing", err)
			case <-time.After(700 * time.Millisecond):
			}
			close(over)
		})
	}
}

// TestACutConnectionLosesNothing cuts the connections of two workers again and
// again while they work. What was in hand may come a second time, which the
// ledger is for.
func TestACutConnectionLosesNothing(t *testing.T) {
	s := setup(t, 3*time.Second)
	proxy := natstest.StartProxy(t, serverURL)
	const n = 500
	for range n {
		s.publish(call, commands.Mute, "x")
	}
	var mu sync.Mutex
	seen := map[uint64]int{}
	done := make(chan struct{})
	var cuts atomic.Int64
	for range 2 {
		q, _ := s.openBehind(proxy)
		s.start(q, commands.LaneControl, 8, func(m *Message) {
			mu.Lock()
			seen[m.Seq]++
			first, all := seen[m.Seq] == 1, len(seen)
			mu.Unlock()
			if first && all%60 == 30 {
				proxy.Cut()
				cuts.Add(1)
			}
			_ = m.Ack()
			if first && all == n {
				close(done)
			}
		})
	}
	select {
	case <-done:
	case <-time.After(6 * soon):
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("%d of %d commands came", len(seen), n)
	}
	q := s.open()
	q.until(t, func() bool {
		left, err := q.Next(t.Context(), call, 0)
		return err == nil && left == nil
	})
	if cuts.Load() < 5 {
		t.Errorf("%d cuts; the test proves less than it says", cuts.Load())
	}
}
