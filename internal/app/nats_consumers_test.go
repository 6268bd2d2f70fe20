package app

import (
	"fmt"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
)

// TestConsumersMadeAnew deletes every durable consumer in the middle of the work.
// The worker says what is missing and what to do, and goes on when it is there
// again: what was in hand comes a second time, and nothing but a read is done twice.
func TestConsumersMadeAnew(t *testing.T) {
	t.Parallel()
	const nCalls = 20
	c, log := openLogged(t, graphsim.Options{
		AnswerAfter: 50 * time.Millisecond, PromptDuration: 20 * time.Millisecond, LogSize: 100_000,
		Faults: []graphsim.Fault{{Operation: "mute", Count: 1, Status: 429, RetryAfter: "0.1"}, {Operation: "*", Delay: 100 * time.Millisecond}},
	})
	publishBursts(t, c.js, nCalls)
	eventually(t, patience, "work is going on", func() (bool, string) { n, _ := c.sent(); return n > nCalls*2, "" })
	var missing []string
	for stream, durables := range map[string][]string{
		"CALL_COMMANDS": {"urgent", "control", "place"}, "CALL_EVENTS": {streams.FoldConsumer}, "CALL_TIMERS": {streams.DueConsumer},
	} {
		for _, durable := range durables {
			if err := c.js.DeleteConsumer(t.Context(), stream, durable); err != nil {
				t.Fatal(err)
			}
			missing = append(missing, fmt.Sprintf("consumer %s/%s does not exist", stream, durable))
		}
	}
	for _, line := range missing {
		log.wait(line)
	}
	log.wait("`worker provision` makes it anew")
	if empty, _ := queueEmpty(t, c.js); empty {
		t.Error("the queue was empty before the consumers were gone; the test proves less than it says")
	}
	o := streams.DefaultOptions()
	o.AckWait = c.w.opts.Streams.AckWait
	if plan, err := streams.Provision(t.Context(), c.js, o, streams.ModeCreate, false); err != nil || len(plan.Created) != 5 {
		t.Fatalf("Provision() = %+v, %v; want five consumers made", plan, err)
	}
	c.idle()
	var all []commands.Result
	eventually(t, patience, "every outcome known", func() (bool, string) {
		all = allResults(t, c.js)
		n := 0
		for _, r := range all {
			if r.Final {
				n++
			}
		}
		return n >= nCalls*len(burst), fmt.Sprintf("%d final records", n)
	})
	checkFinals(t, all, nCalls)
	checkRequests(t, c.sim, nCalls, "getCall", "listParticipants")
}
