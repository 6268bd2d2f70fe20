package check

import (
	"slices"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// checkTruth holds every outcome against what the simulated Graph did.
func checkTruth(x *index, broken breach) {
	for _, c := range x.commands {
		switch c.status() {
		case commands.Succeeded:
			x.checkSucceeded(c, broken)
		case commands.Failed:
			x.checkFailed(c, broken)
		case commands.Rejected:
			x.checkUnsent(c, broken)
			x.checkRejected(c, broken)
		case commands.Expired, commands.Superseded:
			x.checkUnsent(c, broken)
		case commands.Cancelled:
			if c.last().CallID == "" {
				x.checkUnsent(c, broken)
			} else {
				x.checkUnanswered(c, broken)
			}
		}
	}
}

// checkUnsent wants Graph to have done nothing of a command that says so.
func (x *index) checkUnsent(c *command, broken breach) {
	for _, r := range c.requests {
		if e := effectOf(r); e == done || e == perhaps {
			broken(c.key, "%s is %s, and Graph executed it at %s", c.Action, c.status(), clock(r.Start))
		}
	}
}

func (x *index) checkSucceeded(c *command, broken breach) {
	r := c.last()
	switch c.Action {
	case commands.Place:
		s := x.sims[commands.NormalCallID(r.CallID)]
		switch {
		case s == nil || s.place != c:
			broken(c.key, "place succeeded with call %q, which it did not create", r.CallID)
		case s.reached("established").IsZero():
			broken(c.key, "place succeeded and call %s was never answered", s.ID)
		case s.reached("established").After(r.Stored.Add(slack)):
			broken(c.key, "place succeeded at %s and call %s was answered at %s", clock(r.Stored), s.ID, clock(s.reached("established")))
		}
	case commands.Hangup:
		x.checkHungUp(c, broken)
	case commands.Redirect: // of calls that were not placed here
	case commands.Mute, commands.Unmute, commands.PlayPrompt, commands.CancelMediaProcessing, commands.Transfer:
		if !slices.ContainsFunc(c.requests, func(q *graphsim.Request) bool {
			e := effectOf(q)
			return (e == done || e == perhaps) && !q.Start.After(r.Stored)
		}) {
			broken(c.key, "%s succeeded and Graph has not done it", c.Action)
		}
		if s := x.sims[commands.NormalCallID(r.CallID)]; c.Action == commands.Transfer && (s == nil || s.reached("transferAccepted").IsZero()) {
			broken(c.key, "transfer succeeded and was never accepted")
		}
	default:
		if !x.answered(string(c.Action), r) {
			broken(c.key, "%s succeeded and Graph has answered none on call %q", c.Action, r.CallID)
		}
	}
}

// answered tells whether Graph executed an operation on the record's call, and said
// so, before the record was stored.
func (x *index) answered(operation string, r *Record) bool {
	s := x.sims[commands.NormalCallID(r.CallID)]
	return s != nil && slices.ContainsFunc(s.requests, func(q *graphsim.Request) bool {
		return q.Operation == operation && q.Executed && q.Status/100 == 2 && !q.Start.After(r.Stored)
	})
}

// checkHungUp wants the call to be over, or a name without a call.
func (x *index) checkHungUp(c *command, broken breach) {
	r := c.last()
	if p := x.placeOf(c); p != nil && r.Reason != "" && r.Corrects == 0 && x.doubtful(p, r) {
		broken(c.key, "hangup succeeded, %s, and the place %s was unknown: the call may live", r.Reason, p.key.ID)
	}
	about := x.call(c.key.Call()).sims
	if s := x.sims[commands.NormalCallID(r.CallID)]; s != nil {
		about = []*simCall{s}
		if r.Reason == "" && r.Corrects == 0 && !x.answered("deleteCall", r) {
			broken(c.key, "hangup succeeded and Graph has answered no DELETE of call %s", s.ID)
		}
	}
	for _, s := range about {
		switch {
		case s.Created.After(r.Stored):
		case s.Ended.IsZero() && !x.orphan(s):
			broken(c.key, "hangup succeeded, %s, and call %s lives on", orReason(r.Reason), s.ID)
		case r.Reason == "alreadyEnded" && s.Ended.After(r.Stored.Add(slack)) && !x.orphan(s) && !deniedFalsely(s, r.Stored):
			broken(c.key, "hangup found at %s that call %s had ended, which it did at %s", clock(r.Stored), s.ID, clock(s.Ended))
		}
	}
}

// placeOf is the place that the name stood for when a command was published, nil
// for none.
func (x *index) placeOf(c *command) *command {
	var of *command
	for _, o := range x.call(c.key.Call()).commands[:c.place] {
		if o.Action == commands.Place && o.tookName(c.last().Stored) {
			of = o
		}
	}
	return of
}

// doubtful tells whether nobody knew at the time of a record if a place's call
// lived: no answer and no notification had come.
func (x *index) doubtful(place *command, at *Record) bool {
	return place.final != nil && place.final.Status == commands.Unknown && place.final.Seq < at.Seq && place.final.CallID == "" &&
		(place.correction == nil || place.correction.Seq > at.Seq) &&
		!slices.ContainsFunc(x.callsOf(place), func(s *simCall) bool {
			return slices.ContainsFunc(s.events, func(e *Event) bool { return e.State == "terminated" && !e.Stored.After(at.Stored) })
		})
}

func orReason(reason string) string {
	if reason == "" {
		return "deleted"
	}
	return reason
}

// deniedFalsely tells whether a fault said of a call that there was none.
func deniedFalsely(s *simCall, before time.Time) bool {
	return slices.ContainsFunc(s.requests, func(q *graphsim.Request) bool {
		return q.Fault == "status" && (q.Status == 404 || q.Status == 410) && q.Start.Before(before)
	})
}

func (x *index) checkFailed(c *command, broken breach) {
	r := c.last()
	s := x.sims[commands.NormalCallID(r.CallID)]
	switch {
	case c.Action == commands.Place && r.CallID != "":
		x.checkUnanswered(c, broken)
	case c.Action == commands.Place:
		for _, s := range x.callsOf(c) {
			if x.liedTo(s) || (c.OnUnknownRetry && s.attempt < len(c.starts)) {
				x.report.Excused["a call of a place that Graph refused, or refused later"]++
				continue
			}
			broken(c.key, "place failed, and call %s was created", s.ID)
		}
	case s == nil:
	case r.Error != nil && r.Error.Class == commands.ClassGone && (s.Ended.IsZero() || s.Ended.After(r.Stored.Add(slack))) && !deniedFalsely(s, r.Stored):
		broken(c.key, "%s failed at %s because call %s had ended, which it had not", c.Action, clock(r.Stored), s.ID)
	case c.Action == commands.Transfer && !s.reached("transferAccepted").IsZero() && x.onlyTransfer(c):
		x.checkUnheard(c, s, "transferAccepted", broken)
	}
}

// onlyTransfer tells whether what the call says of a transfer is about this one.
func (x *index) onlyTransfer(c *command) bool {
	return !slices.ContainsFunc(x.call(c.key.Call()).commands, func(o *command) bool {
		return o != c && o.Action == commands.Transfer && len(o.requests) > 0
	}) && len(c.requests) > 0
}

// checkUnanswered wants the call of a place that failed, or was cancelled, to be
// over and never to have been answered, as far as anybody could know.
func (x *index) checkUnanswered(c *command, broken breach) {
	r := c.last()
	s := x.sims[commands.NormalCallID(r.CallID)]
	switch {
	case s == nil || s.place != c:
		broken(c.key, "place is %s with call %q, which it did not create", r.Status, r.CallID)
		return
	case s.Ended.IsZero() || s.Ended.After(r.Stored.Add(slack)):
		broken(c.key, "place is %s at %s and call %s was not over", r.Status, clock(r.Stored), s.ID)
	}
	if !s.reached("established").IsZero() {
		x.checkUnheard(c, s, "established", broken)
	}
}

// checkUnheard excuses an outcome that overlooks a state of the call if that state
// had not been told before the end of the call had.
func (x *index) checkUnheard(c *command, s *simCall, state string, broken breach) {
	told, end := s.told(state), s.told("terminated")
	if told == nil || (end != nil && told.Seq > end.Seq) {
		x.report.Excused["a call was "+state+" and its news was lost or late"]++
		return
	}
	broken(c.key, "%s is %s, and call %s was %s: event %d of %s said so before its end was known",
		c.Action, c.status(), s.ID, state, told.Seq, clock(told.Stored))
}

// settled is how long after an end everybody must know of it.
const settled = 5 * time.Second

// checkRejected holds the two rejections that depend on other commands against
// those.
func (x *index) checkRejected(c *command, broken breach) {
	r := c.last()
	if r.Error == nil {
		return
	}
	all := x.call(c.key.Call()).commands
	switch r.Error.Code {
	case string(commands.CauseNoSuchCall):
		for _, o := range all[:c.place] {
			if o.Action == commands.Place && o.tookName(r.Stored) {
				broken(c.key, "%s was rejected, noSuchCall, at %s; %s had placed the call", c.Action, clock(r.Stored), o.key.ID)
			}
		}
	case string(commands.CauseCallLives):
		if !slices.ContainsFunc(all, func(o *command) bool { return o != c && o.Action == commands.Place && x.holdsName(o, r.Stored) }) {
			broken(c.key, "place was rejected, callLives, at %s; no call of the name lived", clock(r.Stored))
		}
	}
}

// tookName tells whether a place had made the name stand for its call.
func (c *command) tookName(at time.Time) bool {
	return slices.ContainsFunc(c.records, func(r *Record) bool {
		return r.Status != commands.Waiting && r.Status != commands.Rejected && r.Stored.Before(at)
	})
}

// holdsName tells whether a place can have been in the way of another one.
func (x *index) holdsName(c *command, at time.Time) bool {
	if !c.tookName(at) {
		return false
	}
	r := c.last()
	if r == nil || r.Stored.After(at.Add(-settled)) {
		return true
	}
	if r.Status != commands.Succeeded {
		return false
	}
	of := x.call(c.key.Call())
	i := slices.IndexFunc(of.events, func(e *Event) bool {
		return e.Kind == commands.KindEnded && commands.NormalCallID(e.CallID) == commands.NormalCallID(r.CallID)
	})
	return i < 0 || of.events[i].Stored.After(at.Add(-settled))
}
