package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"callbus/internal/commands"
	"callbus/test/chaos/check"
	"callbus/test/chaos/fleet"
	"callbus/test/chaos/load"
)

// rollingFlags shape the update.
type rollingFlags struct {
	Old     string        `help:"Git ref of the old workers; this source with another version by default."`
	Workers int           `default:"3" help:"Old workers, and as many new ones."`
	Rate    float64       `default:"60" help:"Commands a second."`
	Every   time.Duration `default:"5s" help:"Before each stop of an old worker, and after the last."`
	Seed    uint64        `default:"1" help:"The calls follow from it."`
	Dir     string        `help:"Keep logs, stores and the history here."`
}

// Run updates a fleet while calls are made.
func (f *rollingFlags) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callbus-rolling-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := campaign{campaignFlags: campaignFlags{Seed: f.Seed, Dir: f.Dir, Nodes: 1, Workers: 2 * f.Workers}, out: os.Stdout}
	if err := c.build(ctx, dir); err != nil {
		return err
	}
	old, err := buildOld(ctx, dir, f.Old)
	if err != nil {
		return err
	}
	options := c.fleetOptions()
	options.Worker = func(i int) fleet.WorkerOptions {
		if i < f.Workers {
			return fleet.WorkerOptions{Binary: old, Args: append([]string{fmt.Sprintf("--worker-name=old-%d", i+1)}, workerArgs...)}
		}
		return fleet.WorkerOptions{Args: append([]string{fmt.Sprintf("--worker-name=new-%d", i-f.Workers+1)}, workerArgs...)}
	}
	fl, err := fleet.Start(ctx, options)
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
	settled, err := follow(ctx, js)
	if err != nil {
		return err
	}
	defer settled.stop()

	l := load.New(js, load.Options{Prefix: commands.DefaultPrefix, Seed: f.Seed, Rate: f.Rate})
	working, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var loaded error
	wg.Go(func() { loaded = l.Run(working) })
	stopped := f.stopOld(ctx, fl)
	stop()
	wg.Wait()
	if err := errors.Join(stopped, loaded, ctx.Err()); err != nil {
		return err
	}
	c.settle(ctx, fl, js, l, settled)
	h, err := check.Collect(ctx, js, commands.DefaultPrefix, fl.SimURL())
	if err != nil {
		return err
	}
	h.Commands = l.Published()
	h.Settings = check.Settings{AckWait: ackWait, GraphTimeout: graphTimeout, ReconcileWait: reconcileWait}
	if err := worked(h, f.Workers); err != nil {
		return err
	}
	return c.verdict(check.Check(h), h)
}

// stopOld ends the old workers one by one. Each has to stop cleanly.
func (f *rollingFlags) stopOld(ctx context.Context, fl *fleet.Fleet) error {
	pause := func() error {
		select {
		case <-time.After(f.Every):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i, w := range fl.Workers()[:f.Workers] {
		if err := pause(); err != nil {
			return err
		}
		at := time.Now()
		if err := w.Term(); err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := w.Wait(wait)
		cancel()
		if err != nil {
			return err
		}
		fmt.Printf("old-%d stopped after %.1f s, exit %d\n", i+1, time.Since(at).Seconds(), w.ExitCode())
		if w.ExitCode() != 0 {
			return errRed
		}
	}
	return pause()
}

// worked sees that every worker, old and new, did a part: otherwise nothing was
// shown.
func worked(h check.History, each int) error {
	records := map[string]int{}
	for _, r := range h.Records {
		records[r.Worker]++
	}
	for _, version := range []string{"old", "new"} {
		for i := range each {
			name := fmt.Sprintf("%s-%d", version, i+1)
			if records[name] == 0 {
				return fmt.Errorf("%s wrote no record", name)
			}
			fmt.Printf("%s: %d records\n", name, records[name])
		}
	}
	return nil
}

// buildOld builds the worker of another commit, without crash points; of no ref
// this source, with another version.
func buildOld(ctx context.Context, dir, ref string) (string, error) {
	binary, source := filepath.Join(dir, "old"), "."
	if ref != "" {
		source = filepath.Join(dir, "source")
		if err := os.Mkdir(source, 0o755); err != nil {
			return "", err
		}
		archive := filepath.Join(dir, "source.tar")
		for _, args := range [][]string{{"git", "archive", "--output=" + archive, ref}, {"tar", "-xf", archive, "-C", source}} {
			if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
				return "", fmt.Errorf("source of %s: %w: %s", ref, err, out)
			}
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-X main.version=old", "-o", binary, "./cmd/worker")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the old worker: %w: %s", err, out)
	}
	return binary, nil
}
