package check

import (
	"slices"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// checkDialled wants every request that must not be repeated to take effect at most
// once, or once in each attempt of a command that allows more and only after the
// bounded wait; and every call to be of a place that was published.
func checkDialled(x *index, broken breach) {
	for _, s := range x.simOrder {
		switch {
		case s.Direction == "incoming":
		case s.name == commands.CallKey{}:
			broken(commands.Key{}, "call %s was created with callbackUri %q, which no worker writes", s.ID, s.CallbackURI)
		case s.place == nil:
			broken(s.placeKey, "call %s was created for a command that nobody published", s.ID)
		case s.place.Action != commands.Place:
			broken(s.placeKey, "call %s was created for a %s", s.ID, s.place.Action)
		}
	}
	for _, c := range x.commands {
		if !c.Action.Idempotent() {
			x.checkEffects(c, broken)
		}
	}
}

func (x *index) checkEffects(c *command, broken breach) {
	effects := slices.DeleteFunc(slices.Clone(c.requests), func(r *graphsim.Request) bool {
		e := effectOf(r)
		return e != done && e != perhaps
	})
	if calls := x.callsOf(c); c.Action == commands.Place && len(calls) > len(effects) {
		broken(c.key, "%d calls were created by %d requests", len(calls), len(effects))
	}
	for i, r := range effects[min(1, len(effects)):] {
		before := effects[i]
		if !c.OnUnknownRetry {
			broken(c.key, "%s took effect at %s and again at %s", c.Action, clock(before.Start), clock(r.Start))
			continue
		}
		first, second := c.startBefore(before.Start), c.startBefore(r.Start)
		switch {
		case first == nil || second == nil: // rule "started" says so
		case first == second:
			broken(c.key, "%s took effect twice in one attempt, at %s and %s", c.Action, clock(before.Start), clock(r.Start))
		case second.Stored.Sub(first.Stored) < x.settings.ReconcileWait-time.Second:
			broken(c.key, "%s was sent again %s after the attempt at %s, which had taken effect: the bounded wait is %s",
				c.Action, second.Stored.Sub(first.Stored).Round(time.Millisecond), clock(first.Stored), x.settings.ReconcileWait)
		}
	}
}

// callsOf are the calls that were created for a place.
func (x *index) callsOf(c *command) []*simCall {
	var all []*simCall
	for _, s := range x.call(c.key.Call()).sims {
		if s.place == c {
			all = append(all, s)
		}
	}
	return all
}

// checkLive wants calls of one name, made by different places, to live one after
// the other, unless one is an orphan: a call that nobody knew of when the name was
// used again.
func checkLive(x *index, broken breach) {
	for _, of := range x.inOrder {
		for i, s := range of.sims {
			for _, later := range of.sims[i+1:] {
				if s.place == later.place || (!s.Ended.IsZero() && !s.Ended.After(later.Created)) {
					continue
				}
				if x.orphan(s) || x.orphan(later) {
					x.report.Excused["a call beside one that nobody knew of"]++
					continue
				}
				broken(later.placeKey, "call %s was created at %s while call %s of %s lived", later.ID, clock(later.Created), s.ID, s.placeKey.ID)
			}
		}
	}
}

// orphan tells whether a call may exist without anybody's knowing: its place ended
// unknown, or stands for another call that an earlier or later attempt made, or
// was told by Graph that nothing was done.
func (x *index) orphan(s *simCall) bool {
	c := s.place
	if c == nil || c.final == nil {
		return false
	}
	if c.final.Status == commands.Unknown || x.liedTo(s) {
		return true
	}
	return c.OnUnknownRetry && commands.NormalCallID(c.last().CallID) != commands.NormalCallID(s.ID)
}

// liedTo tells whether Graph made the call and said in its own words that it
// had not: a fault that no client can see through.
func (x *index) liedTo(s *simCall) bool {
	return slices.ContainsFunc(s.requests, func(r *graphsim.Request) bool {
		return r.Operation == "createCall" && r.Fault == "status" && r.Status >= 400 && !gateway(r.Status)
	})
}
