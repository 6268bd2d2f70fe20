// Incident stages incidents on real processes with a real Prometheus that scrapes
// the workers and evaluates the chart's rules, and prints which alerts fired
// after how long and which stayed silent. Run it with "make incident".
//
// So that minutes pass in seconds, every duration of the rules (for, ranges and
// offsets) is divided by a factor, and so is the scrape interval. The workers' own
// times stay as they are.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"callbus/test/chaos/fleet"

	"callbus/internal/signals"
)

type cli struct {
	Prometheus string        `required:"" help:"Prometheus' binary."`
	Rules      []string      `arg:"" help:"Rule files."`
	Factor     int           `default:"30" help:"What the durations of the rules are divided by."`
	Only       string        `help:"Stage this incident alone."`
	For        time.Duration `default:"50s" help:"How long an incident lasts."`
	Calm       time.Duration `default:"12s" help:"How long all is well before it; no alert may fire then."`
}

// errRed says that an incident went otherwise than expected, which is printed.
var errRed = errors.New("red")

func main() {
	ctx := signals.Context()
	var flags cli
	_ = kong.Parse(&flags, kong.Name("incident"), kong.Description("Stages incidents and shows which alerts fire."))
	if err := flags.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "incident: %v\n", err)
		os.Exit(1)
	}
}

func (f *cli) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callbus-incident-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := fleet.Build(ctx, fleet.BuildOptions{Dir: dir})
	if err != nil {
		return err
	}
	red, staged := false, 0
	for _, i := range incidents {
		if f.Only != "" && f.Only != i.name {
			continue
		}
		staged++
		ok, err := f.stage(ctx, bin, i)
		if err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		red = red || !ok
	}
	if staged == 0 {
		return fmt.Errorf("there is no incident %q", f.Only)
	}
	if red {
		return errRed
	}
	return nil
}
