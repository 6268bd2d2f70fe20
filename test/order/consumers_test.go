package order

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/app"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
)

// TestConsumersMadeAnew deletes every durable consumer in the middle of the work.
// The worker says what is missing and what to do, and goes on when it is there
// again: what was in hand comes a second time, and nothing but a read is done twice.
func TestConsumersMadeAnew(t *testing.T) {
	t.Parallel()
	const nCalls = 20
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	s := openStack(t, srv.URL(), graphsim.Options{
		AnswerAfter: 50 * time.Millisecond, PromptDuration: 20 * time.Millisecond,
		Faults: []graphsim.Fault{{Operation: "mute", Count: 1, Status: 429, RetryAfter: "0.1"}, {Operation: "*", Delay: 100 * time.Millisecond}},
	})
	plan := streams.DefaultOptions()
	plan.AckWait = 3 * time.Second // what was in hand comes soon
	log := &lines{}
	s.work("lonely", func(o *app.Options) {
		o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		o.GraphTimeout, o.Streams, o.ReconcileWait = time.Second, plan, 15*time.Second
	})
	s.publishBursts(nCalls)
	eventually(t, 30*time.Second, "work is going on", func() (bool, string) { return len(s.sim.Sim.Requests()) > nCalls*2, "" })
	var missing []string
	for stream, durables := range map[string][]string{
		"CALL_COMMANDS": {"urgent", "control", "place"}, "CALL_EVENTS": {streams.FoldConsumer}, "CALL_TIMERS": {streams.DueConsumer},
	} {
		for _, durable := range durables {
			if err := s.js.DeleteConsumer(t.Context(), stream, durable); err != nil {
				t.Fatal(err)
			}
			missing = append(missing, fmt.Sprintf("consumer %s/%s does not exist", stream, durable))
		}
	}
	for _, line := range append(missing, "`worker provision` makes it anew") {
		eventually(t, 30*time.Second, "a log line with "+line, func() (bool, string) { return log.has(line), "" })
	}
	if n, err := s.queued(); n == 0 && err == nil {
		t.Error("the queue was empty before the consumers were gone; the test proves less than it says")
	}
	if made, err := streams.Provision(t.Context(), s.js, plan, streams.ModeCreate, false); err != nil || len(made.Created) != 5 {
		t.Fatalf("Provision() = %+v, %v; want five consumers made", made, err)
	}
	checkFinals(t, s.outcomes(30*time.Second, nCalls*len(burst)), nCalls)
	checkRequests(t, s.sim, nCalls)
}

// lines is a worker's log that a test reads.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}
