package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go"
)

func TestAbsenceIsMeasuredOverAllRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a absence
		for _, step := range []struct {
			name  string
			after time.Duration
			ends  bool
			want  bool
		}{
			{"the first time", 0, false, false},
			{"a while later", 3 * time.Second, false, false},
			{"as long as is waited", 5 * time.Second, false, true},
			{"somebody else asks", 0, false, true},
			{"there was an answer meanwhile", time.Second, true, false},
			{"and again a while later", 4 * time.Second, false, false},
			{"an hour in which nobody asked is another absence", time.Hour, false, false},
		} {
			time.Sleep(step.after)
			if step.ends {
				a.ends()
			}
			if got := a.lasts(8 * time.Second); got != step.want {
				t.Errorf("%s: lasts() = %t; want %t", step.name, got, step.want)
			}
		}
	})
}

// absent tells whether nobody has listened for a while.
func (a *absence) absent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.since.IsZero()
}

// whenAbsent calls then once nobody was found listening, and the returned
// function waits until it has.
func whenAbsent(t *testing.T, a *absence, then func()) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for deadline := time.Now().Add(20 * time.Second); !a.absent(); <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("nobody was ever found listening; the test shows nothing")
				return
			}
		}
		then()
	}()
	return func() { <-done }
}

func TestCommandWaitsForAQueueThatHasNoLeaderForAMoment(t *testing.T) {
	b := newServer(t, nil)
	b.client.electionWait = 20 * time.Second
	wait := whenAbsent(t, &b.client.queue, func() {
		b.createStreams(0)
		b.work(ends(commands.Succeeded))
	})
	got, err := b.client.SendAndWait(within(t, 20*time.Second), Message{call, commands.Place, []byte(`{"id":"p1"}`)}, UntilFinal, nil, nil)
	wait()
	if err != nil || got.Status != commands.Succeeded {
		t.Errorf("SendAndWait() = %s, %v; want succeeded", got.Status, err)
	}
}

func TestLinesWaitForAQueueThatHasNoLeaderForAMoment(t *testing.T) {
	b := newServer(t, nil)
	b.client.electionWait = 20 * time.Second
	wait := whenAbsent(t, &b.client.queue, func() {
		b.createStreams(0)
		b.work(ends(commands.Succeeded))
	})
	var ended []Outcome
	outcomes := b.client.NewOutcomes(UntilFinal, func(o Outcome) { ended = append(ended, o) })
	err := b.client.SendLines(t.Context(), places("a", "b"), BulkOptions{Producer: "crm", Outcomes: outcomes, Retry: 20 * time.Second}, func(s Sent) {
		if s.Err != nil {
			t.Error(s.Err)
		}
	})
	wait()
	if missing := outcomes.Wait(within(t, 20*time.Second)); err != nil || len(missing) != 0 || len(ended) != 2 {
		t.Errorf("SendLines() = %v, %d outcomes, missing %v; want both", err, len(ended), missing)
	}
}

// places are lines that place calls.
func places(refs ...string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for i, ref := range refs {
			if !yield(Line{Number: i + 1, CallRef: ref, Action: commands.Place, ID: "p"}, nil) {
				return
			}
		}
	}
}

func TestWaitOutlastsAMomentWithoutAnybodyToRead(t *testing.T) {
	b := newServer(t, nil)
	b.client.electionWait = 20 * time.Second
	wait := whenAbsent(t, &b.client.records, func() {
		b.createStreams(0)
		b.result(commands.Result{Producer: "crm", CallRef: "order-1", CommandID: "p1", Status: commands.Succeeded}, "")
	})
	got, err := b.client.Wait(within(t, 20*time.Second), key("crm", "order-1", "p1"), UntilFinal, nil)
	wait()
	if err != nil || got.Status != commands.Succeeded {
		t.Errorf("Wait() = %s, %v; want succeeded", got.Status, err)
	}
}

func TestNobodyToReadIsToldAfterAWhile(t *testing.T) {
	b := newServer(t, nil)
	b.client.electionWait = 300 * time.Millisecond
	began := time.Now()
	_, err := b.client.Wait(within(t, 20*time.Second), key("crm", "order-1", "p1"), UntilFinal, nil)
	if !errors.Is(err, errNoDirectGet) || time.Since(began) < b.client.electionWait {
		t.Fatalf("Wait() = %v after %s; want that nobody answers, after %s", err, time.Since(began), b.client.electionWait)
	}
	for _, want := range []string{"is it there (worker provision)", "has it no leader"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Wait() = %v; want both possibilities, also that %q", err, want)
		}
	}
}

// TestManyLinesWaitForAMissingQueueTogether would take 14 s if each line waited
// by itself.
func TestManyLinesWaitForAMissingQueueTogether(t *testing.T) {
	b := newServer(t, nil)
	b.client.electionWait = 3 * time.Second
	refs := make([]string, 32)
	for i := range refs {
		refs[i] = fmt.Sprintf("order-%d", i)
	}
	began, refused := time.Now(), 0
	err := b.client.SendLines(t.Context(), places(refs...), BulkOptions{Producer: "crm", Window: 8, Retry: 20 * time.Second}, func(s Sent) {
		if r, ok := errors.AsType[*RefusedError](s.Err); ok && r.Why == NoStream && strings.Contains(s.Err.Error(), "has it no leader") {
			refused++
		}
	})
	if took := time.Since(began); err != nil || refused != len(refs) || took > 10*time.Second {
		t.Errorf("SendLines() = %v, %d of %d refused for want of a stream in %s; want all soon", err, refused, len(refs), took)
	}
}

// TestOutcomeThatCannotBeLookedUpIsNotBelieved lets a final record be heard that
// was never stored, while nobody can be asked.
func TestOutcomeThatCannotBeLookedUpIsNotBelieved(t *testing.T) {
	b := newServer(t, nil)
	heard := nats.NewMsg("calls.results.crm.order-1.p1")
	heard.Data, _ = json.Marshal(commands.Result{Producer: "crm", CallRef: "order-1", CommandID: "p1", Status: commands.Failed, Final: true})
	if got := b.client.confirm(context.Background(), heard); got != nil {
		t.Errorf("confirm() = %s; want nothing while nobody can be asked", got.Data)
	}
}
