package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/test/chaos/fleet"
)

// crashesFlags shape the table.
type crashesFlags struct {
	Fleets int    `default:"3" help:"Fleets side by side; the cases of one are done one after the other."`
	Only   string `help:"Only the cases whose name, ACTION/POINT, contains this."`
}

// crashCase is one action and the point at which its worker dies.
type crashCase struct {
	action commands.Action
	point  crashpoint.Point
}

// reached are the points that a command of the action comes to on its own way.
func reached(a commands.Action) []crashpoint.Point {
	points := []crashpoint.Point{crashpoint.Fetched, crashpoint.Recalled, crashpoint.Admitted}
	switch a {
	case commands.PlayPrompt, commands.Transfer, commands.Redirect:
		points = append(points, crashpoint.Opened)
	case commands.Hangup:
		points = append(points, crashpoint.Retired, crashpoint.Wanted)
	}
	switch a {
	case commands.Place, commands.PlayPrompt:
		points = append(points, crashpoint.Buried, crashpoint.Folded, crashpoint.Settled)
	}
	if !a.Read() {
		points = append(points, crashpoint.Started)
	}
	return append(points, crashpoint.Answered, crashpoint.Recorded, crashpoint.Bound, crashpoint.Acked)
}

// expected is what becomes of a command whose worker died at the point: the
// promise, as a function.
func expected(c crashCase) commands.Status {
	if c.point == crashpoint.Buried {
		return commands.Rejected
	}
	if c.point == crashpoint.Started && !c.action.Idempotent() {
		return commands.Unknown // nobody can tell it from a lost answer
	}
	return commands.Succeeded
}

// crashOutcome is one row of the table.
type crashOutcome struct {
	crashCase
	status   commands.Status
	reason   string
	attempts int
	requests int
	took     time.Duration
	records  []string
	err      error
}

// Run kills a worker at every point of every action and prints what became of
// the command.
func (f *crashesFlags) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callbus-crashes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := fleet.Build(ctx, fleet.BuildOptions{Dir: dir})
	if err != nil {
		return err
	}
	cases := make(chan crashCase)
	outcomes := make(chan crashOutcome)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var broken error
	for n := range f.Fleets {
		wg.Go(func() {
			if err := crashFleet(ctx, bin, filepath.Join(dir, fmt.Sprint(n)), cases, outcomes); err != nil {
				mu.Lock()
				broken = errors.Join(broken, err)
				mu.Unlock()
				for range cases { // nobody is to wait for this fleet
				}
			}
		})
	}
	go func() {
		defer close(cases)
		for _, a := range commands.Actions {
			for _, p := range reached(a) {
				if c := (crashCase{a, p}); strings.Contains(fmt.Sprintf("%s/%s", a, p), f.Only) {
					cases <- c
				}
			}
		}
	}()
	go func() { wg.Wait(); close(outcomes) }()
	var all []crashOutcome
	for o := range outcomes {
		all = append(all, o)
	}
	if broken != nil {
		return broken
	}
	return crashTable(all)
}

func crashTable(all []crashOutcome) error {
	slices.SortStableFunc(all, func(a, b crashOutcome) int {
		if d := slices.Index(commands.Actions, a.action) - slices.Index(commands.Actions, b.action); d != 0 {
			return d
		}
		return slices.Index(crashpoint.Points, a.point) - slices.Index(crashpoint.Points, b.point)
	})
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "action\tkilled after\trequests\trecords\toutcome\tafter\t")
	red := 0
	for _, o := range all {
		note := ""
		switch {
		case o.err != nil:
			note = "WRONG: " + o.err.Error()
		case o.status != expected(o.crashCase):
			note = fmt.Sprintf("WRONG: want %s", expected(o.crashCase))
		case !o.action.Idempotent() && o.requests > 1:
			note = "WRONG: sent twice"
		}
		if note != "" {
			red++
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%.1fs\t%s\n", o.action, o.point, o.requests, strings.Join(o.records, " "), strings.TrimSpace(string(o.status)+" "+o.reason), o.took.Seconds(), note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("%d cases, %d not as they should be\n", len(all), red)
	if red > 0 {
		return errRed
	}
	return nil
}

// crashFleet does cases on one fleet of two workers.
func crashFleet(ctx context.Context, bin fleet.Binaries, dir string, cases <-chan crashCase, outcomes chan<- crashOutcome) error {
	rules := filepath.Join(dir, "rules")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(rules, nil, 0o644); err != nil {
		return err
	}
	f, err := fleet.Start(ctx, fleet.Options{
		Binaries: bin, Dir: dir, Workers: 2, SimArgs: []string{"--answer-after=50ms", "--prompt-duration=100ms", "--ring-timeout=60s", "--log-level=warn"},
		Worker: func(int) fleet.WorkerOptions {
			return fleet.WorkerOptions{
				Args: []string{"--ack-wait=2s", "--graph-timeout=1s", "--reconcile-wait=5s", "--operation-timeout=3s", "--grace-period=2s"},
				Env:  []string{"CALLBUS_CRASHPOINTS=@" + rules},
			}
		},
	})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Ready(ctx); err != nil {
		return err
	}
	js, err := connect(f.NATSURL())
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	for c := range cases {
		k := &killing{fleet: f, js: js, rules: rules, crashCase: c, call: commands.CallKey{Producer: "crash", CallRef: fmt.Sprintf("%s-%s", c.action, c.point)}}
		o := crashOutcome{crashCase: c}
		if err := k.run(ctx, &o); err != nil {
			o.err = err
		}
		outcomes <- o
		if err := k.raise(ctx); err != nil {
			return err
		}
	}
	return nil
}
