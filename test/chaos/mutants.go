package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// edit replaces one piece of a file's text.
type edit struct{ file, old, new string }

// mutant is a worker that breaks a promise on purpose.
type mutant struct {
	name  string
	edits []edit
	// how the campaign brings it out
	only    []string
	crashes string
	calm    bool
	freeze  time.Duration // how long a worker that stops itself stands still, at least
	// rules of which at least one must be broken
	want []string
}

// mutants are the worker's mistakes that the checker must see.
var mutants = []mutant{
	{
		name: "skip the head check",
		edits: []edit{{"internal/queue/queue.go", `(head bool, blocker uint64, err error) {
`, `(head bool, blocker uint64, err error) {
	return true, 0, nil
`}},
		only: []string{"talk"}, crashes: "none", calm: true, want: []string{"order", "overlap"},
	},
	{
		name: "skip started",
		edits: []edit{
			{"internal/executor/begin.go", `if !j.m.Action.Read() {`, `if false {`},
			{"internal/executor/send.go", `j.view.Own.Attempts`, `1`},
			{"internal/executor/settle.go", `own.Attempt != j.nonce`, `own != nil && own.Attempt != j.nonce`},
		},
		only: []string{"talk", "prompts"}, crashes: "kill:answered:place:0.1", want: []string{"dialled", "started"},
	},
	{
		name: "acknowledge before the result",
		edits: []edit{{"internal/executor/job.go", `func (j *job) finish(ctx context.Context, r ledger.Record) error {
`, `func (j *job) finish(ctx context.Context, r ledger.Record) error {
	_ = j.m.Ack()
	_, _ = j.m.Renew(ctx) // the server has the acknowledgement
	j.reach(crashpoint.Acked)
`}},
		only: []string{"talk"}, crashes: "kill:acked:*:0.01", want: []string{"final"},
	},
	{
		name: "send again after a 504",
		edits: []edit{{"internal/executor/verdict.go", `	return verdict{next: lost}
`, `	return verdict{next: again}
`}},
		only: []string{"talk", "prompts"}, crashes: "none", want: []string{"dialled", "overlap"},
	},
	{
		name: "ignore the lease",
		edits: []edit{
			{"internal/executor/begin.go", `case time.Until(j.m.LeaseEnd()) < j.x.opts.GraphTimeout/2, time.Since(j.startedAt) > j.x.opts.AckWait/2:`, `case false:`},
			{"internal/executor/send.go", `if end := j.m.LeaseEnd(); end.Before(deadline) {`, `if end := j.m.LeaseEnd(); false && end.Before(deadline) {`},
		},
		only: []string{"talk", "insisting"}, crashes: "pause:started:*:0.01", calm: true, freeze: 9 * time.Second, want: []string{"order", "dialled", "overlap"},
	},
	{
		name: "drop dead letters",
		edits: []edit{{"internal/ledger/dead.go", `func (j *Journal) Bury(ctx context.Context, letter commands.DeadLetter) error {
`, `func (j *Journal) Bury(ctx context.Context, letter commands.DeadLetter) error {
	if true {
		return nil
	}
`}},
		only: []string{"mistakes", "duplicates"}, crashes: "none", calm: true, want: []string{"dead"},
	},
	{
		name: "compare and swap on the command's own subject",
		edits: []edit{{"internal/ledger/append.go", `jetstream.WithExpectLastSequenceForSubject(v.Last, j.prefix.Results(v.Key.Call()))`,
			`jetstream.WithExpectLastSequencePerSubject(func() uint64 {
				if v.Own != nil {
					return v.Own.Seq
				}
				return 0
			}())`}},
		only: []string{"talk"}, crashes: "none", calm: true, want: []string{"chain"},
	},
	{
		name: "two reads instead of one view",
		edits: []edit{{"internal/ledger/read.go", `	v := View{Key: key}
`, `	v := View{Key: key}
	early, _ := j.stream.GetLastMsgForSubject(ctx, j.prefix.Result(key))
	crashpoint.Reach(crashpoint.Recalled, "read")
`}, {"internal/ledger/read.go", `		if records, err = j.lastOf(ctx, wanted); err != nil {
			return v, false, err
		}
`, `		if early != nil {
			records[own], _ = decodeRecord(early)
		}
		if s := j.placeSubject(key, v.PlaceID); s != "" {
			if msg, err := j.stream.GetLastMsgForSubject(ctx, s); err == nil && s != own {
				records[s], _ = decodeRecord(msg)
			}
		}
`}, {"internal/ledger/read.go", `	"callbus/internal/commands"
`, `	"callbus/internal/commands"
	"callbus/internal/crashpoint"
`}},
		only: []string{"duplicates"}, crashes: "pause:recalled:read:0.003", calm: true, want: []string{"dialled", "started", "final", "overlap", "order"},
	},
}

// mutantsFlags shape the runs of the mutants.
type mutantsFlags struct {
	Duration time.Duration `default:"25s" help:"How long each mutant works."`
	Rate     float64       `default:"100" help:"Commands a second."`
	Seed     uint64        `help:"What happens follows from it; a random one by default."`
	Only     string        `help:"Only the mutants whose name contains this."`
	Verbose  bool          `help:"Tell each blow and each verdict."`
}

// Run sees that every mutant is caught, and that the worker as it is is not.
func (f *mutantsFlags) Run(ctx context.Context) error {
	if f.Seed == 0 {
		f.Seed = rand.Uint64()
	}
	fmt.Printf("seed %d\n", f.Seed)
	all := append([]mutant{{name: "none: the worker as it is", crashes: "some"}}, mutants...)
	red := 0
	for _, m := range all {
		if !strings.Contains(m.name, f.Only) {
			continue
		}
		begun := time.Now()
		broken, err := f.try(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		verdict := "caught"
		switch {
		case len(m.edits) == 0 && len(broken) == 0:
			verdict = "green"
		case len(m.edits) == 0, !slices.ContainsFunc(m.want, func(rule string) bool { return broken[rule] > 0 }):
			verdict = "NOT AS IT SHOULD BE"
			red++
		}
		fmt.Printf("%-46s %-20s %5.1fs  %s\n", m.name, verdict, time.Since(begun).Seconds(), counted(broken))
	}
	if red > 0 {
		return errRed
	}
	return nil
}

func counted(broken map[string]int) string {
	var all []string
	for rule, n := range broken {
		all = append(all, fmt.Sprintf("%s %d", rule, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// try runs one mutant and counts the violations by rule.
func (f *mutantsFlags) try(ctx context.Context, m mutant) (map[string]int, error) {
	dir, err := os.MkdirTemp("", "callbus-mutant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	replace, err := m.replacements()
	if err != nil {
		return nil, err
	}
	c := campaign{
		campaignFlags: campaignFlags{Duration: f.Duration, Rate: f.Rate, Workers: 3, Nodes: 1, Seed: f.Seed, Every: 1500 * time.Millisecond, Crashes: m.crashes, Calm: m.calm, Quiet: !f.Verbose},
		out:           discardUnless(f.Verbose), only: m.only, replace: replace, freeze: m.freeze,
	}
	if len(m.edits) > 0 {
		c.patience = 45 * time.Second // some of them lose commands: their outcomes never come
	}
	if err := c.build(ctx, dir); err != nil {
		return nil, err
	}
	report, h, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	if f.Verbose {
		_ = c.verdict(report, h)
	}
	broken := map[string]int{}
	for _, v := range report.Violations {
		broken[v.Rule]++
	}
	return broken, nil
}

// replacements are the files with the edits made. Each old text must be there
// exactly once, or the mutant is not what it says.
func (m mutant) replacements() (map[string]string, error) {
	texts := map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(e.file)
		if err != nil {
			return nil, err
		}
		text, ok := texts[path]
		if !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: the text to be replaced is there %d times, want once: %q", e.file, n, e.old)
		}
		texts[path] = strings.Replace(text, e.old, e.new, 1)
	}
	return texts, nil
}

func discardUnless(verbose bool) io.Writer {
	if verbose {
		return os.Stdout
	}
	return io.Discard
}
