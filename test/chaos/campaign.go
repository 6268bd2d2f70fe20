package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"callbus/internal/commands"
	"callbus/test/chaos/check"
	"callbus/test/chaos/fleet"
	"callbus/test/chaos/load"
	"callbus/test/chaos/nemesis"
)

// Leases and waits of the workers under test. They are short, so that what a
// minute brings in production comes in seconds; their order is the same.
const (
	ackWait       = 4 * time.Second
	graphTimeout  = 2 * time.Second
	reconcileWait = 10 * time.Second
)

var workerArgs = []string{
	"--ack-wait=" + ackWait.String(), "--graph-timeout=" + graphTimeout.String(), "--reconcile-wait=" + reconcileWait.String(), "--operation-timeout=10s",
	"--concurrency=32", "--grace-period=10s",
}

var simArgs = []string{
	"--answer-after=200ms", "--ring-timeout=3s", "--prompt-duration=300ms", "--notify-attempts=8", "--notify-timeout=3s", "--log-level=warn",
}

// someCrashes let workers kill and stop themselves now and then at every point.
const someCrashes = "kill:fetched:*:0.0002,kill:recalled:*:0.0002,kill:admitted:*:0.0003,kill:opened:*:0.001,kill:started:*:0.0005,kill:answered:*:0.0005," +
	"kill:recorded:*:0.0005,kill:bound:*:0.0005,kill:acked:*:0.0002,kill:buried:*:0.002,kill:retired:*:0.001,kill:wanted:*:0.001,kill:folded:*:0.0001,kill:settled:*:0.0001," +
	"pause:started:*:0.0007,pause:answered:*:0.0005,pause:admitted:*:0.0002,pause:retired:*:0.001,pause:folded:*:0.0001"

// campaignFlags shape a run.
type campaignFlags struct {
	Duration time.Duration `default:"5m" help:"How long calls are made and things are broken."`
	Rate     float64       `default:"75" help:"Commands a second."`
	Calls    int           `help:"At most so many calls; no bound by default."`
	Workers  int           `default:"3" help:"Worker processes."`
	Nodes    int           `default:"1" enum:"1,3" help:"NATS servers: 1, or 3 with every stream replicated."`
	Seed     uint64        `help:"What happens follows from it; a random one by default."`
	Every    time.Duration `default:"1500ms" help:"Mean pause between two blows."`
	Skew     bool          `help:"Put the clocks of workers 2 and 3 two seconds ahead and behind."`
	Race     bool          `help:"Build the worker with the race detector."`
	Crashes  string        `default:"some" help:"Crash points of the workers: some, none, or rules MODE:POINT:ACTION:CHANCE."`
	Calm     bool          `help:"Break nothing."`
	Dir      string        `help:"Keep logs, stores and the history here."`
	Quiet    bool          `help:"Do not tell each blow."`
}

// Run makes one campaign and prints its verdict.
func (f *campaignFlags) Run(ctx context.Context) error {
	if f.Seed == 0 {
		f.Seed = rand.Uint64()
	}
	dir, err := os.MkdirTemp("", "callbus-chaos-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := campaign{campaignFlags: *f, out: os.Stdout}
	fmt.Fprintf(c.out, "seed %d, %s, %d workers, %d NATS servers\n", f.Seed, f.Duration, f.Workers, f.Nodes)
	if err := c.build(ctx, dir); err != nil {
		return err
	}
	report, h, err := c.run(ctx)
	if err != nil {
		return err
	}
	return c.verdict(report, h)
}

// verdict prints the report and, when it is red, the story of the calls
// concerned.
func (c *campaign) verdict(report check.Report, h check.History) error {
	report.Write(c.out)
	if len(report.Violations) == 0 {
		fmt.Fprintf(c.out, "\ngreen: seed %d\n", c.Seed)
		return nil
	}
	told, rules := map[commands.CallKey]bool{}, map[string]bool{}
	for _, v := range report.Violations {
		if told[v.Call] || v.Call.CallRef == "" {
			continue
		}
		told[v.Call] = true
		story := fmt.Sprintf("\nstory of %s (%s: %s)\n%s", v.Call, v.Rule, v.Text, h.Story(v.Call.String()))
		if c.Dir != "" {
			if err := os.WriteFile(filepath.Join(c.Dir, fmt.Sprintf("story-%s-%s.txt", v.Rule, v.Call)), []byte(story), 0o644); err != nil {
				return err
			}
		}
		if !rules[v.Rule] { // one of each is enough on a screen
			rules[v.Rule] = true
			fmt.Fprint(c.out, story)
		}
	}
	fmt.Fprintf(c.out, "\nred: %d violations, seed %d\n", len(report.Violations), c.Seed)
	return errRed
}

// campaign is one run.
type campaign struct {
	campaignFlags
	out      io.Writer
	bin      fleet.Binaries
	skewed   map[int]string // worker binaries with another clock
	only     []string       // scenarios
	replace  map[string]string
	patience time.Duration // for outcomes; 0: settleWait
	freeze   time.Duration // of workers; 0: a little more than a lease
}

func (c *campaign) build(ctx context.Context, dir string) (err error) {
	fmt.Fprintln(c.out, "building the programs")
	if c.bin, err = fleet.Build(ctx, fleet.BuildOptions{Dir: dir, Race: c.Race, Replace: c.replace}); err != nil {
		return err
	}
	if !c.Skew {
		return nil
	}
	c.skewed = map[int]string{}
	for i, skew := range map[int]time.Duration{1: 2 * time.Second, 2: -2 * time.Second} {
		b, err := fleet.Build(ctx, fleet.BuildOptions{Dir: filepath.Join(dir, fmt.Sprint(i)), Race: c.Race, Replace: c.replace, Skew: skew, WorkerOnly: true})
		if err != nil {
			return err
		}
		c.skewed[i] = b.Worker
	}
	return nil
}

func (c *campaign) fleetOptions() fleet.Options {
	var env []string
	switch c.Crashes {
	case "none", "":
	case "some":
		env = []string{"CALLBUS_CRASHPOINTS=" + someCrashes}
	default:
		env = []string{"CALLBUS_CRASHPOINTS=" + c.Crashes}
	}
	return fleet.Options{
		Binaries: c.bin, Dir: c.Dir, NATSNodes: c.Nodes, Workers: c.Workers,
		SimArgs: append([]string{fmt.Sprintf("--seed=%d", c.Seed)}, simArgs...),
		Worker: func(i int) fleet.WorkerOptions {
			return fleet.WorkerOptions{Binary: c.skewed[i], Args: workerArgs, Env: env}
		},
	}
}

// run makes calls while things are broken, waits until everything is settled,
// and checks what is left.
func (c *campaign) run(ctx context.Context) (check.Report, check.History, error) {
	none := func(err error) (check.Report, check.History, error) { return check.Report{}, check.History{}, err }
	f, err := fleet.Start(ctx, c.fleetOptions())
	if err != nil {
		return none(err)
	}
	defer f.Close()
	js, err := connect(f.NATSURL())
	if err != nil {
		return none(err)
	}
	defer js.Conn().Close()
	var log io.Writer
	if !c.Quiet {
		log = c.out
	}
	n := nemesis.New(f, nemesis.Options{
		Seed: c.Seed, Lease: max(ackWait+graphTimeout, c.freeze), Every: c.Every, Log: log,
		Leader: func(stream string) string { return leader(ctx, js, stream) },
	})
	defer n.Tend()()
	settled, err := follow(ctx, js)
	if err != nil {
		return none(err)
	}
	defer settled.stop()

	l := load.New(js, load.Options{Prefix: commands.DefaultPrefix, Seed: c.Seed, Rate: c.Rate, Calls: c.Calls, Only: c.only})
	working, stop := context.WithTimeout(ctx, c.Duration)
	defer stop()
	var wg sync.WaitGroup
	var hurt, loaded error
	if !c.Calm {
		wg.Go(func() { hurt = n.Run(working) })
	}
	wg.Go(func() {
		loaded = l.Run(working)
		if c.Calls > 0 {
			stop()
		}
	})
	wg.Go(func() { c.progress(working, l, settled) })
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return none(err)
	}
	if hurt != nil || loaded != nil {
		return none(fmt.Errorf("chaos: %w, load: %w", orNone(hurt), orNone(loaded)))
	}
	c.settle(ctx, f, js, l, settled)
	h, err := check.Collect(ctx, js, commands.DefaultPrefix, f.SimURL())
	if err != nil {
		return none(err)
	}
	fmt.Fprintf(c.out, "stops by exit code (-1: killed meanwhile, or cut off from NATS until the end): %v\n", n.Stops())
	h.Commands, h.Incidents = l.Published(), n.Diary()
	h.Settings = check.Settings{AckWait: ackWait, GraphTimeout: graphTimeout, ReconcileWait: reconcileWait}
	return check.Check(h), h, nil
}

func orNone(err error) error {
	if err == nil {
		return fmt.Errorf("no error")
	}
	return err
}
