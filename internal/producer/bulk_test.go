package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bulkRun sends lines and collects what is reported of them.
type bulkRun struct {
	mu   sync.Mutex
	sent []Sent
}

func (r *bulkRun) report(s Sent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, s)
}

// byLine says in order of the lines what became of each.
func (r *bulkRun) byLine() []string {
	slices.SortFunc(r.sent, func(a, b Sent) int { return a.Line.Number - b.Line.Number })
	var got []string
	for _, s := range r.sent {
		what := "stored"
		refused, isRefused := errors.AsType[*RefusedError](s.Err)
		switch {
		case s.Bad:
			what = "bad"
		case errors.Is(s.Err, ErrEarlierLine):
			what = "held back"
		case isRefused:
			what = string(refused.Why)
		case s.Err != nil:
			what = s.Err.Error()
		case s.Ack.Duplicate:
			what = "duplicate"
		}
		got = append(got, fmt.Sprintf("%d %s", s.Line.Number, what))
	}
	return got
}

func (b *bus) sendLines(text string, o BulkOptions) []string {
	b.t.Helper()
	var run bulkRun
	o.Producer = "crm"
	if err := b.client.SendLines(within(b.t, 30*time.Second), ParseLines(strings.NewReader(text), ParseOptions{}), o, run.report); err != nil {
		b.t.Fatal(err)
	}
	return run.byLine()
}

func (b *bus) queued() []string {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), "CALL_COMMANDS")
	if err != nil {
		b.t.Fatal(err)
	}
	var subjects []string
	for seq := uint64(1); ; seq++ {
		msg, err := stream.GetMsg(b.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return subjects
		}
		if err != nil {
			b.t.Fatal(err)
		}
		subjects = append(subjects, strings.TrimPrefix(msg.Subject, "calls.commands."))
	}
}

func TestBadLinesAreReportedAndNothingElseIsLost(t *testing.T) {
	b := newBus(t)
	text := `{"callRef":"a","action":"place","id":"1"}
nonsense
{"callRef":"a","action":"mute","id":"2"}

{"callRef":"b","action":"mute","id":"refused by the check"}
{"callRef":"a","action":"hangup","id":"3"}
{"callRef":"a","action":"mute","id":"2","wait":"none"}`
	check := func(l Line) error {
		if l.ID == "" {
			return errors.New("no usable id")
		}
		return nil
	}
	got := b.sendLines(text, BulkOptions{Check: check})
	if diff := cmp.Diff([]string{"1 stored", "2 bad", "3 stored", "5 bad", "6 stored", "7 bad"}, got); diff != "" {
		t.Errorf("SendLines() (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"crm.a.place", "crm.a.mute", "crm.a.hangup"}, b.queued()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

func TestSecondRunSendsTheSameIDs(t *testing.T) {
	b := newBus(t)
	text := strings.Repeat(`{"callRef":"a","action":"mute"}`+"\n", 3) + `{"callRef":"b","action":"mute","id":"own"}`
	if diff := cmp.Diff([]string{"1 stored", "2 stored", "3 stored", "4 stored"}, b.sendLines(text, BulkOptions{})); diff != "" {
		t.Errorf("first SendLines() (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"3 duplicate", "4 duplicate"}, b.sendLines(text, BulkOptions{From: 3})); diff != "" {
		t.Errorf("SendLines() from line 3 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1 duplicate", "2 duplicate", "3 duplicate", "4 duplicate"}, b.sendLines(text, BulkOptions{})); diff != "" {
		t.Errorf("second SendLines() (-want +got):\n%s", diff)
	}
}

func TestLinesOfOneCallKeepTheirOrder(t *testing.T) {
	b := newBus(t)
	const calls, each = 40, 25
	var text strings.Builder
	for i := range each {
		for c := range calls {
			fmt.Fprintf(&text, `{"callRef":"c%d","action":"mute","id":"%03d"}`+"\n", c, i)
		}
	}
	b.sendLines(text.String(), BulkOptions{Window: 64})
	last := map[string]string{}
	stream, err := b.js.Stream(t.Context(), "CALL_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= calls*each; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		id := BodyID(msg.Data)
		if id <= last[msg.Subject] {
			t.Errorf("%s: %s stands after %s; want the order of the lines", msg.Subject, id, last[msg.Subject])
		}
		last[msg.Subject] = id
	}
}

func TestRefusedLineHoldsBackTheRestOfItsCall(t *testing.T) {
	b := newServer(t, nil)
	b.createStreams(2)
	text := `{"callRef":"a","action":"place"}
{"callRef":"b","action":"place"}
{"callRef":"a","action":"mute"}
{"callRef":"a","action":"hangup"}`
	if diff := cmp.Diff([]string{"1 stored", "2 stored", "3 full", "4 held back"}, b.sendLines(text, BulkOptions{Window: 1})); diff != "" {
		t.Errorf("SendLines() to a full queue (-want +got):\n%s", diff)
	}
}

func TestFullQueueIsOfferedTheLineAgain(t *testing.T) {
	b := newServer(t, nil)
	b.createStreams(1)
	text := `{"callRef":"a","action":"place"}
{"callRef":"a","action":"mute"}
{"callRef":"a","action":"hangup"}`
	b.work(func(delivered) []commands.Result { return nil }) // which makes room
	if diff := cmp.Diff([]string{"1 stored", "2 stored", "3 stored"}, b.sendLines(text, BulkOptions{Retry: 20 * time.Second})); diff != "" {
		t.Errorf("SendLines() (-want +got):\n%s", diff)
	}
}

func TestSendLinesStopsWithItsContext(t *testing.T) {
	b := newBus(t)
	ctx, cancel := context.WithCancel(t.Context())
	var run bulkRun
	text := `{"callRef":"a","action":"place"}
{"callRef":"b","action":"place","delay":"1h"}
{"callRef":"c","action":"place"}`
	err := b.client.SendLines(ctx, ParseLines(strings.NewReader(text), ParseOptions{}), BulkOptions{Producer: "crm"}, func(s Sent) {
		run.report(s)
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("SendLines() = %v; want context.Canceled", err)
	}
	if diff := cmp.Diff([]string{"1 stored"}, run.byLine()); diff != "" {
		t.Errorf("SendLines() (-want +got):\n%s", diff)
	}
}

func TestRateIsKept(t *testing.T) {
	b := newBus(t)
	var text strings.Builder
	for i := range 6 {
		fmt.Fprintf(&text, `{"callRef":"c%d","action":"mute"}`+"\n", i)
	}
	began := time.Now()
	b.sendLines(text.String(), BulkOptions{Rate: 50})
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("SendLines() of 6 lines at 50 a second took %s; want 100 ms at least", took)
	}
}

func TestOutcomesOfAllLinesAreFound(t *testing.T) {
	b := newBusWith(t, producersApart, nats.UserInfo("worker", "w"))
	b.client = b.producerClient("crm")
	// Done in an earlier run: no new record will come.
	old := []byte(`{"id":"old"}`)
	b.result(commands.Result{Producer: "crm", CallRef: "a", CommandID: "old", Status: commands.Succeeded}, commands.BodyHash(commands.Mute, old))
	b.result(commands.Result{Producer: "crm", CallRef: "a", CommandID: "taken", Status: commands.Succeeded}, commands.BodyHash(commands.Mute, []byte("another command")))
	b.work(func(d delivered) []commands.Result {
		switch d.key.ID {
		case "old", "taken", "silent":
			return nil
		case "busy":
			return []commands.Result{{Status: commands.Accepted}, {Status: commands.Failed, Error: &commands.Error{Class: commands.ClassCallee, Reason: "busy", Code: "486"}}}
		}
		return []commands.Result{{Status: commands.Started}, {Status: commands.Succeeded}}
	})
	text := `{"callRef":"a","action":"mute","id":"fine"}
{"callRef":"a","action":"mute","id":"fine"}
{"callRef":"a","action":"mute","id":"busy","expect":{"status":"failed","error.reason":"busy"}}
{"callRef":"b","action":"mute","id":"busy"}
{"callRef":"a","action":"mute","id":"old"}
{"callRef":"a","action":"mute","id":"taken"}
{"callRef":"a","action":"mute","id":"silent"}
{"callRef":"a","action":"mute","id":"not usable"}`
	var got []string
	outcomes := b.client.NewOutcomes(UntilFinal, func(o Outcome) {
		said := string(o.Result.Status)
		if o.Err != nil {
			said += ": " + o.Err.Error()
		}
		got = append(got, fmt.Sprintf("%d %s", o.Line.Number, said))
	})
	outcomes.quiet = 20 * time.Millisecond
	b.sendLines(text, BulkOptions{Outcomes: outcomes})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		for len(outcomes.missing()) > 1 && t.Context().Err() == nil {
			time.Sleep(2 * time.Millisecond)
		}
	}()
	missing := outcomes.Wait(ctx)
	slices.Sort(got)
	want := []string{
		"1 succeeded", "2 succeeded", "3 failed",
		"4 failed: line 4: status is failed, expected succeeded",
		"5 succeeded",
		"6 succeeded: line 6: the id was used before for another command of this call: use a new id (id taken)",
		"8 succeeded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]commands.Key{key("crm", "a", "silent")}, missing); diff != "" {
		t.Errorf("Wait() (-want +got):\n%s", diff)
	}
}

func TestRefusedLinesAreNotWaitedFor(t *testing.T) {
	b := newBusWith(t, func(o *server.Options) { o.MaxPayload = 1024 })
	b.work(ends(commands.Succeeded))
	text := `{"callRef":"a","action":"mute","id":"fine"}
{"callRef":"b","action":"mute","id":"long","metadata":{"a":"` + strings.Repeat("x", 2000) + `"}}`
	outcomes := b.client.NewOutcomes(UntilFinal, func(Outcome) {})
	if diff := cmp.Diff([]string{"1 stored", "2 tooLarge"}, b.sendLines(text, BulkOptions{Outcomes: outcomes})); diff != "" {
		t.Errorf("SendLines() (-want +got):\n%s", diff)
	}
	if missing := outcomes.Wait(within(t, 20*time.Second)); len(missing) != 0 {
		t.Errorf("Wait() = %v; want none missing", missing)
	}
}
