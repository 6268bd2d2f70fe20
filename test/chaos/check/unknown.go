package check

import (
	"slices"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// checkUnknown finds out, from the evidence, why each unknown that was not corrected
// could not be avoided.
func checkUnknown(x *index, broken breach) {
	for _, c := range x.commands {
		if c.final == nil || c.final.Status != commands.Unknown || c.correction != nil {
			continue
		}
		cause, flaw := x.causeOf(c)
		if flaw != "" {
			broken(c.key, "avoidable unknown of %s (%s): %s", c.Action, code(c.final), flaw)
			cause = Avoidable
		}
		x.report.Unknowns[cause]++
	}
}

func code(r *Record) string {
	if r.Error == nil {
		return "no error"
	}
	return r.Error.Code
}

// causeOf is the cause of an unknown, or the flaw that makes it avoidable. The
// codes are those of the worker, which says how it came to its end; what is
// believed is the evidence.
func (x *index) causeOf(c *command) (cause UnknownCause, flaw string) {
	switch code(c.final) {
	case "placeUnknown":
		return x.hangupOfUnknown(c)
	case "endedUnseen":
		return x.endedUnseen(c)
	case "operationUnseen":
		return x.operationUnseen(c)
	}
	return x.answerLost(c)
}

// hangupOfUnknown wants a place of the name that is unknown to this day.
func (x *index) hangupOfUnknown(c *command) (UnknownCause, string) {
	if slices.ContainsFunc(x.call(c.key.Call()).commands[:c.place], func(o *command) bool {
		return o.Action == commands.Place && o.status() == commands.Unknown
	}) {
		return HangupOfUnknown, ""
	}
	return "", "no place before it is still unknown"
}

// lag is how long an event can take to be folded when nothing is wrong, and how
// long when a worker was hurt with the event in hand.
func (x *index) lag(stored, by time.Time) time.Duration {
	if x.hurt("", stored, by) {
		return x.settings.AckWait + settled
	}
	return slack
}

// weigh judges a proof of what became of a command: one that came in time or that
// could have brought a correction makes the unknown avoidable.
func (x *index) weigh(c *command, proof *Event, what string) (flaw string) {
	switch u := c.final.Stored; {
	case proof == nil || x.reused(c, proof.Stored):
		return ""
	case proof.Stored.Before(u.Add(-x.lag(proof.Stored, u))):
		return what + " had been told at " + clock(proof.Stored) + ", before the unknown of " + clock(u)
	default:
		return what + " was told at " + clock(proof.Stored) + ", and no correction followed the unknown of " + clock(u)
	}
}

// reused tells whether a later place had taken the name: then events of the
// earlier call are stored and change nothing.
func (x *index) reused(c *command, at time.Time) bool {
	return slices.ContainsFunc(x.call(c.key.Call()).commands[c.place+1:], func(o *command) bool {
		return o.Action == commands.Place && o.tookName(at)
	})
}

// endedUnseen wants the call to be over and the news that would have told how not
// to have come: that of its end or, for a place, that of its answer.
func (x *index) endedUnseen(c *command) (UnknownCause, string) {
	s := x.sims[commands.NormalCallID(c.final.CallID)]
	switch {
	case s == nil:
		return "", "call " + c.final.CallID + " never was"
	case s.Ended.IsZero():
		return "", "call " + s.ID + " has not ended"
	}
	if c.Action == commands.Place {
		if flaw := x.weigh(c, s.notified("established"), "that the call was answered"); flaw != "" {
			return "", flaw
		}
	}
	end := s.notified("terminated")
	if end == nil || c.Action != commands.Place || x.tellsHow(c, end) {
		return EndedUnseen, x.weigh(c, end, "the end of the call")
	}
	// It ended as answered calls do.
	if s.reached("established").IsZero() {
		return "", "call " + s.ID + " was never answered, and its end was told at " + clock(end.Stored)
	}
	return EndedUnseen, ""
}

// tellsHow tells whether the end of a call says of its place that it was not
// answered: an end in good order is also that of an answered call, unless we
// hung it up.
func (x *index) tellsHow(place *command, end *Event) bool {
	info := end.ResultInfo
	switch {
	case info == nil:
		return false
	case info.Code != 0 && info.Code/100 != 2:
		return true
	}
	return info.Subcode == 7000 && slices.ContainsFunc(x.call(place.key.Call()).commands[place.place+1:], func(o *command) bool {
		return o.Action == commands.Hangup && o.final != nil && o.final.Seq < end.Seq
	})
}

// operationUnseen wants the operation to have ended and its notification not to
// have come.
func (x *index) operationUnseen(c *command) (UnknownCause, string) {
	s := x.sims[commands.NormalCallID(c.final.CallID)]
	if s == nil {
		return "", "call " + c.final.CallID + " never was"
	}
	if flaw := x.weigh(c, x.operationTold(c), "the end of the operation"); flaw != "" {
		return "", flaw
	}
	if !slices.ContainsFunc(s.Notifications, func(n graphsim.Notification) bool {
		return (n.Kind == "operation" || c.Action != commands.PlayPrompt) && n.Outcome != "sent"
	}) {
		return "", "no notification of call " + s.ID + " was lost"
	}
	return OperationUnseen, ""
}

// operationTold is the event that tells the end of the command's operation: by its
// context or by its id.
func (x *index) operationTold(c *command) *Event {
	var id string
	for _, r := range c.records {
		if r.Operation != nil && r.Operation.ID != "" {
			id = commands.NormalCallID(r.Operation.ID)
		}
	}
	for _, e := range x.call(c.key.Call()).events {
		if op := e.Operation; op != nil && (op.Status == "completed" || op.Status == "failed") &&
			(op.ClientContext == c.key.ID || (id != "" && commands.NormalCallID(op.ID) == id)) {
			return e
		}
	}
	return nil
}
