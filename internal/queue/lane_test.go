package queue

import (
	"context"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"
)

func TestLanesAreApart(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	urgent, control, place := s.work(q, commands.LaneUrgent, 2), s.work(q, commands.LaneControl, 2), s.work(q, commands.LanePlace, 2)
	for _, a := range commands.Actions {
		seq := s.publish(call, a, "x")
		w := map[commands.Lane]*worker{commands.LaneUrgent: urgent, commands.LaneControl: control, commands.LanePlace: place}[a.Lane()]
		m := w.next(soon)
		if m.Seq != seq || m.Action != a || m.Call != call || m.Deliveries != 1 || string(m.Body) != "x" || m.LeaseEnd().Before(time.Now().Add(10*time.Second)) {
			t.Errorf("delivery = %+v; want the %s %d", m, a, seq)
		}
		if err := m.Ack(); err != nil {
			t.Error(err)
		}
	}
}

func TestSlotsBoundWhatIsInWork(t *testing.T) {
	s := setup(t, 15*time.Second)
	w := s.work(s.open(), commands.LaneControl, 2)
	for range 3 {
		s.publish(call, commands.Mute, "x")
	}
	first, _ := w.next(soon), w.next(soon)
	w.quiet(100 * time.Millisecond)
	if err := first.Ack(); err != nil {
		t.Fatal(err)
	}
	if m := w.next(soon); m.Deliveries != 1 {
		t.Errorf("third command was delivered before, %d times: it waited in a buffer", m.Deliveries)
	}
}

func TestTheLeaseIsRenewedWhileACommandIsInWork(t *testing.T) {
	const ackWait = 300 * time.Millisecond
	s := setup(t, ackWait)
	slow := s.work(s.open(), commands.LaneControl, 1)
	s.publish(call, commands.Mute, "x")
	m := slow.next(soon)
	first := m.LeaseEnd()
	idle := s.work(s.open(), commands.LaneControl, 1)
	idle.quiet(4 * ackWait)
	if end := m.LeaseEnd(); !end.After(first.Add(2 * ackWait)) {
		t.Errorf("lease ends at %v; want it renewed again and again since %v", end, first)
	}
	if err := m.Ack(); err != nil {
		t.Fatal(err)
	}
	idle.quiet(2 * ackWait)
}

// A handler that ends without a word
// leaves the command to come back.
func TestACommandThatNobodyEndedComesBack(t *testing.T) {
	const ackWait = 300 * time.Millisecond
	s := setup(t, ackWait)
	q := s.open()
	var once sync.Once
	again := make(chan *Message, 1)
	take, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- q.Run(take, t.Context(), Lane{Name: commands.LaneControl, Slots: 1}, func(_ context.Context, m *Message) {
			lost := false
			once.Do(func() { lost = true })
			if !lost {
				_ = m.Ack()
				again <- m
			}
		})
	}()
	s.publish(call, commands.Mute, "x")
	select {
	case m := <-again:
		if m.Deliveries != 2 {
			t.Errorf("delivered the %d. time; want the second", m.Deliveries)
		}
	case <-time.After(soon):
		t.Error("the command did not come back")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRenewFailsWithoutTheServersYes(t *testing.T) {
	s := setup(t, 15*time.Second)
	w := s.work(s.open(), commands.LaneControl, 1)
	s.publish(call, commands.Mute, "x")
	m := w.next(soon)
	before := m.LeaseEnd()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if end, err := m.Renew(ctx); err == nil || !end.Equal(before) {
		t.Errorf("Renew() = %v, %v; want an error and the lease as it was, %v", end, err, before)
	}
	if end, err := m.Renew(t.Context()); err != nil || !end.After(before) {
		t.Errorf("Renew() = %v, %v; want a later end than %v", end, err, before)
	}
	_ = m.Ack()
}

// TestStopHandsBackAtOnce: what was fetched and not begun, and what the handler
// gives back, is another worker's within a moment, not after the lease.
func TestStopHandsBackAtOnce(t *testing.T) {
	s := setup(t, time.Minute)
	first := s.work(s.open(), commands.LaneControl, 4)
	const n = 8
	for range n {
		s.publish(call, commands.Mute, "x")
	}
	held := []*Message{first.next(soon), first.next(soon), first.next(soon), first.next(soon)}
	first.stop()
	for _, m := range held {
		m.GiveBack()
	}
	first.close()
	second := s.work(s.open(), commands.LaneControl, n)
	begun := time.Now()
	seen := map[uint64]bool{}
	for range n {
		m := second.next(soon)
		seen[m.Seq] = true
		if err := m.Ack(); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != n {
		t.Errorf("%d different commands came; want %d", len(seen), n)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("took %s; want a moment", took)
	}
}

func TestRunReportsAStalledLaneAndGoesOn(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	name := s.prefix.Stream("COMMANDS")
	cons, err := s.js.Consumer(t.Context(), name, string(commands.LaneControl))
	if err != nil {
		t.Fatal(err)
	}
	stalled, arrived := make(chan error, 10), make(chan *Message, 1)
	var busy []int
	take, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- q.Run(take, t.Context(), Lane{
			Name: commands.LaneControl, Slots: 1, Busy: func(d int) { busy = append(busy, d) }, Stalled: func(err error) { stalled <- err },
		}, func(_ context.Context, m *Message) { _ = m.Ack(); arrived <- m })
	}()
	s.publish(call, commands.Mute, "a")
	<-arrived
	q.until(t, func() bool { // asks for the next one
		info, err := cons.Info(t.Context())
		return err == nil && info.NumWaiting == 1
	})
	if err := s.js.DeleteConsumer(t.Context(), name, string(commands.LaneControl)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stalled:
	case <-time.After(soon):
		t.Error("nobody was told that the lane has stalled")
	}
	if _, err := s.js.CreateConsumer(t.Context(), name, cons.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	s.publish(call, commands.Mute, "b")
	select {
	case <-arrived:
	case <-time.After(2 * soon):
		t.Error("the lane did not go on")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(busy) != 4 || busy[0]+busy[1]+busy[2]+busy[3] != 0 {
		t.Errorf("slots taken and given back: %v; want two of each", busy)
	}
}
