package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

func TestBacklog(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	want := func(name string, lane commands.Lane, pending, runnable int) {
		t.Helper()
		var b Backlog
		for deadline := time.Now().Add(soon); ; {
			all, err := q.Backlogs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b = all[lane]; b.Pending == pending && b.Runnable == runnable {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: Backlogs()[%s] = %+v; want %d pending, %d runnable", name, lane, b, pending, runnable)
			}
			<-time.After(5 * time.Millisecond)
		}
		if (b.Oldest > 0) != (pending > 0) || b.Oldest > time.Minute {
			t.Errorf("%s: oldest = %s with %d pending", name, b.Oldest, pending)
		}
	}
	want("empty", commands.LaneControl, 0, 0)
	for range 3 {
		s.publish(call, commands.Mute, "a")
	}
	s.publish(call, commands.Place, "p")
	want("published", commands.LaneControl, 3, 3)
	want("another lane", commands.LanePlace, 1, 1)
	w := s.work(q, commands.LaneControl, 3)
	a, b, c := w.next(soon), w.next(soon), w.next(soon)
	want("in work", commands.LaneControl, 3, 3)
	a.Park(time.Hour)
	want("one parked", commands.LaneControl, 3, 2)
	if err := b.Ack(); err != nil {
		t.Fatal(err)
	}
	// The hint of that brings the parked one back.
	back := w.next(soon)
	want("one done", commands.LaneControl, 2, 2)
	back.Park(time.Hour)
	c.Park(time.Hour) // hinted too: comes back
	w.next(soon).Park(time.Hour)
	want("all parked", commands.LaneControl, 2, 0)
	if err := q.Delete(t.Context(), call, back.Seq); err != nil {
		t.Fatal(err)
	}
	want("one deleted", commands.LaneControl, 1, 0)
}

// agree polls until all the workers' figures of the control lane are so. They
// are asked of each in turn, as its gauges ask, so that it also tells the others.
func agree(t *testing.T, name string, pending, runnable int, qs ...*Queue) {
	t.Helper()
	for deadline := time.Now().Add(soon); ; {
		right := true
		for i, q := range qs {
			all, err := q.Backlogs(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			b := all[commands.LaneControl]
			ok := b.Pending == pending && b.Runnable == runnable
			if right = right && ok; !ok && time.Now().After(deadline) {
				t.Fatalf("%s: worker %d says %d pending, %d runnable; want %d, %d", name, i, b.Pending, b.Runnable, pending, runnable)
			}
		}
		if right {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// parks has the worker take n new commands of calls of that name and park them,
// then take no more.
func (s *site) parks(q *Queue, name string, n int, d time.Duration) {
	s.t.Helper()
	w := s.work(q, commands.LaneControl, n)
	for i := range n {
		s.publish(commands.CallKey{Producer: "crm", CallRef: fmt.Sprintf("%s-%d", name, i)}, commands.Mute, "x")
	}
	held := make([]*Message, n)
	for i := range held {
		held[i] = w.next(soon)
	}
	w.close()
	for i, m := range held {
		if i%2 == 0 {
			m.Hold(d)
		} else {
			m.Park(d)
		}
	}
}

func TestEveryWorkerSaysTheSame(t *testing.T) {
	s := setup(t, 15*time.Second)
	a, b, c := s.open(), s.open(), s.open()
	s.parks(a, "a", 50, time.Hour)
	s.parks(b, "b", 30, 10*time.Minute)
	for range 20 {
		s.publish(other, commands.Mute, "new")
	}
	agree(t, "parked", 100, 20, a, b, c)
	// In work or not makes no difference.
	w := s.work(c, commands.LaneControl, 25)
	for range 20 {
		w.next(soon)
	}
	agree(t, "in work", 100, 20, a, b, c)
	// What another one parked is brought back, and parked here.
	first := commands.CallKey{Producer: "crm", CallRef: "a-1"}
	b.Hint(first)
	m := w.next(soon)
	if m.Call != first {
		t.Fatalf("%s came; want %s", m.Call, first)
	}
	agree(t, "one woken", 100, 21, a, b, c)
	m.Park(time.Hour)
	agree(t, "parked again", 100, 20, a, b, c)
	// A worker that comes later knows it too.
	agree(t, "new", 100, 20, s.open())
}

func TestWhatAKilledWorkerParkedStaysKnown(t *testing.T) {
	s := setup(t, 2*time.Second)
	a, b := s.open(), s.open()
	s.parks(b, "b", 30, time.Hour)
	s.parks(a, "a", 50, 4*time.Second)
	inHand := s.work(a, commands.LaneControl, 5)
	for range 5 {
		s.publish(other, commands.Unmute, "in the hands of a")
	}
	for range 5 {
		inHand.next(soon)
	}
	agree(t, "before", 85, 5, a, b)
	a.nc.Close() // kill -9
	agree(t, "after the kill", 85, 5, b)
	// The next worker has heard nothing from a. It takes what comes back, and
	// what a parked it parks again.
	c := s.open()
	agree(t, "the next after the kill", 85, 5, c)
	w := s.work(c, commands.LaneControl, 100)
	working := map[uint64]bool{}
	for again := 0; again < 50 || len(working) < 5; {
		m := w.next(2 * soon)
		if m.Call == other {
			working[m.Seq] = true
			continue
		}
		again++
		m.Park(time.Hour)
		all, err := b.Backlogs(t.Context())
		if n := all[commands.LaneControl].Runnable; err != nil || n > 55 {
			t.Errorf("%d runnable, %v; want no more than what the killed worker had", n, err)
		}
	}
	agree(t, "all has come back", 85, 5, b, c)
}

func TestWhatIsParkedIsKnownAfterARestartOfAll(t *testing.T) {
	s := setup(t, 15*time.Second)
	killed, stopped := s.open(), s.open()
	s.parks(killed, "a", 10, 72*time.Hour)
	s.parks(stopped, "b", 10, time.Hour)
	agree(t, "the first", 20, 0, killed, stopped)
	killed.nc.Close()
	stopped.Close() // hands over the five that a hint may bring back, and says so
	agree(t, "the next", 20, 5, s.open())
}

func TestADeletedCommandIsNotParked(t *testing.T) {
	s := setup(t, 15*time.Second)
	a, b := s.open(), s.open()
	w := s.work(a, commands.LaneControl, 4)
	for range 4 {
		s.publish(call, commands.Mute, "x")
	}
	var seqs []uint64
	for range 4 {
		m := w.next(soon)
		seqs = append(seqs, m.Seq)
		m.Park(time.Hour)
	}
	s.publish(other, commands.Mute, "in work")
	w.next(soon)
	agree(t, "before", 5, 1, a, b)
	for _, seq := range seqs[:3] { // a hang-up on another worker
		if err := b.Delete(t.Context(), call, seq); err != nil {
			t.Fatal(err)
		}
	}
	agree(t, "after the hang-up", 2, 1, a, b)
	w.quiet(100 * time.Millisecond) // that was no hint
}

func TestWithoutABoardAWorkerKnowsItsOwn(t *testing.T) {
	s := setup(t, 15*time.Second)
	a, b := s.open(), s.open()
	s.parks(a, "a", 3, time.Hour)
	s.parks(b, "b", 2, time.Hour)
	agree(t, "the first", 5, 2, a)
	agree(t, "the second", 5, 0, b)
	if err := s.js.DeleteKeyValue(t.Context(), a.boardBucket()); err != nil {
		t.Fatal(err)
	}
	agree(t, "which has heard nothing", 5, 2, a)
	agree(t, "which has", 5, 0, b)
	if _, err := s.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: a.boardBucket()}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.Publish(t.Context(), a.boardSubject(), []byte("{")); err != nil {
		t.Fatal(err)
	}
	agree(t, "again", 5, 0, a, b)
}

// BenchmarkBacklogs is what a worker does every few seconds: 10,000 are parked
// here, and ten other workers have told of theirs.
func BenchmarkBacklogs(b *testing.B) {
	s := setup(b, 15*time.Second)
	q := s.open()
	now := time.Now()
	for i := range 10_000 {
		q.parked.dues.add(commands.LaneControl, now.Unix()+int64(i%60)+600, 1)
	}
	for range 10 {
		o := s.open()
		for i := range 60 {
			o.parked.dues.add(commands.LanePlace, now.Unix()+int64(i)+600, 100)
		}
		if _, err := o.Backlogs(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		q.parked.dues.add(commands.LaneControl, now.Unix()+700, 1) // something to tell
		if _, err := q.Backlogs(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
