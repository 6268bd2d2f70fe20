package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"callbus/test/chaos/fleet"
)

// pacingFlags shape the benchmark of pacing.
type pacingFlags struct {
	Duration time.Duration `default:"2m" help:"Length of each scenario with an endless backlog; the others follow from it."`
	Rate     float64       `default:"50" help:"Requests a second that Graph allows, which nobody tells the workers."`
	Parked   int           `default:"100000" help:"Commands parked behind a closed gate."`
	Seconds  bool          `help:"Print what came of each second as well: answers taken and 429s."`
	Outage   time.Duration `default:"60s" help:"How long Graph is down."`
	Only     string        `help:"Run the scenarios whose names contain this."`
}

// pacingScenarios are all that is shown of pacing, in order. Each prints its
// figures as rows and tells whether they are what was promised.
var pacingScenarios = []struct {
	name string
	run  func(*pacingBench, context.Context) (bool, error)
}{
	{"quota/1", quotaScenario(1, false)},
	{"quota/3", quotaScenario(3, false)},
	{"quota/8", quotaScenario(8, false)},
	{"quota/1/rejects-count", quotaScenario(1, true)},
	{"quota/3/rejects-count", quotaScenario(3, true)},
	{"quota/8/rejects-count", quotaScenario(8, true)},
	{"change", (*pacingBench).change},
	{outageKinds[0].name, outageScenario(outageKinds[0])},
	{outageKinds[1].name, outageScenario(outageKinds[1])},
	{outageKinds[2].name, outageScenario(outageKinds[2])},
	{"tenants", (*pacingBench).tenants},
	{"parked", (*pacingBench).parked},
}

// pacingBench is a run of them.
type pacingBench struct {
	pacingFlags
	bin fleet.Binaries
}

// Run runs the scenarios, one after the other, each with processes of its own.
func (f *pacingFlags) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callbus-pacing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &pacingBench{pacingFlags: *f}
	if b.bin, err = fleet.Build(ctx, fleet.BuildOptions{Dir: dir}); err != nil {
		return err
	}
	red := 0
	for _, s := range pacingScenarios {
		if !strings.Contains(s.name, f.Only) {
			continue
		}
		ok, err := s.run(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if !ok {
			red++
		}
	}
	if red > 0 {
		fmt.Printf("%d scenarios red\n", red)
		return errRed
	}
	return nil
}

// row prints one figure of a scenario, with what was promised.
func row(scenario, figure, value, want string, ok bool) bool {
	verdict := "green"
	if !ok {
		verdict = "RED"
	}
	fmt.Printf("%-24s %-44s %16s   want %-12s %s\n", scenario, figure, value, want, verdict)
	return ok
}
