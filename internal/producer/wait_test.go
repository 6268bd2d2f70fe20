package producer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

func TestSendAndWaitShowsEveryRecordUpToTheLast(t *testing.T) {
	story := func(delivered) []commands.Result {
		return []commands.Result{{Status: commands.Waiting, Reason: "throttled"}, {Status: commands.Started}, {Status: commands.Accepted}, {Status: commands.Succeeded}}
	}
	tests := []struct {
		name  string
		until Until
		story func(delivered) []commands.Result
		body  string
		want  []commands.Status
	}{
		{"until it is final", UntilFinal, story, `{"id":"p1"}`, []commands.Status{commands.Waiting, commands.Started, commands.Accepted, commands.Succeeded}},
		{"until it is accepted", UntilAccepted, story, `{"id":"p1"}`, []commands.Status{commands.Waiting, commands.Started, commands.Accepted}},
		{"a final record also ends a wait for accepted", UntilAccepted, ends(commands.Rejected), `{"id":"p1"}`, []commands.Status{commands.Rejected}},
		{"without a usable id the results come under the sequence", UntilFinal, ends(commands.Rejected), `{"id":"not usable"}`, []commands.Status{commands.Rejected}},
		{"not JSON at all", UntilFinal, ends(commands.Rejected), `nonsense`, []commands.Status{commands.Rejected}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBusWith(t, producersApart, nats.UserInfo("worker", "w"))
			b.work(tt.story)
			var got []commands.Status
			var stored commands.Key
			last, err := b.producerClient("crm").SendAndWait(within(t, 20*time.Second), Message{call, commands.Place, []byte(tt.body)}, tt.until,
				func(k commands.Key, _ Ack) { stored = k },
				func(r commands.Result) { got = append(got, r.Status) })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("SendAndWait() records (-want +got):\n%s", diff)
			}
			if last.Status != tt.want[len(tt.want)-1] || last.Key() != stored {
				t.Errorf("SendAndWait() = %s of %v; want %s of %v", last.Status, last.Key(), tt.want[len(tt.want)-1], stored)
			}
		})
	}
}

func TestCommandThatWasDoneBeforeIsFoundInTheStream(t *testing.T) {
	b := newBus(t)
	body := []byte(`{"id":"p1"}`)
	b.result(commands.Result{Producer: "crm", CallRef: "order-1", CommandID: "p1", Status: commands.Succeeded}, commands.BodyHash(commands.Place, body))
	got, err := b.client.SendAndWait(within(t, 20*time.Second), Message{call, commands.Place, body}, UntilFinal, nil, nil)
	if err != nil || got.Status != commands.Succeeded {
		t.Errorf("SendAndWait() = %s, %v; want succeeded", got.Status, err)
	}
	got, err = b.client.Wait(within(t, 20*time.Second), key("crm", "order-1", "p1"), UntilFinal, nil)
	if err != nil || got.Status != commands.Succeeded {
		t.Errorf("Wait() = %s, %v; want succeeded", got.Status, err)
	}
}

func TestAnotherCommandUnderTheSameIDIsNotTakenForOurs(t *testing.T) {
	b := newBus(t)
	b.result(commands.Result{Producer: "crm", CallRef: "order-1", CommandID: "p1", Status: commands.Succeeded}, commands.BodyHash(commands.Place, []byte("another")))
	_, err := b.client.SendAndWait(within(t, 20*time.Second), Message{call, commands.Place, []byte(`{"id":"p1"}`)}, UntilFinal, nil, nil)
	if !errors.Is(err, ErrIDConflict) {
		t.Errorf("SendAndWait() = %v; want ErrIDConflict", err)
	}
}

func TestWaitEndsWithItsContextAndSaysWhereTheCommandStands(t *testing.T) {
	b := newBus(t)
	b.work(func(delivered) []commands.Result {
		return []commands.Result{{Status: commands.Waiting, Reason: "throttled"}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.client.SendAndWait(ctx, Message{call, commands.Place, []byte(`{"id":"p1"}`)}, UntilFinal, nil, func(commands.Result) { cancel() })
	if !errors.Is(err, ErrNoOutcome) || !strings.Contains(err.Error(), "waiting, throttled") {
		t.Errorf("SendAndWait() = %v; want ErrNoOutcome that says waiting, throttled", err)
	}
	_, err = b.client.Wait(within(t, 50*time.Millisecond), key("crm", "order-1", "never"), UntilFinal, nil)
	if !errors.Is(err, ErrNoOutcome) || !strings.Contains(err.Error(), "no record of never") {
		t.Errorf("Wait() = %v; want ErrNoOutcome that says there is no record", err)
	}
}

func TestRecordThatNobodyDeliversIsFoundInTheStream(t *testing.T) {
	b := newBus(t)
	f := follower{client: b.client, key: key("crm", "order-1", "p1"), until: UntilFinal}
	f.onResult = func(r commands.Result) {
		if r.Status == commands.Waiting { // seen by the first look; the next record comes after it
			b.result(commands.Result{Producer: "crm", CallRef: "order-1", CommandID: "p1", Status: commands.Failed}, "")
		}
	}
	b.result(commands.Result{Producer: "crm", CallRef: "order-1", CommandID: "p1", Status: commands.Waiting}, "")
	deaf := make(chan *nats.Msg)
	got, err := f.follow(within(t, 20*time.Second), deaf)
	if err != nil || got.Status != commands.Failed {
		t.Errorf("follow() = %s, %v; want failed", got.Status, err)
	}
}

func TestWaitSaysWhatItMayNotRead(t *testing.T) {
	b := newBusWith(t, producersApart, nats.UserInfo("worker", "w"))
	client := b.producerClient("crm")
	client.ackWait = 200 * time.Millisecond
	_, err := client.Wait(within(t, 20*time.Second), key("shop", "order-1", "p1"), UntilFinal, nil)
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Why != NotPermitted {
		t.Errorf("Wait() for another's command = %v; want not permitted", err)
	}

	bare := newServer(t, nil)
	if _, err := bare.client.Wait(within(t, 20*time.Second), key("crm", "order-1", "p1"), UntilFinal, nil); err == nil || !strings.Contains(err.Error(), "no stream CALL_RESULTS") {
		t.Errorf("Wait() without streams = %v; want that there is none", err)
	}
}
