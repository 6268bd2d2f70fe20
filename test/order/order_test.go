package order

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"callbus/internal/app"
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
	t.Parallel()
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		srv, err := embednats.Start(embednats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(srv.Close)
		checkOrder(t, srv.URL(), 1, app.QuotaLearned)
	})
	t.Run("three servers", func(t *testing.T) {
		t.Parallel()
		c, err := embednats.StartCluster(3)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		checkOrder(t, c.URL(), 3, app.QuotaOff)
	})
}

func checkOrder(t *testing.T, url string, replicas int, quota string) {
	const nCalls = 200
	s := openStack(t, url, graphsim.Options{
		Seed: 1, AnswerAfter: 100 * time.Millisecond, PromptDuration: 50 * time.Millisecond,
		Faults: []graphsim.Fault{{Operation: "*", Probability: 0.02, Status: 429, RetryAfter: "0.2"}},
	})
	for _, name := range []string{"worker-1", "worker-2"} {
		s.work(name, func(o *app.Options) { o.Streams.Replicas, o.QuotaRequests = replicas, quota })
	}
	s.publishBursts(nCalls)
	checkFinals(t, s.outcomes(8*time.Minute, nCalls*len(burst)), nCalls)
	checkRequests(t, s.sim, nCalls)
	dead, err := s.js.Stream(t.Context(), "CALL_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	if n := dead.CachedInfo().State.Msgs; n > 0 {
		t.Errorf("%d dead letters; want none", n)
	}
}

// publishBursts publishes every command of every call, one call after the other.
func (s *stack) publishBursts(nCalls int) {
	s.t.Helper()
	for c := range nCalls {
		for i, b := range burst {
			m := map[string]any{"id": fmt.Sprintf("c%d", i)}
			if b.parameters != "" {
				m["parameters"] = json.RawMessage(b.parameters)
			}
			if b.action == commands.Hangup {
				m["wait"] = "turn"
			}
			body, err := json.Marshal(m)
			if err == nil {
				_, err = s.js.Publish(s.t.Context(), fmt.Sprintf("calls.commands.crm.order-%d.%s", c, b.action), body)
			}
			if err != nil {
				s.t.Fatal(err)
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

// reads are the operations that may be done twice: a worker stores nothing before
// it reads, so that one whose lease ran out, or whose answer could not be stored,
// is done again by whoever has the command then, perhaps at the same time.
var reads = []string{"listParticipants", "getCall"}

// checkRequests wants each call created once and its requests, but for refused
// ones, in the order of publication and one after the other. A read that was
// repeated counts when it was sent first, and may overlap with what comes next.
func checkRequests(t *testing.T, sim *graphsim.Server, nCalls int) {
	t.Helper()
	calls := sim.Sim.Calls()
	if len(calls) != nCalls {
		t.Errorf("Graph has %d calls; want %d", len(calls), nCalls)
	}
	var want []string
	for _, b := range burst {
		want = append(want, b.operation)
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
			read := slices.Contains(reads, r.Operation)
			if read && slices.Contains(got, r.Operation) {
				if before.Operation == r.Operation {
					before = graphsim.Request{} // either may be under way when the call goes on
				}
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
