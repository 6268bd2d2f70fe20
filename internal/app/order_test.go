package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
)

// burst is what every call of the order test gets, in one go.
var burst = []struct {
	action     commands.Action
	operation  string
	parameters string
}{
	{commands.Place, "createCall", `{"targets":[{"identity":{"user":{"id":"98da8a1a-1b87-452c-a713-65d3f10b5001"}}},{"identity":{"user":{"id":"bf5aae9a-d11d-47a8-93b1-782504c95002"}}}]}`},
	{commands.Mute, "mute", ""},
	{commands.Unmute, "unmute", ""},
	{commands.PlayPrompt, "playPrompt", `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/beep.wav"}}]}`},
	{commands.KeepAlive, "keepAlive", ""},
	{commands.Mute, "mute", ""},
	{commands.ListParticipants, "listParticipants", ""},
	{commands.GetCall, "getCall", ""},
	{commands.Unmute, "unmute", ""},
	{commands.Hangup, "deleteCall", ""},
}

// TestOrderOfTwoWorkers puts 200 calls of 10 commands, published in bursts,
// before two workers and a Graph that refuses one request of fifty.
func TestOrderOfTwoWorkers(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		srv, err := embednats.Start(embednats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(srv.Close)
		checkOrder(t, srv.URL(), 1)
	})
	t.Run("three servers", func(t *testing.T) {
		t.Parallel()
		c, err := embednats.StartCluster(3)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		checkOrder(t, c.URL(), 3)
	})
}

func checkOrder(t *testing.T, url string, replicas int) {
	const nCalls = 200
	sim := startSim(t, graphsim.Options{
		Seed: 1, AnswerAfter: 100 * time.Millisecond, PromptDuration: 50 * time.Millisecond, LogSize: 100_000,
		Faults: []graphsim.Fault{{Operation: "*", Probability: 0.02, Status: 429, RetryAfter: "0.2"}},
	})
	replicate := func(o *Options) { o.Streams.Replicas = replicas }
	startWorker(t, "worker-1", url, sim, replicate)
	startWorker(t, "worker-2", url, sim, replicate)
	js := connect(t, url)

	publishBursts(t, js, nCalls)
	eventually(t, 4*time.Minute, "every command final", func() (bool, string) {
		s, err := js.Stream(t.Context(), "CALL_COMMANDS")
		if err != nil {
			return false, err.Error()
		}
		return s.CachedInfo().State.Msgs == 0, fmt.Sprintf("%d commands queued", s.CachedInfo().State.Msgs)
	})
	var all []commands.Result
	eventually(t, 30*time.Second, "every outcome known", func() (bool, string) {
		all = allResults(t, js)
		n := 0
		for _, r := range all {
			if r.Final {
				n++
			}
		}
		return n >= nCalls*len(burst), fmt.Sprintf("%d final records", n)
	})
	checkFinals(t, all, nCalls)
	checkRequests(t, sim, nCalls)
	dead, err := js.Stream(t.Context(), "CALL_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	if n := dead.CachedInfo().State.Msgs; n > 0 {
		t.Errorf("%d dead letters; want none", n)
	}
}

// publishBursts publishes every command of every call, one call after the other.
func publishBursts(t *testing.T, js jetstream.JetStream, nCalls int) {
	t.Helper()
	for c := range nCalls {
		for i, b := range burst {
			more := map[string]any{}
			if b.action == commands.Hangup {
				more["wait"] = "turn"
			}
			subject := fmt.Sprintf("calls.commands.crm.order-%d.%s", c, b.action)
			if _, err := js.Publish(t.Context(), subject, body(fmt.Sprintf("c%d", i), b.parameters, more)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkFinals wants exactly one final record a command, all of them good.
func checkFinals(t *testing.T, all []commands.Result, nCalls int) {
	t.Helper()
	finals := map[commands.Key]int{}
	for _, r := range all {
		if !r.Final {
			continue
		}
		finals[r.Key()]++
		if r.Status != commands.Succeeded {
			t.Errorf("%s %s %s ended %s %s %+v; want succeeded", r.CallRef, r.CommandID, r.Action, r.Status, r.Reason, r.Error)
		}
	}
	for c := range nCalls {
		for i := range burst {
			key := commands.Key{Producer: "crm", CallRef: fmt.Sprintf("order-%d", c), ID: fmt.Sprintf("c%d", i)}
			if finals[key] != 1 {
				t.Errorf("%s %s has %d final records; want 1", key.Call(), key.ID, finals[key])
			}
		}
	}
}

// checkRequests wants each call created once and its requests, but for refused
// ones, in the order of publication and one after the other.
// It leaves the reads in again out of account: one that was in hand when its
// message came a second time may be done twice.
func checkRequests(t *testing.T, sim *graphsim.Server, nCalls int, again ...string) {
	t.Helper()
	calls := sim.Sim.Calls()
	if len(calls) != nCalls {
		t.Errorf("Graph has %d calls; want %d", len(calls), nCalls)
	}
	var want []string
	for _, b := range burst {
		if !slices.Contains(again, b.operation) {
			want = append(want, b.operation)
		}
	}
	refused := 0
	byCall := map[string][]graphsim.Request{}
	for _, r := range sim.Sim.Requests() {
		if r.Status == 429 {
			refused++
			continue
		}
		byCall[r.CallRef] = append(byCall[r.CallRef], r)
	}
	if refused == 0 {
		t.Error("Graph refused nothing; the test proves less than it says")
	}
	for _, c := range calls {
		if c.Creates != 1 {
			t.Errorf("%s was created %d times", c.CallRef, c.Creates)
		}
		var got []string
		var before graphsim.Request
		for _, r := range byCall[c.CallRef] {
			if slices.Contains(again, r.Operation) {
				continue
			}
			got = append(got, r.Operation)
			if r.Start.Before(before.End) {
				t.Errorf("%s: %s began before %s had ended", c.CallRef, r.Operation, before.Operation)
			}
			before = r
			if r.Operation == "deleteCall" {
				break // what follows is the worker's own look
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: Graph saw %s; want %s", c.CallRef, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}
