package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"golang.org/x/time/rate"
)

type sendCmd struct {
	File string `arg:"" optional:"" help:"NDJSON file; standard input by default or with -."`

	Rate       rateFlag      `placeholder:"N/s" help:"Lines sent a second at most: 50, 50/s, 600/m (no limit by default)."`
	ResumeFrom int           `placeholder:"LINE" help:"Skip the lines before this one."`
	Strict     bool          `help:"Read and check all lines first, and send nothing if one is bad."`
	NoCheck    bool          `help:"Publish without looking whether the commands are right."`
	Retry      time.Duration `default:"30s" help:"How long a line is offered again that a full queue or a lost connection refuses."`
	NoProgress bool          `help:"No progress bar."`
	Verbose    bool          `short:"v" help:"Show every line, not only those with a problem."`

	Wait    waitFlag      `group:"wait" help:"Wait until all commands have ended; with --wait=accepted, until Graph has taken them."`
	Timeout time.Duration `group:"wait" default:"2m" help:"Longest wait of --wait, from the last line on."`
}

func (c *sendCmd) Help() string {
	return `Every line is a command body plus "callRef" and "action", optionally "producer", "expect" (a status, or an object with status and error.code, error.class, error.reason) and "delay" (a duration to wait before the line). A line without "id" gets one that is the same in the next run, so a run may be repeated: nothing is executed twice.`
}

func (c *sendCmd) Run(s *session) error {
	if err := commands.CheckProducer(s.flags.Producer); err != nil {
		return usage(err)
	}
	if c.Wait != "" && c.Timeout <= 0 {
		return usagef("--timeout is %s: want more than nothing", c.Timeout)
	}
	in, end, err := c.open(s.std.in)
	if err != nil {
		return usage(err)
	}
	defer end()
	lines := producer.ParseLines(in, producer.ParseOptions{})
	t := &tally{session: s, bar: c.progress(s), verbose: c.Verbose, resumeFrom: max(c.ResumeFrom, 1), began: time.Now(), Status: map[commands.Status]int{}}
	if c.Strict {
		checked, good, err := c.checkAll(s, lines, t)
		if err != nil {
			return err
		}
		if !good {
			return &exitError{exitNotStored, errors.New("nothing was sent, for --strict and bad lines")}
		}
		lines = checked
	}
	client, disconnect, err := s.connect()
	if err != nil {
		return err
	}
	defer disconnect()
	return c.send(s, client, lines, t)
}

func (c *sendCmd) send(s *session, client *producer.Client, lines iter.Seq2[producer.Line, error], t *tally) error {
	var outcomes *producer.Outcomes
	if c.Wait != "" {
		outcomes = client.NewOutcomes(producer.Until(c.Wait), t.ended)
	}
	options := producer.BulkOptions{
		Producer: s.flags.Producer, Rate: rate.Limit(c.Rate), Retry: c.Retry, From: c.ResumeFrom,
		Check: c.check(s), Outcomes: outcomes,
	}
	err := client.SendLines(s.ctx, lines, options, t.sent)
	if outcomes != nil {
		ctx, cancel := context.WithTimeout(s.ctx, c.Timeout)
		defer cancel()
		t.missing(outcomes.Wait(ctx))
	}
	interrupted := s.ctx.Err() != nil && err != nil
	t.finish(interrupted)
	if err != nil && !interrupted {
		return err
	}
	return t.verdict(interrupted)
}

// progress is the bar; for a file it knows how many lines there are.
func (c *sendCmd) progress(s *session) *progress {
	if c.NoProgress || c.Verbose {
		return nil
	}
	return newProgress(s, "sending", "lines", c.countLines())
}

// check is the worker's own reading of each line, unless it is switched off.
func (c *sendCmd) check(s *session) func(producer.Line) error {
	if c.NoCheck {
		return nil
	}
	return func(l producer.Line) error { return l.Check(s.flags.Producer, s.checkOptions()) }
}

// checkAll reads everything and shows what is bad.
func (c *sendCmd) checkAll(s *session, lines iter.Seq2[producer.Line, error], t *tally) (checked iter.Seq2[producer.Line, error], good bool, err error) {
	var all []producer.Line
	var ids producer.LineIDs
	check := c.check(s)
	for line, err := range lines {
		if s.ctx.Err() != nil {
			return nil, false, context.Cause(s.ctx)
		}
		if _, isLine := errors.AsType[*producer.LineError](err); err != nil && !isLine {
			return nil, false, err
		}
		if err == nil {
			line, err = ids.Give(line, s.flags.Producer)
		}
		wanted := line.Number >= c.ResumeFrom
		if err == nil && check != nil && wanted {
			err = check(line)
		}
		if err == nil {
			all = append(all, line)
		} else if wanted {
			t.problem(err)
			t.Bad++
		}
	}
	return func(yield func(producer.Line, error) bool) {
		for _, line := range all {
			if !yield(line, nil) {
				return
			}
		}
	}, t.Bad == 0, nil
}

// open finds the lines.
func (c *sendCmd) open(stdin io.Reader) (in io.Reader, end func(), err error) {
	if c.File == "" || c.File == "-" {
		return stdin, func() {}, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory: want an NDJSON file", c.File)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil // read only: nothing to lose
}
