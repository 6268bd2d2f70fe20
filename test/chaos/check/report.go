package check

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"callbus/internal/commands"
)

// Violation is one promise that was not kept.
type Violation struct {
	Rule      string // see Rules
	Call      commands.CallKey
	CommandID string // "" when it is about the call
	Text      string
}

// String is the violation in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s %s: %s", v.Rule, v.Call, cmp.Or(v.CommandID, "-"), v.Text)
}

// UnknownCause is why nobody could find out what became of a command.
type UnknownCause string

// The causes of an unknown that was not corrected.
const (
	// NotSent: "started" was stored and nothing was done by Graph; whoever had it
	// was stopped between the two, or the request got lost on the way.
	NotSent UnknownCause = "notSent"
	// AnswerAndNotificationLost: Graph did it, and neither way back worked.
	AnswerAndNotificationLost UnknownCause = "answerAndNotificationLost"
	// HangupOfUnknown: a hang-up of a call whose place is unknown.
	HangupOfUnknown UnknownCause = "hangupOfUnknown"
	// EndedUnseen: the call was over, and its last notification did not come.
	EndedUnseen UnknownCause = "endedUnseen"
	// OperationUnseen: the operation's notification did not come.
	OperationUnseen UnknownCause = "operationUnseen"
	// Avoidable: there was a proof, or nothing had gone wrong. Always a violation.
	Avoidable UnknownCause = "avoidable"
)

// Report is what a history comes down to.
type Report struct {
	Violations []Violation

	Commands      int // published, each id once
	Copies        int // further copies of the very same
	Conflicts     int // ids used again with another body
	Invalid       int
	CallsCreated  int
	Requests      int
	Executed      int // requests that Graph tried
	Cut           int // requests without an answer
	Records       int
	Events        int
	Ended         int // events "ended"
	Orphans       int // calls that nobody wanted and that were hung up
	Corrections   int
	Takeovers     int // commands with more than one attempt
	StaleLetters  int // dead letters of commands that had another outcome after all
	Queued        int
	Incidents     int
	Statuses      map[commands.Status]int // outcomes as they stand, corrections included
	Unknowns      map[UnknownCause]int    // not corrected
	Dead          map[commands.Cause]int
	Notifications map[string]int // by outcome: pending, sent, lost, refused
	// Excused counts what looked wrong and was Graph's doing, by reason.
	Excused map[string]int
}

func newReport(h *History) *Report {
	rep := &Report{
		CallsCreated: len(h.Calls), Requests: len(h.Requests), Records: len(h.Records), Events: len(h.Events),
		Queued: len(h.Queued), Incidents: len(h.Incidents),
		Statuses: map[commands.Status]int{}, Unknowns: map[UnknownCause]int{}, Dead: map[commands.Cause]int{},
		Notifications: map[string]int{}, Excused: map[string]int{},
	}
	for i := range h.Requests {
		r := &h.Requests[i]
		if r.Executed {
			rep.Executed++
		}
		if r.Status == 0 {
			rep.Cut++
		}
	}
	for i := range h.Events {
		switch e := &h.Events[i]; {
		case e.Kind == commands.KindEnded:
			rep.Ended++
		case e.Kind == commands.KindOther && e.Reason == "orphan":
			rep.Orphans++
		}
	}
	for i := range h.Dead {
		rep.Dead[h.Dead[i].Cause]++
	}
	for i := range h.Calls {
		for _, n := range h.Calls[i].Notifications {
			rep.Notifications[n.Outcome]++
		}
	}
	return rep
}

// count adds what the index knows.
func (rep *Report) count(x *index) {
	for _, c := range x.commands {
		rep.Commands++
		rep.Copies += max(c.Copies-1, 0)
		rep.Conflicts += c.Conflicts
		if c.Command.Invalid {
			rep.Invalid++
		}
		if c.correction != nil {
			rep.Corrections++
		}
		if len(c.starts) > 1 {
			rep.Takeovers++
		}
		if s := c.status(); s != "" {
			rep.Statuses[s]++
		}
	}
}

// OK tells whether every promise was kept.
func (rep Report) OK() bool { return len(rep.Violations) == 0 }

// shown is how many violations are written in full.
const shown = 20

// Write writes the report for a person to read: counts, outcomes, causes of
// unknowns, and the first violations.
func (rep Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\n", name, value) }
	line("commands", fmt.Sprintf("%d, %d further copies, %d with another body, %d invalid", rep.Commands, rep.Copies, rep.Conflicts, rep.Invalid))
	line("calls created", fmt.Sprintf("%d, %d ended, %d orphans", rep.CallsCreated, rep.Ended, rep.Orphans))
	line("requests", fmt.Sprintf("%d, %d executed, %d without an answer", rep.Requests, rep.Executed, rep.Cut))
	line("notifications", counts(rep.Notifications))
	line("records", fmt.Sprintf("%d, and %d events", rep.Records, rep.Events))
	line("incidents", rep.Incidents)
	line("sent again", rep.Takeovers)
	line("outcomes", counts(rep.Statuses))
	line("corrections", rep.Corrections)
	line("unknown, why", counts(rep.Unknowns))
	line("dead letters", fmt.Sprintf("%s; %d of commands that ended otherwise", counts(rep.Dead), rep.StaleLetters))
	if len(rep.Excused) > 0 {
		line("excused", counts(rep.Excused))
	}
	line("still queued", rep.Queued)
	line("violations", len(rep.Violations))
	byRule := map[string]int{}
	for _, v := range rep.Violations {
		byRule[v.Rule]++
	}
	for _, rule := range slices.Sorted(maps.Keys(byRule)) {
		line("  "+rule, byRule[rule])
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, v := range rep.Violations {
		if i == shown {
			_, err := fmt.Fprintf(w, "and %d more\n", len(rep.Violations)-shown)
			return err
		}
		if _, err := fmt.Fprintln(w, v); err != nil {
			return err
		}
	}
	return nil
}

// counts is a map of counts in one line, the keys sorted.
func counts[K ~string](m map[K]int) string {
	text := ""
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %d", k, m[k])
	}
	return cmp.Or(text, "none")
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }
