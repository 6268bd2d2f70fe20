package check

import (
	"slices"

	"callbus/internal/commands"
)

// next says which status may follow which; "" stands for no record yet. A command
// that was begun and certainly not taken can still come to its end unsent.
var next = map[commands.Status][]commands.Status{
	"": {commands.Waiting, commands.Started, commands.Failed, commands.Rejected, commands.Expired,
		commands.Cancelled, commands.Superseded},
	commands.Waiting: {commands.Waiting, commands.Started, commands.Failed, commands.Rejected, commands.Expired,
		commands.Cancelled, commands.Superseded},
	commands.Started: {commands.Waiting, commands.Started, commands.Accepted, commands.Succeeded, commands.Failed,
		commands.Expired, commands.Unknown},
	commands.Accepted: {commands.Succeeded, commands.Failed, commands.Cancelled, commands.Unknown},
}

// mayFollow is next, with what is different for some actions: reads are not begun,
// and a hang-up may find out without a request that there is nothing to do, or that
// nobody knows.
func mayFollow(a commands.Action, from, to commands.Status) bool {
	unsent := from == "" || from == commands.Waiting
	switch {
	case a.Read():
		return unsent && to != commands.Started && to != commands.Accepted && to != commands.Unknown
	case a == commands.Hangup && unsent && (to == commands.Succeeded || to == commands.Unknown):
		return true
	case to == commands.Cancelled && a != commands.Place, to == commands.Superseded && a == commands.Place:
		return false
	}
	return slices.Contains(next[from], to)
}

// checkFinal wants every command to go its way to exactly one final record, and
// nothing after that but the one correction of an unknown.
func checkFinal(x *index, broken breach) {
	for _, r := range x.stray {
		broken(r.Key(), "record %d, %s, of a command that nobody published", r.Seq, r.Status)
	}
	for _, c := range x.commands {
		if c.final == nil {
			broken(c.key, "%s has no final record; its last is %s", c.Action, lastStatus(c))
		}
		x.checkWay(c, broken)
		if c.Command.Invalid && c.final != nil && !x.invalidEnd(c) {
			broken(c.key, "an invalid %s ended %s", c.Action, c.final.Status)
		}
	}
}

// invalidEnd tells whether an invalid command ended as one may: a hang-up can come
// before anybody has looked at it.
func (x *index) invalidEnd(c *command) bool {
	switch c.final.Status {
	case commands.Rejected:
		return true
	case commands.Superseded, commands.Cancelled:
		after := x.call(c.key.Call()).commands[c.place+1:]
		return slices.ContainsFunc(after, func(o *command) bool { return o.Action == commands.Hangup })
	}
	return false
}

func lastStatus(c *command) commands.Status {
	if len(c.records) == 0 {
		return "none"
	}
	return c.records[len(c.records)-1].Status
}

func (x *index) checkWay(c *command, broken breach) {
	body := commands.BodyHash(c.Action, c.Command.Body)
	status := commands.Status("")
	var final *Record
	corrected := false
	for _, r := range c.records {
		switch {
		case r.Final != r.Status.Final():
			broken(c.key, "record %d is %s with final %t", r.Seq, r.Status, r.Final)
		case r.Action != c.Action:
			broken(c.key, "record %d is of a %s; published was a %s", r.Seq, r.Action, c.Action)
		case r.Body != "" && r.Body != body:
			broken(c.key, "record %d, %s, is of another body than the one published first", r.Seq, r.Status)
		}
		switch {
		case r.Corrects != 0:
			switch {
			case final == nil || final.Status != commands.Unknown || r.Corrects != final.Seq:
				broken(c.key, "record %d corrects %d, which is not the command's unknown", r.Seq, r.Corrects)
			case corrected:
				broken(c.key, "record %d is a second correction", r.Seq)
			case !r.Status.Final() || r.Status == commands.Unknown:
				broken(c.key, "record %d corrects the unknown with %s", r.Seq, r.Status)
			}
			corrected = true
		case final != nil:
			broken(c.key, "record %d, %s, comes after the final %d, %s", r.Seq, r.Status, final.Seq, final.Status)
		case !mayFollow(c.Action, status, r.Status):
			broken(c.key, "record %d: %s after %s", r.Seq, r.Status, orNone(status))
		}
		if final == nil && r.Status.Final() {
			final = r
		}
		status = r.Status
	}
}

func orNone(s commands.Status) commands.Status {
	if s == "" {
		return "no record"
	}
	return s
}
