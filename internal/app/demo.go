package app

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/producer"
)

// Sample is the built-in script of the demo.
//
//go:embed sample.ndjson
var Sample []byte

// demoProducer publishes lines that name no producer.
const demoProducer = "demo"

// DemoOptions shape a run.
type DemoOptions struct {
	Dev     DevOptions
	Script  io.Reader // nil: the built-in sample
	Timeout time.Duration
	JSON    bool // a result a line instead of a table
}

// ErrExpectation says that a command did not end as its line expects.
var ErrExpectation = errors.New("not as expected")

// Demo runs a script of commands on the embedded stack, tells each outcome as
// it comes and a summary at the end. It returns ErrExpectation, with every
// deviation on its own line of out, unless each command ended as its line
// expects.
func Demo(ctx context.Context, o DemoOptions, out io.Writer) (err error) {
	if o.Script == nil {
		o.Script = bytes.NewReader(Sample)
	}
	lines, err := readScript(o.Script)
	if err != nil {
		return err
	}
	s, err := StartStack(ctx, o.Dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	nc, err := nats.Connect(s.NATS.URL(), nats.Name("callbus demo"))
	if err != nil {
		return fmt.Errorf("connect the demo's producer: %w", err)
	}
	defer nc.Close()
	client, err := producer.New(nc, s.Worker.opts.Streams.Prefix)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	return (&demo{opts: o, stack: s, client: client, out: out, begun: time.Now(), calls: map[commands.CallKey]string{}}).run(ctx, lines)
}

func readScript(r io.Reader) ([]producer.Line, error) {
	var lines []producer.Line
	var wrong []error
	var ids producer.LineIDs
	for line, err := range producer.ParseLines(r, producer.ParseOptions{Demo: true}) {
		if err == nil {
			line, err = ids.Give(line, demoProducer)
		}
		if err == nil {
			err = line.Check(demoProducer, commands.DecodeOptions{DefaultTenant: graphsim.DefaultTenantID})
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		lines = append(lines, line)
	}
	switch {
	case len(wrong) > 0:
		return nil, fmt.Errorf("%w: %w", ErrOptions, errors.Join(wrong...))
	case len(lines) == 0:
		return nil, fmt.Errorf("%w: the script has no commands", ErrOptions)
	}
	return lines, nil
}

// demo is one run.
type demo struct {
	opts   DemoOptions
	stack  *Stack
	client *producer.Client
	out    io.Writer
	begun  time.Time

	mu       sync.Mutex
	calls    map[commands.CallKey]string // Graph call ids, from results
	statuses map[commands.Status]int
	wrong    []string
}

func (d *demo) run(ctx context.Context, lines []producer.Line) error {
	d.statuses = map[commands.Status]int{}
	outcomes := d.client.NewOutcomes(producer.UntilFinal, d.report)
	sent := 0
	err := d.client.SendLines(ctx, d.resolved(ctx, lines), producer.BulkOptions{Producer: demoProducer, Window: 1, Outcomes: outcomes}, func(s producer.Sent) {
		if s.Err != nil {
			d.deviate(fmt.Sprintf("line %d: %s %s: %v", s.Line.Number, s.Line.CallRef, s.Line.Action, s.Err))
			return
		}
		sent++
	})
	missing := outcomes.Wait(ctx)
	for _, key := range missing {
		d.deviate(fmt.Sprintf("%s %s: no outcome within %s", key.CallRef, key.ID, d.opts.Timeout))
	}
	d.summary(sent)
	switch {
	case err != nil && ctx.Err() == nil:
		return err
	case len(d.wrong) > 0:
		return fmt.Errorf("%w: %d of %d commands", ErrExpectation, len(d.wrong), len(lines))
	}
	return nil
}

// resolved hands out the lines, each when what it refers to is there.
func (d *demo) resolved(ctx context.Context, lines []producer.Line) iter.Seq2[producer.Line, error] {
	return func(yield func(producer.Line, error) bool) {
		for _, line := range lines {
			if line.Incoming != nil {
				id, err := d.ringIn(line.Incoming)
				if err != nil {
					yield(line, fmt.Errorf("line %d: incoming: %w", line.Number, err))
					return
				}
				line = line.WithCallID(id)
			}
			line, err := line.Resolve(func(p producer.Placeholder) (string, error) { return d.await(ctx, p) })
			if !yield(line, err) {
				return
			}
		}
	}
}

// ringIn makes the simulator call the bot.
func (d *demo) ringIn(incoming json.RawMessage) (string, error) {
	var in graphsim.IncomingCall
	if err := json.Unmarshal(incoming, &in); err != nil {
		return "", err
	}
	if in.CallbackURI == "" {
		in.CallbackURI = d.stack.Worker.opts.CallbackURL + "/v1/notifications"
	}
	return d.stack.Sim.Sim.Incoming(in)
}

// await waits for what a placeholder stands for: the Graph call id of a call
// that the script placed, or the content shared in it.
func (d *demo) await(ctx context.Context, p producer.Placeholder) (string, error) {
	key := commands.CallKey{Producer: demoProducer, CallRef: p.CallRef}
	for {
		e, ok, err := d.stack.Worker.calls.Registry.Get(ctx, key)
		if err != nil {
			return "", err
		}
		if ok && e.Established() {
			if p.Kind == "callId" {
				return e.CallID, nil
			}
			if c, ok := d.stack.Sim.Sim.Call(e.CallID); ok && len(c.ContentSharingSessions) > 0 {
				return c.ContentSharingSessions[0], nil
			}
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return "", fmt.Errorf("%s: %w", p, context.Cause(ctx))
		}
	}
}

// report tells one outcome as it comes.
func (d *demo) report(o producer.Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := o.Result
	d.statuses[r.Status]++
	if o.Err != nil {
		why := o.Err
		if inner := errors.Unwrap(why); inner != nil {
			why = inner // without its own mention of the line
		}
		d.wrong = append(d.wrong, fmt.Sprintf("line %d: %s %s %s: %v", o.Line.Number, r.CallRef, r.Action, r.CommandID, why))
	}
	if d.opts.JSON {
		body, err := json.Marshal(r)
		if err == nil {
			fmt.Fprintf(d.out, "%s\n", body)
		}
		return
	}
	mark := "ok"
	if o.Err != nil {
		mark = "NOT AS EXPECTED"
	}
	fmt.Fprintf(d.out, "%7.2fs  %-18s %-27s %-11s %-44s %s\n", time.Since(d.begun).Seconds(), r.CallRef, r.Action, r.Status, because(r), mark)
}

// because is why a command ended as it did, in a few words.
func because(r commands.Result) string {
	switch e := r.Error; {
	case e != nil && e.Reason != "" && e.Reason != e.Code:
		return fmt.Sprintf("%s: %s (%s)", e.Class, e.Reason, e.Code)
	case e != nil:
		return fmt.Sprintf("%s: %s", e.Class, e.Code)
	}
	return r.Reason
}

func (d *demo) deviate(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wrong = append(d.wrong, text)
}

func (d *demo) summary(sent int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opts.JSON {
		for _, text := range d.wrong {
			fmt.Fprintf(d.out, "%s\n", mustJSON(map[string]string{"deviation": text}))
		}
		return
	}
	fmt.Fprintf(d.out, "\n%d commands in %.1f s:", sent, time.Since(d.begun).Seconds())
	for _, s := range commands.Statuses {
		if n := d.statuses[s]; n > 0 {
			fmt.Fprintf(d.out, " %d %s", n, s)
		}
	}
	if len(d.wrong) == 0 {
		fmt.Fprintln(d.out, "; every one as expected")
		return
	}
	fmt.Fprintf(d.out, "; %d not as expected:\n", len(d.wrong))
	for _, text := range d.wrong {
		fmt.Fprintln(d.out, "  "+text)
	}
}

func mustJSON(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return body
}
