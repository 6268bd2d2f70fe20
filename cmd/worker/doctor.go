package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"callbus/internal/app"
	"callbus/internal/doctor"
	"callbus/internal/traces"
)

// doctorFlags look at a worker's surroundings: the worker's own flags, so that
// it looks with the same eyes.
type doctorFlags struct {
	serveFlags `embed:""`

	Output  string        `short:"o" enum:"table,json" default:"table" help:"table or json."`
	Timeout time.Duration `default:"10s" help:"Longest time one check may take."`
}

// Help stands above the flags.
func (f *doctorFlags) Help() string {
	return `Checks settings, NATS, streams, rights, budgets, token, Graph, callback URL, keys and clocks with the settings of a worker, which may be running: nothing is changed, and no port is opened. In a worker's container the flags of the running worker (process 1) count too, those given here before them. Exit code 0: nothing failed, 1: something did, 2: usage.`
}

// errFailed is the exit code of findings that have been printed.
var errFailed = errors.New("not everything is well")

// Run examines, prints, and fails when something does.
func (f *doctorFlags) Run(s *session) error {
	if f.Timeout <= 0 {
		return fmt.Errorf("--timeout is %s: want more than 0 (%w)", f.Timeout, errUsage)
	}
	var problems []error
	spans, err := traces.FromEnv(s.ctx, os.Getenv, "callbus-worker", programVersion())
	if err != nil {
		problems = append(problems, err)
	}
	_ = spans.Close(context.WithoutCancel(s.ctx)) // nothing was traced
	found := app.Doctor(s.ctx, f.options(slog.New(slog.DiscardHandler)), f.Timeout, s.running, problems...)
	if err := f.print(s.out, found); err != nil {
		return err
	}
	if n := doctor.Count(found, doctor.Fail); n > 0 {
		return fmt.Errorf("%w: %d of %d findings are failures", errFailed, n, len(found))
	}
	return nil
}

func (f *doctorFlags) print(w io.Writer, found []doctor.Finding) error {
	if f.Output == "json" {
		return doctor.JSON(w, found)
	}
	return doctor.Table(w, found)
}
