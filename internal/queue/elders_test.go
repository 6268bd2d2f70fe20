package queue

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/commands"
)

// idOf takes the body for the id.
func idOf(q *Queued) string { return string(q.Body) }

func TestTwin(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	twin := func(seq uint64, id string) bool {
		t.Helper()
		is, err := q.Twin(t.Context(), &Message{Call: call, Seq: seq}, id, idOf)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	a, b := s.publish(call, commands.Place, "a"), s.publish(call, commands.Mute, "b")
	s.publish(other, commands.Mute, "c")
	again := s.publish(call, commands.Mute, "a")
	c := s.publish(call, commands.Mute, "c")
	third := s.publish(call, commands.Mute, "a")
	for _, row := range []struct {
		name string
		seq  uint64
		id   string
		want bool
	}{
		{"the first of its id", a, "a", false},
		{"another id", b, "b", false},
		{"another call's", c, "c", false},
		{"the second of its id", again, "a", true},
		{"the third of its id", third, "a", true},
		{"the first one again, after younger ones were seen", a, "a", false},
	} {
		if got := twin(row.seq, row.id); got != row.want {
			t.Errorf("%s: Twin() = %v; want %v", row.name, got, row.want)
		}
	}
	leave := func(seq uint64) {
		t.Helper()
		if err := q.Delete(t.Context(), call, seq); err != nil {
			t.Fatal(err)
		}
	}
	leave(a)
	if twin(again, "a") || !twin(third, "a") {
		t.Error("the first one has left: want the second one free, and the third one not")
	}
	leave(again)
	if twin(third, "a") {
		t.Error("both older ones have left: want the third one free")
	}
	q.elders.mu.Lock()
	q.elders.count = maxElders
	q.elders.mu.Unlock()
	if late := s.publish(call, commands.Mute, "c"); !twin(late, "c") || q.elders.count > 10 {
		t.Errorf("%d remembered when there were too many; want all forgotten, and what is queued found again", q.elders.count)
	}
}

func TestAQueueIsWalkedOnce(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	const n = 200
	var seqs []uint64
	for i := range n {
		seqs = append(seqs, s.publish(call, commands.Mute, fmt.Sprint(i)))
	}
	var asked atomic.Int64
	watching := s.connect().Conn()
	sub, err := watching.Subscribe("$JS.API.DIRECT.GET.>", func(m *nats.Msg) { asked.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	if err := watching.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{n - 1, 0, n / 2, n - 1, 7} {
		for j := i; j < n; j += 10 {
			if is, err := q.Twin(t.Context(), &Message{Call: call, Seq: seqs[j]}, fmt.Sprint(j), idOf); is || err != nil {
				t.Fatalf("Twin() = %v, %v; want false", is, err)
			}
		}
	}
	if err := watching.Flush(); err != nil { // what was asked has come here, too
		t.Fatal(err)
	}
	for n, _, _ := sub.Pending(); n > 0; n, _, _ = sub.Pending() {
		runtime.Gosched()
	}
	if got := asked.Load(); got == 0 || got > n {
		t.Errorf("%d requests for %d commands; want each asked for once at most", got, n)
	}
}

func TestWhatWasForgottenMeanwhileIsWalkedAgain(t *testing.T) {
	var e elders
	e.add(call, 0, 5, "a")
	e.calls, e.count = nil, 0 // forgotten while somebody read the next one
	e.add(call, 5, 6, "b")
	if got := e.upTo(call); got != 0 {
		t.Errorf("upTo() = %d; want 0: the first one is not remembered", got)
	}
	e.add(call, 0, 5, "a")
	e.add(call, 0, 5, "a") // another one was as fast
	if got := e.of(call, "a"); len(got) != 1 || e.count != 1 {
		t.Errorf("%d remembered, %d counted; want one", len(got), e.count)
	}
}
