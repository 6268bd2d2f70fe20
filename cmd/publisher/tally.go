package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"
)

// tally counts what becomes of the lines of one send, and shows it. Its
// exported members are the summary.
type tally struct {
	Lines      int                     `json:"lines"`
	Sent       int                     `json:"sent"`
	Duplicate  int                     `json:"duplicate"` // stored before: part of Sent
	Refused    int                     `json:"refused"`
	Bad        int                     `json:"bad"`
	Status     map[commands.Status]int `json:"status"`
	Unexpected int                     `json:"unexpected"` // not succeeded, or not as the line expects
	NoOutcome  int                     `json:"noOutcome"`
	ElapsedMS  int64                   `json:"elapsedMs"`
	// ResumeFrom is the first line to send in another run; absent when
	// everything is stored.
	ResumeFrom int `json:"resumeFrom,omitempty"`

	session    *session
	bar        *progress
	verbose    bool
	began      time.Time
	resumeFrom int // of this run

	mu          sync.Mutex
	last        int // highest line reported
	firstUnsent int // lowest line refused; 0: none
	problems    int
}

// maxProblems is how many problems are shown; a stream that is not there would
// say the same for every line.
const maxProblems = 50

// sentLine is what -o json says of a line.
type sentLine struct {
	Line int `json:"line"`
	names
	Sequence  uint64 `json:"sequence,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Error     string `json:"error,omitempty"`
}

// sent is told of each line that was offered, refused or bad.
func (t *tally) sent(s producer.Sent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Lines++
	t.last = max(t.last, s.Line.Number)
	t.bar.add(1)
	switch {
	case s.Bad:
		t.Bad++
	case s.Err != nil:
		t.Refused++
		if t.firstUnsent == 0 || s.Line.Number < t.firstUnsent {
			t.firstUnsent = s.Line.Number
		}
	default:
		t.Sent++
		if s.Ack.Duplicate {
			t.Duplicate++
		}
	}
	if t.session.json() {
		line := sentLine{Line: s.Line.Number, names: names{s.Key.Producer, s.Key.CallRef, s.Key.ID, s.Line.Action}, Sequence: s.Ack.Sequence, Duplicate: s.Ack.Duplicate}
		if s.Err != nil {
			line.Error = s.Err.Error()
		}
		t.session.printJSON(line)
		return
	}
	if errors.Is(s.Err, producer.ErrEarlierLine) {
		s.Err = fmt.Errorf("line %d: %w", s.Line.Number, s.Err)
	}
	if s.Err != nil {
		t.problemLocked(s.Err)
	} else if t.verbose {
		t.bar.clear()
		fmt.Fprintf(t.session.std.out, "line %d  callRef %s  id %s  %s\n", s.Line.Number, s.Key.CallRef, s.Key.ID, s.Line.Action)
	}
}

// endedLine is what -o json says of an outcome.
type endedLine struct {
	Line       int             `json:"line"`
	Result     commands.Result `json:"result"`
	Unexpected string          `json:"unexpected,omitempty"`
}

// ended is told of each outcome.
func (t *tally) ended(o producer.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	conflict := errors.Is(o.Err, producer.ErrIDConflict)
	if !conflict {
		t.Status[o.Result.Status]++
	}
	if o.Err != nil {
		t.Unexpected++
	}
	if t.session.json() {
		line := endedLine{Line: o.Line.Number, Result: o.Result}
		if o.Err != nil {
			line.Unexpected = o.Err.Error()
		}
		t.session.printJSON(line)
		return
	}
	if o.Err == nil && !t.verbose {
		return
	}
	text := fmt.Sprintf("line %d  callRef %s  id %s  %s %s", o.Line.Number, o.Key.CallRef, o.Key.ID, o.Line.Action, o.Result.Status)
	if o.Err != nil {
		t.problemLocked(fmt.Errorf("%s: %w", join(text, account(o.Result)), o.Err))
		return
	}
	t.bar.clear()
	fmt.Fprintln(t.session.std.out, text)
}

// missing is told of the commands without an outcome.
func (t *tally) missing(keys []commands.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.NoOutcome = len(keys)
	for _, key := range keys {
		t.problemLocked(fmt.Errorf("callRef %s  id %s: %w", key.CallRef, key.ID, producer.ErrNoOutcome))
	}
}

func (t *tally) problem(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problemLocked(err)
}

func (t *tally) problemLocked(err error) {
	t.problems++
	if t.problems > maxProblems && !t.verbose {
		return
	}
	t.bar.clear()
	fmt.Fprintln(t.session.std.err, clean(err.Error()))
}

// finish prints the summary.
func (t *tally) finish(interrupted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bar.end()
	t.ElapsedMS = time.Since(t.began).Milliseconds()
	t.ResumeFrom = t.firstUnsent
	if interrupted && t.ResumeFrom == 0 {
		t.ResumeFrom = max(t.last+1, t.resumeFrom)
	}
	if hidden := t.problems - maxProblems; hidden > 0 && !t.verbose {
		fmt.Fprintf(t.session.std.err, "… and %d more\n", hidden)
	}
	if t.session.json() {
		t.session.printJSON(map[string]any{"summary": t})
		return
	}
	out := t.session.std.out
	fmt.Fprintf(out, "%d lines: %d sent (%d of them stored before), %d refused, %d bad, in %s\n",
		t.Lines, t.Sent, t.Duplicate, t.Refused, t.Bad, time.Duration(t.ElapsedMS)*time.Millisecond)
	for _, status := range commands.Statuses {
		if n := t.Status[status]; n > 0 {
			fmt.Fprintf(out, "  %s %d\n", pad(string(status), 10), n)
		}
	}
	if t.NoOutcome > 0 {
		fmt.Fprintf(out, "  %s %d\n", pad("no outcome", 10), t.NoOutcome)
	}
	if t.Unexpected > 0 {
		fmt.Fprintf(out, "%d did not end as expected\n", t.Unexpected)
	}
	if t.ResumeFrom > 0 {
		fmt.Fprintf(out, "go on with --resume-from %d\n", t.ResumeFrom)
	}
}

// verdict is the exit code: not stored weighs more than not succeeded, and
// that more than not known.
func (t *tally) verdict(interrupted bool) error {
	switch {
	case interrupted:
		return &exitError{exitNotStored, errors.New("interrupted")}
	case t.Refused+t.Bad > 0:
		return &exitError{code: exitNotStored}
	case t.Unexpected > 0:
		return &exitError{code: exitNotDone}
	case t.NoOutcome > 0:
		return &exitError{code: exitNoOutcome}
	}
	return nil
}
