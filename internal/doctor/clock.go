package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// How far clocks may be apart. Two seconds still leave waits and expiries as they
// are meant; beyond five minutes tokens are not valid yet, or no more, on one side.
const (
	skewSeen = 2 * time.Second
	skewMost = 5 * time.Minute
)

// reading is what somebody's clock said, between two moments of ours.
type reading struct {
	whose            string
	before, after    time.Time
	earliest, latest time.Time // of theirs: a Date header has whole seconds
}

// dated is a reading of a Date header.
func dated(whose string, before, after, date time.Time) reading {
	return reading{whose, before, after, date, date.Add(time.Second)}
}

// ahead is how much our clock is ahead of theirs at least, less than zero when it
// is behind. Nothing is known of how long the question and the answer took on the
// way, so that any moment between the two may be theirs.
func (r reading) ahead() time.Duration {
	// Without the monotonic part: clocks on walls are compared.
	before, after := r.before.Round(0), r.after.Round(0)
	switch {
	case before.After(r.latest):
		return before.Sub(r.latest)
	case r.earliest.After(after):
		return after.Sub(r.earliest)
	}
	return 0
}

func judgeClocks(all []reading) []Finding {
	const check = "clock"
	if len(all) == 0 {
		return []Finding{skip(check, "nobody could be asked for the time")}
	}
	// They come in the order of their answers.
	slices.SortFunc(all, func(a, b reading) int { return strings.Compare(a.whose, b.whose) })
	var found []Finding
	for _, r := range all {
		d := r.ahead()
		where := "ahead of"
		if d < 0 {
			where = "behind"
		}
		said := fmt.Sprintf("this machine is %s %s %s", short(d.Abs()), where, r.whose)
		const do = "set the clocks by NTP, this machine's or the other one"
		switch {
		case d.Abs() > skewMost:
			found = append(found, fail(check, do+": tokens and notifications are refused when clocks are five minutes apart", "%s", said))
		case d.Abs() > skewSeen:
			found = append(found, warn(check, do, "%s", said))
		case d != 0:
			found = append(found, ok(check, "%s", said))
		default:
			found = append(found, ok(check, "no difference from %s", r.whose))
		}
	}
	return found
}
