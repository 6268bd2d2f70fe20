package check

import (
	"slices"
	"time"

	"callbus/internal/graphsim"
)

// checkOverlap wants the requests of a call that can be attributed, which are
// neither hang-ups nor reads, to be under way one after the other. A request is
// under way from its arrival until Graph has ended it, until its worker's patience
// was over, or until its connection was cut, whichever comes first.
func checkOverlap(x *index, broken breach) {
	type span struct {
		*graphsim.Request
		of    *command
		until time.Time
	}
	for _, of := range x.inOrder {
		var all []span
		for _, c := range of.commands {
			for _, r := range c.requests {
				all = append(all, span{r, c, x.until(r)})
			}
		}
		slices.SortFunc(all, func(a, b span) int { return a.Seq - b.Seq })
		var longest span // of those before
		for _, s := range all {
			if longest.Request != nil && s.Start.Before(longest.until) {
				if x.straggler(s.of, s.Request) || x.straggler(longest.of, longest.Request) {
					x.report.Excused["a request that a connection to Graph held back"]++
				} else {
					broken(s.of.key, "%s arrived at %s while %s of %s, from %s, was under way until %s",
						s.Operation, clock(s.Start), longest.Operation, longest.of.key.ID, clock(longest.Start), clock(longest.until))
				}
			}
			if longest.Request == nil || s.until.After(longest.until) {
				longest = s
			}
		}
	}
}

// until is when a worker had no part in a request any more.
func (x *index) until(r *graphsim.Request) time.Time {
	until := r.Start.Add(x.settings.GraphTimeout)
	if !r.End.IsZero() && r.End.Before(until) {
		until = r.End
	}
	for _, i := range x.graphCut {
		if !i.From.Before(r.Start) && i.From.Before(until) {
			until = i.From
		}
		if !i.To.IsZero() && !i.To.Before(r.Start) && i.To.Before(until) {
			until = i.To
		}
	}
	return until
}
