package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/test/chaos/fleet"
)

// pacingSite is a fleet with somebody who publishes.
type pacingSite struct {
	*fleet.Fleet
	js jetstream.JetStream
	*backlog
	asked int // rounds of fresh commands
}

// open starts a fleet of so many workers before a Graph of the given limits.
func (b *pacingBench) open(ctx context.Context, workers int, limits string, worker ...string) (*pacingSite, error) {
	sim := []string{"--answer-after=50ms"}
	if limits != "" {
		sim = append(sim, "--limits="+limits)
	}
	fl, err := fleet.Start(ctx, fleet.Options{
		Binaries: b.bin, Workers: workers, SimArgs: sim,
		Worker: func(int) fleet.WorkerOptions {
			return fleet.WorkerOptions{Args: append([]string{"--quota-requests=learn", "--max-live-calls=0"}, worker...)}
		},
	})
	if err != nil {
		return nil, err
	}
	s := &pacingSite{Fleet: fl}
	if err := fl.Ready(ctx); err != nil {
		s.close()
		return nil, err
	}
	if s.js, err = connect(fl.NATSURL()); err != nil {
		s.close()
		return nil, err
	}
	s.backlog = &backlog{fleet: fl, js: s.js}
	return s, nil
}

func (s *pacingSite) close() {
	if s.js != nil {
		s.js.Conn().Close()
	}
	s.Close()
}

// simRequest is a request as the simulator logged it.
type simRequest = graphsim.Request

// requests are those that the simulator has answered, in order of time.
func (s *pacingSite) requests() ([]simRequest, error) {
	res, err := http.Get(s.SimURL() + "/_sim/requests")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var all struct{ Requests []simRequest }
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	slices.SortStableFunc(all.Requests, func(a, b simRequest) int { return a.Start.Compare(b.Start) })
	return all.Requests, nil
}

// limit sets the limits of the simulator.
func (s *pacingSite) limit(l graphsim.Limits) error {
	body, err := json.Marshal(l)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPut, s.SimURL()+"/_sim/limits", bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("set limits: %s", res.Status)
	}
	return nil
}

// tally counts answers between two moments.
type tally struct{ taken, throttled, all int }

func count(all []simRequest, from, to time.Time) tally {
	var t tally
	for _, r := range all {
		if r.Start.Before(from) || !r.Start.Before(to) || r.Operation == "" {
			continue
		}
		t.all++
		switch {
		case r.Status == http.StatusTooManyRequests:
			t.throttled++
		case r.Status >= 200 && r.Status < 300:
			t.taken++
		}
	}
	return t
}

// share is that of 429s among the answers.
func (t tally) share() float64 { return float64(t.throttled) / float64(max(t.all, 1)) }

// used is the share of a rate.
func (t tally) used(rate float64, d time.Duration) float64 {
	return float64(t.taken) / (rate * d.Seconds())
}

func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

// placesOf publishes n places of calls that nobody hangs up.
func (s *pacingSite) placesOf(ctx context.Context, prefix string, n int) error {
	return s.publishAll(ctx, n, func(i int) *nats.Msg {
		return s.message(commands.CallKey{Producer: "bench", CallRef: fmt.Sprintf("%s-%d", prefix, i)}, commands.Place, "p", placeOne)
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
