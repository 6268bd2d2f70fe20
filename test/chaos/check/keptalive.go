package check

import (
	"slices"
	"time"

	"callbus/internal/graphsim"
)

// Alive is how a run kept its calls alive, by the simulated Graph's record.
type Alive struct {
	Taken    int           // keepAlive requests that Graph took
	Median   time.Duration // between two of a call
	Longest  time.Duration // that a call was without, from its answer to its end
	Peak     int           // requests within one second
	Found    int           // calls whose end was found by a keepAlive that was refused
	After    int           // requests that came after the end of their call was known
	TimedOut int           // calls that Graph ended because nobody kept them alive
	Ended    int           // calls whose end was told, once each
}

// KeptAlive measures a history.
func KeptAlive(h History) Alive {
	var a Alive
	var gaps []time.Duration
	perSecond := map[int64]int{}
	x := newIndex(&h, newReport(&h))
	for _, s := range x.simOrder {
		if r := s.ResultInfo; r != nil && r.Code == 408 && r.Subcode == 8537 {
			a.TimedOut++
		}
		end := x.end(s)
		if end != nil {
			a.Ended++
		}
		last, kept := s.reached("established"), false
		// Of one whose end nobody told, a keepAlive finds it out.
		unheard := slices.ContainsFunc(s.Notifications, func(n graphsim.Notification) bool { return n.Kind == "terminated" && n.Outcome == "lost" })
		since := func(at time.Time) {
			if last.IsZero() {
				last = s.Created
			}
			a.Longest = max(a.Longest, at.Sub(last))
			last = at
		}
		for _, r := range s.requests {
			if r.Operation != "keepAlive" {
				continue
			}
			perSecond[r.Start.Unix()]++
			switch {
			case end != nil && r.Start.After(end.Stored.Add(slack)):
				a.After++
			case r.Executed && r.Status/100 == 2:
				if kept {
					gaps = append(gaps, r.Start.Sub(last))
				}
				a.Taken, kept = a.Taken+1, true
				since(r.Start)
			case unheard && r.Start.After(s.Ended):
				a.Found, unheard = a.Found+1, false
			}
		}
		if !s.Ended.IsZero() {
			since(s.Ended)
		}
	}
	for _, n := range perSecond {
		a.Peak = max(a.Peak, n)
	}
	if slices.Sort(gaps); len(gaps) > 0 {
		a.Median = gaps[len(gaps)/2]
	}
	return a
}
