package order

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"callbus/internal/app"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/ports"
)

// TestRestartsUnderLoad stops the NATS server and starts it again several times,
// in the middle of the work of two workers: every command ends exactly once and
// well, nothing that must not be repeated is, and the order of every call holds.
func TestRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	const nCalls = 40
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	dir := t.TempDir()
	srv, err := embednats.Start(embednats.Options{Listen: addr, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	s := openStack(t, srv.URL(), graphsim.Options{
		AnswerAfter: 50 * time.Millisecond, PromptDuration: 20 * time.Millisecond,
		NotifyAttempts: 50, NotifyBackoff: 100 * time.Millisecond,
		Faults: []graphsim.Fault{{Operation: "*", Delay: 150 * time.Millisecond}},
	})
	for _, name := range []string{"first", "second"} {
		s.work(name, func(o *app.Options) { o.Concurrency = 4 })
	}
	s.publishBursts(nCalls)

	// Each restart comes when some more work was done; the outages are shorter
	// and longer than what a client takes to try again.
	for i, outage := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second, 0} {
		more := len(s.sim.Sim.Requests()) + nCalls*len(burst)/8
		eventually(t, time.Minute, fmt.Sprintf("work before restart %d", i+1), func() (bool, string) {
			n := len(s.sim.Sim.Requests())
			return n >= more, fmt.Sprintf("%d requests, want %d", n, more)
		})
		srv.Close()
		<-time.After(outage)
		if srv, err = embednats.Start(embednats.Options{Listen: addr, DataDir: dir}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.queued(); n == 0 && err == nil {
		t.Error("the queue was empty before the last restart; the test proves less than it says")
	}
	checkFinals(t, s.outcomes(3*time.Minute, nCalls*len(burst)), nCalls)
	checkRequestsOfRestarts(t, s.sim, nCalls)
	stats := s.sim.Sim.Stats().Notifications
	if stats.Refused > 0 {
		t.Errorf("%d notifications were given up by Graph; want each stored after a restart", stats.Refused)
	}
}

// checkRequestsOfRestarts wants each call's requests in the order of publication
// and one after the other. One that may be repeated may have been, directly:
// its worker could not store in time what Graph had answered. The repetition of a
// read may still be under way when the call goes on.
func checkRequestsOfRestarts(t *testing.T, sim *graphsim.Server, nCalls int) {
	t.Helper()
	var want []string
	for _, b := range burst {
		want = append(want, b.operation)
	}
	once := []string{"createCall", "playPrompt"}
	byCall := map[string][]graphsim.Request{}
	for _, r := range sim.Sim.Requests() {
		byCall[r.CallRef] = append(byCall[r.CallRef], r)
	}
	if len(byCall) != nCalls {
		t.Errorf("Graph knows %d names; want %d", len(byCall), nCalls)
	}
	for ref, requests := range byCall {
		var got []string
		var before graphsim.Request
		repeated := false
		for _, r := range requests {
			if r.Start.Before(before.End) && !(repeated && slices.Contains(reads, before.Operation)) {
				t.Errorf("%s: %s began before %s had ended", ref, r.Operation, before.Operation)
			}
			if r.Operation != before.Operation || slices.Contains(once, r.Operation) {
				got = append(got, r.Operation)
			}
			repeated = r.Operation == before.Operation
			before = r
			if r.Operation == "deleteCall" {
				break // what follows is the worker's own look
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: Graph saw %s; want %s", ref, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}
