package pacing

import (
	"math"
	"time"
)

// Law is what is known of a limit that nobody has told us, and what it makes of
// the rate. It is stored once for all workers, so that together they send at
// Rate; it is moved by Step while requests wait for the rate, and by Throttle
// when Graph answers 429. Make the first with NewLaw.
//
// From one 429 to the next, the quota's bucket goes from empty to empty, so
// what was sent in between over the time in between is the quota. After a cut
// the rate stays at that for lawHold, and then grows, slowly at first, until a
// 429 or a far higher rate tells whether there is more.
type Law struct {
	Rate  float64   `json:"rate"`            // requests a second
	Base  float64   `json:"base,omitempty"`  // the rate after the last cut, 0 before the first
	Spare float64   `json:"spare,omitempty"` // what the bucket is known to hold when the window ends
	Cut   time.Time `json:"cut,omitzero"`    // the last 429 that counted
	Class Class     `json:"class,omitempty"` // of the request that it answered
	Open  time.Time `json:"open"`            // when its throttle window ends
	Sent  float64   `json:"sent,omitempty"`  // since Open
	Spent float64   `json:"spent,omitempty"` // seconds in which that was sent
	Grown float64   `json:"grown,omitempty"` // the same since the last cut
	With  int       `json:"with,omitempty"`  // 429s beside the one that began the window
	Over  int       `json:"over,omitempty"`  // windows in a row with lawWith of those
	Few   int       `json:"few,omitempty"`   // windows in a row that were not over
	Short int       `json:"short,omitempty"` // cuts in a row that came sooner than lawShort
	Moved time.Time `json:"moved"`           // the last Step, Skip or Throttle

	// The quota is at least Least, by the 429s since one at a lower rate belied
	// that; Belied counts those in a row, and Before is the rate before the first.
	Least  float64   `json:"least,omitempty"`
	Belied int       `json:"belied,omitempty"`
	Before float64   `json:"before,omitempty"`
	Blind  time.Time `json:"blind,omitzero"` // until then a 429 says nothing of the rate
}

// The figures are those that came out best in model_test.go, seconds and
// requests a second where nothing is said.
const (
	lawFirst  = 50.0 // before anything is known
	lawLeast  = 0.2
	lawMost   = 20_000.0
	lawSearch = 1.3  // growth a second while no limit is known, or it lies far behind
	lawBack   = 0.65 // of the rate at which that growth ended
	lawHold   = 18.0 // between a cut and the next probe: a quota that doubles is found within 30 s
	lawProbe  = 12.0 // until a probe has added lawWide to the rate
	lawWide   = 0.8
	lawBend   = 5.0  // how late in a probe that happens
	lawOver   = 13.5 // after this the search begins again
	// A 429 sooner than lawShort after a window says that the rate is far too
	// high, not just above the quota. How much too high is not measured unless that
	// was lawSure times the window: before, what the bucket filled by in the window,
	// which nobody knows, is too much of what was sent.
	lawShort = 4.0
	lawSure  = 1.25
	lawBeta  = 0.8
	// One that answers the first or the second request after a window says nothing
	// new, unless that goes on for more than lawFews windows: there are quotas that
	// small.
	lawFew  = 2.0
	lawFews = 3
	// After lawStorm of those sooner than lawShort in a row, lawClean without any says
	// that the storm is over: the growth a second from then on.
	lawStorm  = 3
	lawClean  = 5.0
	lawReturn = 1.6
	// Of what the bucket held when the last window ended, lawSpare is sent within
	// lawCatchUp of the end of the next.
	lawSpare   = 0.6
	lawCatchUp = 2.0
	lawWindow  = 10.0 // the longest window in which a bucket is thought to fill
	// After lawBelied contradictions 429s do not take the rate down until there was
	// none for lawBlind. It grows on, until lawWith 429s beside the one that begins a
	// window, in lawOvers windows in a row, say that more is sent than Graph takes:
	// those at random come one by one.
	lawBelied = 2
	lawBlind  = 60 * time.Second
	lawWith   = 3
	lawOvers  = 2
	// lawUsed is how long ago the rate was used up when it counts as used up now:
	// that is noted by the second.
	lawUsed = 2500 * time.Millisecond
	// lawSlow is the slow start when a window ends.
	lawSlow = 0.5
	// lawReserve is the share of the rate that the other class keeps while one is
	// throttled.
	lawReserve = 0.2
)

// NewLaw is a limit of which nothing is known yet.
func NewLaw(now time.Time) Law { return Law{Rate: lawFirst, Open: now, Moved: now} }

// Step notes that all of the rate was used since it moved last, and lets it
// grow. Time in which it was not used says nothing about the quota: see Skip.
func (l Law) Step(now time.Time) Law {
	since := l.Moved
	if l.Open.After(since) {
		since = l.Open
	}
	d := now.Sub(since).Seconds()
	if d <= 0 {
		return l
	}
	l.Moved = now
	l.Sent += l.Rate*d + l.Spare*math.Min(d, math.Max(lawCatchUp-l.Spent, 0))/lawCatchUp
	l.Spent += d
	l.Grown += d
	switch u := l.Grown - lawHold; {
	case l.Short >= lawStorm && l.Spent > lawClean && !l.searching(): // the storm is over
		l.Rate *= math.Pow(lawReturn, d)
	case l.searching():
		l.Rate *= math.Pow(lawSearch, d)
	case u > 0:
		l.Rate = l.Base * (1 + lawWide*math.Pow(u/lawProbe, lawBend))
	}
	l.Rate = math.Min(l.Rate, lawMost)
	return l
}

// Skip leaves out the time until now: the rate was not used up.
func (l Law) Skip(now time.Time) Law {
	if now.After(l.Moved) {
		l.Moved = now
	}
	return l
}

// searching says that the quota is not known, or not any more.
func (l Law) searching() bool { return l.Base == 0 || l.Grown-lawHold > lawOver }

// Throttle takes the rate down after a 429 whose throttle window ends at open.
// There is one cut a window: a request that was sent before the window ended
// changes nothing but, perhaps, its end.
//
// Not every 429 is a quota that is used up: Graph may be busy. One that comes
// while there was rate to spare, and those that contradict each other, close
// their window and leave the rate alone; else it would end at next to nothing.
func (l Law) Throttle(class Class, sent, now, open time.Time) Law {
	if sent.Before(l.Open) && !l.Cut.IsZero() {
		l.With = min(l.With+1, lawWith)
		if open.After(l.Open) {
			l.Open, l.Moved = open, open
		}
		return l
	}
	if sent.Sub(l.Moved) > lawUsed {
		return l.shut(class, now, open)
	}
	if few := l.Rate*sent.Sub(l.Open).Seconds() < lawFew; l.Cut.IsZero() || !few {
		l.Few = 0
	} else if l.Few++; l.Few <= lawFews {
		// Whatever began the window is not over; it has taken the rate down already.
		return l.shut(class, now, open)
	}
	l = l.Step(now)
	t, closed := math.Max(l.Spent, 0.05), 1.0
	if !l.Cut.IsZero() {
		closed = math.Min(l.Open.Sub(l.Cut).Seconds(), lawWindow)
	}
	if l.tooMuch(now) {
		if l.Rate > l.Before { // what it grew by was
			l.Rate, l.Base, l.Grown = l.Before, l.Before, 0
			return l.shut(class, now, open)
		}
		l.Blind, l.Least, l.Belied = time.Time{}, 0, 0
	}
	// What was sent after the one that was refused was refused, too, or may be; and
	// of few one more or less is much.
	late := now.Sub(sent).Seconds()
	if l.random(math.Max(l.Sent-l.Rate*late-1, 0)/(math.Max(t-late, 0)+closed), now) {
		return l.shut(class, now, open)
	}
	was, held := l.Base, l.Spare
	l.Spare = 0
	switch {
	case l.searching():
		l.Base = l.Rate * lawBack
	case t < lawShort && held > 0:
		// The bucket held less than was thought; of the quota that says nothing.
	case t < lawShort && t < lawSure*closed:
		l.Base = math.Max(l.Sent/(t+closed), l.Rate*lawBeta)
		l.Short++
	default:
		// In the window the bucket filled by something between nothing and all.
		if l.Short++; t >= lawShort {
			l.Short = 0
		}
		l.Base = l.Sent / (t + closed/2)
		if l.Base > was*0.96 && l.Base < was*1.04 {
			l.Spare = math.Max(0, lawSpare*(l.Sent-l.Base*t))
		}
	}
	l.Base = math.Max(l.Base, lawLeast)
	l.Rate, l.Grown = l.Base, 0
	return l.shut(class, now, open)
}

// tooMuch tells whether 429s that were thought to be at random are not.
func (l *Law) tooMuch(now time.Time) bool {
	if l.With < lawWith {
		l.Over = 0
		return false
	}
	if l.Over++; l.Over < lawOvers || !now.Before(l.Blind) {
		return false
	}
	l.Over = 0
	return true
}

// shut begins a throttle window.
func (l Law) shut(class Class, now, open time.Time) Law {
	l.Sent, l.Spent, l.With = 0, 0, 0
	l.Cut, l.Class, l.Open, l.Moved = now, class, open, open
	return l
}

// At is the rate for a class at a moment. In a throttle window there is none
// for the class that was throttled and a reserved share for the other; just
// after it there is less, and then more while what the bucket holds is caught up.
func (l Law) At(class Class, now time.Time) float64 {
	since := now.Sub(l.Open).Seconds()
	switch {
	case since < 0 && class == l.Class:
		return 0
	case since < 0:
		return math.Max(l.Rate*lawReserve, lawLeast)
	case l.Cut.IsZero() || since >= lawCatchUp:
		return l.Rate
	}
	return (l.Rate + l.Spare/lawCatchUp) * math.Min(1, 0.5+0.5*since/lawSlow)
}

// random tells whether a 429 says nothing of the rate, and takes back what such
// 429s have done to it. Between two 429s of a quota no more is taken than it
// allows, so it is at least that. A 429 at a lower rate belies it: the quota must
// have changed. If what is measured then is belied in its turn, these 429s are not
// about the rate.
func (l *Law) random(least float64, now time.Time) bool {
	if now.Before(l.Blind) {
		l.Blind = now.Add(lawBlind)
		return true
	}
	if l.searching() || l.Spent > lawHold {
		l.Least, l.Belied = 0, 0
	}
	switch {
	case l.Belied == 0 && l.Least == 0:
		l.Before = l.Rate
	case l.Rate < l.Least*0.95:
		l.Belied++
		l.Least = 0
	}
	l.Least = math.Max(l.Least, least)
	if l.Belied < lawBelied {
		return false
	}
	l.Rate, l.Base, l.Spare, l.Belied, l.Least = l.Before, l.Before, 0, 0, 0
	l.Grown = lawHold + lawOver + 1 // nothing is known of the quota: search
	l.Blind = now.Add(lawBlind)
	return true
}
