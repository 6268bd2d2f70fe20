package check

import (
	"slices"

	"callbus/internal/commands"
)

// checkDead wants a dead letter for every command that is unknown or rejected and
// for every other body under a used id, and none for anything else.
func checkDead(x *index, broken breach) {
	for i := range x.h.Dead {
		if d := &x.h.Dead[i]; x.byID[d.Key()] == nil {
			broken(d.Key(), "dead letter, %s, of a command that nobody published", d.Cause)
		}
	}
	for _, c := range x.commands {
		x.checkLetters(c, broken)
	}
}

func (x *index) checkLetters(c *command, broken breach) {
	conflicts := map[uint64]bool{}
	var proper []*commands.DeadLetter // those that fit the final record
	for _, d := range c.letters {
		switch {
		case d.Cause == commands.CauseIDConflict:
			conflicts[d.Sequence] = true
			if body, err := d.OriginalBody(); err == nil && string(body) == string(c.Command.Body) {
				broken(c.key, "the command that was published first is the dead letter idConflict")
			}
		case c.final != nil && fits(c.final.Status, d.Cause):
			proper = append(proper, d)
		case x.explained(c, d):
			x.report.StaleLetters++
		default:
			broken(c.key, "dead letter, %s, of a %s that is %s", d.Cause, c.Action, orNone(c.status()))
		}
	}
	if len(conflicts) < c.Conflicts || (len(conflicts) > 0 && c.Conflicts == 0) {
		broken(c.key, "%d dead letters idConflict; another body was published %d times", len(conflicts), c.Conflicts)
	}
	if c.final == nil || (c.final.Status != commands.Unknown && c.final.Status != commands.Rejected) {
		return
	}
	if len(proper) == 0 {
		broken(c.key, "%s is %s and has no dead letter", c.Action, c.final.Status)
		return
	}
	if c.records[0] != c.final && !slices.ContainsFunc(proper, func(d *commands.DeadLetter) bool { return len(d.Ledger) > 0 }) {
		broken(c.key, "the dead letter, %s, has no ledger; the command had a record before", proper[0].Cause)
	}
}

// fits tells whether a cause belongs to a final status.
func fits(s commands.Status, cause commands.Cause) bool {
	switch s {
	case commands.Unknown:
		return cause == commands.CauseUnknown
	case commands.Rejected:
		return cause != commands.CauseUnknown
	}
	return false
}

// explained tells whether a letter was true when it was written: nothing was
// decided yet, and another writer, a proof or a hang-up, was faster with the record
// that was to follow it.
func (x *index) explained(c *command, d *commands.DeadLetter) bool {
	if slices.ContainsFunc(d.Ledger, func(r commands.Result) bool { return r.Final }) || c.final == nil {
		return false
	}
	switch {
	case d.Cause == commands.CauseUnknown:
		return len(c.starts) > 0
	case d.Cause == commands.CauseCallLives && len(c.starts) > 0:
		// It did live. Who said so died before the record, and the next worker found
		// the name free.
		return slices.ContainsFunc(x.harm, func(i Incident) bool {
			return i.Kind == "kill" && i.overlaps(d.Time, c.starts[0].Stored)
		})
	}
	return c.final.Status == commands.Superseded || c.final.Status == commands.Cancelled
}
