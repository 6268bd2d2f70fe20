package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/test/chaos/check"
	"callbus/test/chaos/fleet"
)

// stopFlags shape the stop.
type stopFlags struct {
	InFlight int           `default:"128" help:"Requests of the worker in flight when it is told to stop."`
	Delay    time.Duration `default:"1500ms" help:"How long Graph takes for each."`
	Within   time.Duration `default:"1s" help:"The longest until another worker has begun what was not begun."`
}

// Run stops a worker in the middle of its work.
func (f *stopFlags) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callbus-stop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := fleet.Build(ctx, fleet.BuildOptions{Dir: dir})
	if err != nil {
		return err
	}
	fl, err := fleet.Start(ctx, fleet.Options{
		Binaries: bin, Workers: 2, SimArgs: []string{"--answer-after=50ms", "--log-level=warn", "--log-size=100000"},
		Worker: func(i int) fleet.WorkerOptions {
			// The second one has room for all that the first one leaves.
			return fleet.WorkerOptions{Args: []string{fmt.Sprintf("--concurrency=%d", []int{f.InFlight, 2048}[i]), fmt.Sprintf("--worker-name=%s", []string{"stopped", "other"}[i])}}
		},
	})
	if err != nil {
		return err
	}
	defer fl.Close()
	if err := fl.Ready(ctx); err != nil {
		return err
	}
	js, err := connect(fl.NATSURL())
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	if err := setFaults(fl, graphsim.Fault{Operation: "createCall", Delay: f.Delay}); err != nil {
		return err
	}
	// The other worker stands still until the first one has its hands full.
	other := fl.Workers()[1]
	if err := other.Pause(); err != nil {
		return err
	}
	b := &backlog{fleet: fl, js: js}
	var published []check.Command
	place := func(n int) error {
		call := commands.CallKey{Producer: "stop", CallRef: fmt.Sprintf("c%04d", n)}
		published = append(published, check.Command{Key: commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: "p"}, Action: commands.Place, Published: time.Now(), Copies: 1})
		return b.publish(ctx, call, commands.Place, "p", placeOne)
	}
	for n := range 2 * f.InFlight {
		if err := place(n); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		n, err := inFlight(fl)
		if err != nil {
			return err
		}
		if n >= f.InFlight {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d requests in flight, want %d", n, f.InFlight)
		}
		time.Sleep(5 * time.Millisecond)
	}
	at := time.Now()
	if err := fl.Workers()[0].Term(); err != nil {
		return err
	}
	if err := other.Continue(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	if err := fl.Workers()[0].Wait(wait); err != nil {
		return err
	}
	took := time.Since(at)
	for _, c := range published {
		if _, err := final(ctx, js, c.Key, 30*time.Second); err != nil {
			return err
		}
	}
	h, err := check.Collect(ctx, js, commands.DefaultPrefix, fl.SimURL())
	if err != nil {
		return err
	}
	h.Commands = published
	return f.judge(h, at, took, fl.Workers()[0].ExitCode())
}

// judge looks at what each worker did after the signal.
func (f *stopFlags) judge(h check.History, at time.Time, took time.Duration, exit int) error {
	began := map[commands.Key]check.Record{}
	var latest time.Duration
	before, after, late := 0, 0, 0
	for _, r := range h.Records {
		if r.Status != commands.Started {
			continue
		}
		key := commands.Key{Producer: r.Producer, CallRef: r.CallRef, ID: r.CommandID}
		began[key] = r
		switch since := r.Stored.Sub(at); {
		case since <= 0:
			before++
		case r.Worker == "stopped":
			late++
		default:
			after++
			latest = max(latest, since)
		}
	}
	sent := 0
	for _, r := range h.Requests {
		key := commands.Key{Producer: "stop", CallRef: r.CallRef, ID: "p"}
		if r.Operation == "createCall" && r.Start.After(at) && began[key].Worker == "stopped" {
			sent++
		}
	}
	twice := 0
	for _, c := range h.Calls {
		if c.Creates > 1 {
			twice++
		}
	}
	fmt.Printf("SIGTERM with %d in flight of %d published: exit %d after %.1f s\n", before, len(h.Commands), exit, took.Seconds())
	fmt.Printf("sent after the signal: %d, begun after the signal by the stopped worker: %d, calls created twice: %d\n", sent, late, twice)
	fmt.Printf("begun by the other worker: %d, the last one %.0f ms after the signal\n", after, float64(latest.Milliseconds()))
	if sent > 0 || late > 0 || twice > 0 || exit != 0 || latest > f.Within || before < f.InFlight || before+after != len(h.Commands) {
		return errRed
	}
	return nil
}
