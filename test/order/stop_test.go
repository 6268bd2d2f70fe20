package order

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callbus/internal/app"
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
	s := openStack(t, srv.URL(), graphsim.Options{
		AnswerAfter: 50 * time.Millisecond, PromptDuration: 20 * time.Millisecond,
		// The one refusal is for checkRequests, which wants to see some.
		Faults: []graphsim.Fault{{Operation: "mute", Count: 1, Status: 429, RetryAfter: "0.1"}, {Operation: "*", Delay: 30 * time.Millisecond}},
	})
	// Both have one callback URL, as behind a load balancer: the second
	// worker's, which stays.
	shared := s.listen()
	url := "http://" + shared.Addr().String()
	stopFirst := s.work("first", func(o *app.Options) { o.CallbackURL = url })
	s.work("second", func(o *app.Options) { o.CallbackURL, o.CallbackListener = url, shared })
	s.publishBursts(nCalls)
	by := func(worker string) (n int, last time.Time) {
		for _, r := range s.sim.Sim.Requests() {
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
	all := s.outcomes(60*time.Second, nCalls*len(burst))
	if n, last := by("first"); last.After(signal.Add(100 * time.Millisecond)) {
		t.Errorf("the stopped worker sent %d requests, the last %s after the signal", n, last.Sub(signal))
	}
	if n, _ := by("second"); n == 0 {
		t.Error("the second worker sent nothing")
	}
	checkFinals(t, all, nCalls)
	checkRequests(t, s.sim, nCalls)
}
