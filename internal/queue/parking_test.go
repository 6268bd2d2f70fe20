package queue

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

func TestAHintBringsTheOldestParkedCommandBack(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	w := s.work(q, commands.LaneControl, 3)
	old, young, another := s.publish(call, commands.Mute, "a"), s.publish(call, commands.Unmute, "b"), s.publish(other, commands.Mute, "c")
	for range 3 {
		w.next(soon).Park(time.Hour)
	}
	s.open().Hint(call) // from another worker
	m := w.next(soon)
	if m.Seq != old || m.Deliveries != 2 {
		t.Fatalf("command %d came the %d. time; want the oldest, %d, a second time", m.Seq, m.Deliveries, old)
	}
	w.quiet(100 * time.Millisecond)
	// Its leaving the queue is the next hint.
	if err := m.Ack(); err != nil {
		t.Fatal(err)
	}
	if m := w.next(soon); m.Seq != young {
		t.Errorf("command %d came; want the next one, %d, and not the other call's, %d", m.Seq, young, another)
	} else {
		_ = m.Ack()
	}
	w.quiet(100 * time.Millisecond)
}

func TestParkedCommandsComeBackByThemselves(t *testing.T) {
	s := setup(t, 15*time.Second)
	w := s.work(s.open(), commands.LaneControl, 1)
	s.publish(call, commands.Mute, "a")
	begun := time.Now()
	w.next(soon).Park(200 * time.Millisecond)
	m := w.next(soon)
	if took := time.Since(begun); took < 200*time.Millisecond {
		t.Errorf("came back after %s; want not before 200ms", took)
	}
	_ = m.Ack()
}

func TestAHintDuringTheWorkShortensThePark(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	w := s.work(q, commands.LaneControl, 1)
	s.publish(call, commands.Mute, "a")
	m := w.next(soon)
	q.Hint(call)
	q.until(t, func() bool { q.parked.mu.Lock(); defer q.parked.mu.Unlock(); return m.hinted })
	m.Park(time.Hour)
	m = w.next(soon)
	m.Park(time.Hour) // nothing has moved since
	w.quiet(100 * time.Millisecond)
}

func TestACommandThatIsNotDueTakesNoHint(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	w := s.work(q, commands.LaneControl, 2)
	s.publish(call, commands.Mute, "due tomorrow")
	young := s.publish(call, commands.Unmute, "b")
	first, second := w.next(soon), w.next(soon)
	if first.Seq == young {
		first, second = second, first
	}
	q.Hint(call)
	q.until(t, func() bool { q.parked.mu.Lock(); defer q.parked.mu.Unlock(); return first.hinted })
	first.Hold(time.Hour)
	w.quiet(100 * time.Millisecond)
	second.Park(time.Hour) // hinted too: comes back
	second = w.next(soon)
	second.Park(time.Hour)
	q.Hint(call)
	if m := w.next(soon); m.Seq != young {
		t.Errorf("command %d came; want %d, which the hint is for", m.Seq, young)
	}
}

func TestDeletedWhileParkedIsNotDeliveredAgain(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	w := s.work(q, commands.LaneControl, 1)
	seq := s.publish(call, commands.Mute, "a")
	w.next(soon).Park(50 * time.Millisecond)
	if err := q.Delete(t.Context(), call, seq); err != nil {
		t.Fatal(err)
	}
	q.Hint(call)
	w.quiet(300 * time.Millisecond)
}

func TestParkingIsBounded(t *testing.T) {
	p := newParking()
	q := &Queue{nc: &nats.Conn{}}
	m := func(seq uint64) *Message {
		return &Message{Call: call, Action: commands.Mute, Seq: seq, queue: q, msg: silentMsg{}}
	}
	p.mu.Lock()
	for seq := range uint64(3) {
		p.addLocked(m(seq), time.Now().Add(time.Hour), false)
	}
	p.addLocked(m(1), time.Now().Add(time.Hour), false) // again
	if p.count != 3 || len(p.calls[call]) != 3 {
		t.Errorf("parked %d, %d; want 3, the same one once", p.count, len(p.calls[call]))
	}
	p.count = maxParked
	p.addLocked(m(9), time.Now().Add(time.Hour), false)
	if len(p.calls[call]) != 3 {
		t.Errorf("%d parked beyond the bound; want the new one forgotten", len(p.calls[call]))
	}
	if n := p.dues.parked(commands.LaneControl, time.Now()); n != 4 {
		t.Errorf("%d parked by the count; want 4, the forgotten one too", n)
	}
	p.count = 3
	// What has come back by itself makes room.
	for i := range p.calls[call] {
		p.calls[call][i].until = time.Now()
	}
	p.sweepLocked(time.Now())
	if p.count != 0 || len(p.calls) != 0 {
		t.Errorf("%d parked, %d calls after all delays; want nothing kept", p.count, len(p.calls))
	}
	p.mu.Unlock()
}

func TestNothingIsKeptOfEndedWork(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	w := s.work(q, commands.LaneControl, 4)
	for range 2 {
		s.publish(call, commands.Mute, "a")
		s.publish(other, commands.Mute, "b") // not woken by the first one's end
	}
	for range 4 {
		if m := w.next(soon); m.Call == other {
			m.Park(time.Hour)
		} else if err := m.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	q.until(t, func() bool { q.parked.mu.Lock(); defer q.parked.mu.Unlock(); return len(q.parked.working) == 0 })
	now := time.Now()
	if n := q.parked.left(now).parked(commands.LaneControl, now); n != 2 {
		t.Errorf("%d parked; want 2", n)
	}
	if n := q.parked.left(now).parked(commands.LanePlace, now); n != 0 {
		t.Errorf("%d parked in another lane; want none", n)
	}
}

// silentMsg is a message whose fate no server is told.
type silentMsg struct{ jetstream.Msg }

func (silentMsg) Reply() string { return "" }

// until polls for what comes of itself.
func (q *Queue) until(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("not in time")
		}
		<-time.After(time.Millisecond)
	}
}
