package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
)

// TestStopIsClean stops one of two workers in the middle of its work: what is
// in flight is finished, nothing new goes to Graph, everything else is with the
// other worker at once, and no promise breaks.
func TestStopIsClean(t *testing.T) {
	t.Parallel()
	const nCalls = 60
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	sim := startSim(t, graphsim.Options{
		AnswerAfter: 50 * time.Millisecond, PromptDuration: 20 * time.Millisecond, LogSize: 100_000,
		// The one refusal is for checkRequests, which wants to see some.
		Faults: []graphsim.Fault{{Operation: "mute", Count: 1, Status: 429, RetryAfter: "0.1"}, {Operation: "*", Delay: 30 * time.Millisecond}},
	})
	// Both have one callback URL, as behind a load balancer: the second
	// worker's, which stays.
	shared := listen(t)
	url := "http://" + shared.Addr().String()
	_, stopFirst := startWorker(t, "first", srv.URL(), sim, func(o *Options) { o.Version, o.CallbackURL = "first", url })
	startWorker(t, "second", srv.URL(), sim, func(o *Options) {
		o.Version, o.CallbackURL, o.CallbackListener = "second", url, shared
	})
	js := connect(t, srv.URL())
	publishBursts(t, js, nCalls)
	by := func(worker string) (n int, last time.Time) {
		for _, r := range sim.Sim.Requests() {
			if strings.Contains(r.UserAgent, "callbus/"+worker) {
				n++
				if r.Start.After(last) {
					last = r.Start
				}
			}
		}
		return n, last
	}
	eventually(t, 30*time.Second, "the first worker is busy", func() (bool, string) {
		n, _ := by("first")
		return n > 50, fmt.Sprintf("%d requests", n)
	})
	signal := time.Now()
	stopFirst() // and within the grace period, or it would not be clean
	eventually(t, 60*time.Second, "every command done by the other worker", func() (bool, string) { return queueEmpty(t, js) })
	if n, last := by("first"); last.After(signal.Add(100 * time.Millisecond)) {
		t.Errorf("the stopped worker sent %d requests, the last %s after the signal", n, last.Sub(signal))
	}
	if n, _ := by("second"); n == 0 {
		t.Error("the second worker sent nothing")
	}
	var all []commands.Result
	eventually(t, 20*time.Second, "every outcome known", func() (bool, string) {
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
}
