package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"
)

// stopTally counts what becomes of the calls of one emergency stop, and shows
// it. Its exported members are the summary.
type stopTally struct {
	ID        string `json:"id,omitempty"` // begins the ids of the hang-ups; empty: a dry run
	Found     int    `json:"found"`
	Producers int    `json:"producers"`
	// TenantNotKnown counts the calls that may be of another tenant than the
	// one asked for.
	TenantNotKnown int                     `json:"tenantNotKnown,omitempty"`
	Endings        map[producer.Ending]int `json:"endings,omitempty"` // each of them; none: a dry run
	ElapsedMS      int64                   `json:"elapsedMs"`

	session  *session
	filter   producer.StopFilter
	bar      *progress
	began    time.Time
	names    map[string]bool
	problems int
}

func newStopTally(s *session, filter producer.StopFilter, id string) *stopTally {
	t := &stopTally{ID: id, session: s, filter: filter, began: time.Now(), names: map[string]bool{}}
	if id != "" {
		t.bar, t.Endings = newProgress(s, "hanging up", "calls", -1), map[producer.Ending]int{}
		for _, e := range producer.Endings {
			t.Endings[e] = 0
		}
	}
	return t
}

// found is told of the calls of each pass before they are hung up.
func (t *stopTally) found(targets []producer.Target) {
	first := t.Found == 0
	t.count(targets)
	t.bar.clear()
	if first {
		fmt.Fprintf(t.session.std.err, "publisher: %s: hanging up %s\n", t.ID, t.amount())
	} else {
		fmt.Fprintf(t.session.std.err, "publisher: %s: found %d more, now %s\n", t.ID, len(targets), t.amount())
	}
	t.bar.grow(len(targets))
}

func (t *stopTally) count(targets []producer.Target) {
	t.Found += len(targets)
	for _, target := range targets {
		t.names[target.Call.Producer] = true
		if t.filter.Tenant != "" && target.TenantID == "" {
			t.TenantNotKnown++
		}
	}
	t.Producers = len(t.names)
}

// amount is "12 calls of 2 producers".
func (t *stopTally) amount() string {
	text := plural(t.Found, "call") + " of " + plural(t.Producers, "producer")
	if t.TenantNotKnown > 0 {
		text += fmt.Sprintf(", the tenant of %d not known", t.TenantNotKnown)
	}
	return text
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// targetLine is what -o json says of a call.
type targetLine struct {
	Producer string           `json:"producer"`
	CallRef  string           `json:"callRef"`
	CallID   string           `json:"callId,omitempty"`
	TenantID string           `json:"tenantId,omitempty"`
	State    string           `json:"state,omitempty"`
	Queued   bool             `json:"queued,omitempty"` // its place is in the queue
	ID       string           `json:"id,omitempty"`     // of the hang-up
	Ending   producer.Ending  `json:"ending,omitempty"`
	Result   *commands.Result `json:"result,omitempty"`
	Error    string           `json:"error,omitempty"`
}

func lineOf(t producer.Target) targetLine {
	return targetLine{Producer: t.Call.Producer, CallRef: t.Call.CallRef, CallID: t.CallID, TenantID: t.TenantID, State: t.State, Queued: t.Queued}
}

// show is a call of a dry run.
func (t *stopTally) show(target producer.Target) {
	if t.session.json() {
		t.session.printJSON(lineOf(target))
		return
	}
	state := target.State
	if state == "" {
		state = "queued"
	}
	line := pad(target.Call.String(), 24) + " " + pad(state, 12)
	if target.CallID != "" {
		line += " call " + target.CallID
	}
	if target.TenantID != "" {
		line += " tenant " + target.TenantID
	}
	fmt.Fprintln(t.session.std.out, join(line))
}

// ended is told what became of each call.
func (t *stopTally) ended(o producer.StopOutcome) {
	t.Endings[o.Ending]++
	t.bar.add(1)
	if t.session.json() {
		line := lineOf(o.Target)
		line.ID, line.Ending = o.Key.ID, o.Ending
		if o.Result.Status != "" {
			line.Result = &o.Result
		}
		if o.Err != nil {
			line.Error = o.Err.Error()
		}
		t.session.printJSON(line)
		return
	}
	if o.Ending.Over() {
		return
	}
	if t.problems++; t.problems > maxProblems {
		return
	}
	why := account(o.Result)
	if o.Err != nil {
		why = o.Err.Error()
	}
	t.bar.clear()
	fmt.Fprintln(t.session.std.err, join(o.Target.Call.String(), "", endingText[o.Ending]+":", "id", o.Key.ID, why))
}

// endingText is how the table names the endings.
var endingText = map[producer.Ending]string{
	producer.HungUp: "hung up", producer.NeverPlaced: "never placed", producer.AlreadyOver: "already over",
	producer.NotKnown: "unknown", producer.NotDone: "failed", producer.NotStored: "not published", producer.NoOutcome: "no outcome",
}

// finish prints the summary.
func (t *stopTally) finish() {
	t.bar.end()
	t.ElapsedMS = time.Since(t.began).Milliseconds()
	if t.session.json() {
		t.session.printJSON(map[string]any{"summary": t})
		return
	}
	if hidden := t.problems - maxProblems; hidden > 0 {
		fmt.Fprintf(t.session.std.err, "… and %d more\n", hidden)
	}
	out := t.session.std.out
	switch {
	case t.Found == 0:
		fmt.Fprintln(out, "no calls found")
	case t.ID == "":
		fmt.Fprintf(out, "%s would be hung up\n", t.amount())
	default:
		fmt.Fprintf(out, "%s: %s, in %s\n", t.ID, t.amount(), time.Duration(t.ElapsedMS)*time.Millisecond)
		for _, e := range producer.Endings {
			if n := t.Endings[e]; n > 0 {
				fmt.Fprintf(out, "  %s %d\n", pad(endingText[e], 13), n)
			}
		}
	}
}

// verdict is the exit code: not published weighs more than not over, and that
// more than not known; err is the search's.
func (t *stopTally) verdict(err error) error {
	late := errors.Is(err, producer.ErrNoOutcome)
	switch {
	case errors.Is(err, context.Canceled):
		return &exitError{exitNotStored, errors.New("interrupted")}
	case err != nil && !late:
		return err
	case t.Endings[producer.NotStored] > 0:
		return &exitError{code: exitNotStored}
	case t.Endings[producer.NotKnown]+t.Endings[producer.NotDone] > 0:
		return &exitError{code: exitNotDone}
	case late:
		return err
	case t.Endings[producer.NoOutcome] > 0:
		return &exitError{code: exitNoOutcome}
	}
	return nil
}
