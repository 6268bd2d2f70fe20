package pacing

import (
	"fmt"
	"time"
)

// Reset says when a month of calls begins: a day of the month and a time of
// that day, in UTC; in a month that has no such day, its last one. The zero value
// is the first, at midnight. Microsoft does not say when its own begins.
type Reset struct {
	Day  int // 1 to 31; 0 is 1
	Hour int
	Min  int
}

// ParseReset reads "1" or "15T08:30".
func ParseReset(text string) (Reset, error) {
	var r Reset
	at, err := time.Parse("2T15:04", text)
	if err != nil {
		at, err = time.Parse("2", text)
	}
	if err != nil {
		return r, fmt.Errorf("%q: want a day of the month from 1 to 31, with a time in UTC if it is not midnight, such as 1 or 15T08:30", text)
	}
	return Reset{at.Day(), at.Hour(), at.Minute()}, nil
}

func (r Reset) String() string {
	if r.Hour == 0 && r.Min == 0 {
		return fmt.Sprint(max(r.Day, 1))
	}
	return fmt.Sprintf("%dT%02d:%02d", max(r.Day, 1), r.Hour, r.Min)
}

// Period is the month that now is in: its name, the yyyymm in which it began,
// and when the next one begins.
func (r Reset) Period(now time.Time) (name string, next time.Time) {
	now = now.UTC()
	if begin := r.begin(now.Year(), now.Month()); now.Before(begin) {
		return r.begin(now.Year(), now.Month()-1).Format("200601"), begin
	}
	return now.Format("200601"), r.begin(now.Year(), now.Month()+1)
}

// begin is when the month begins that does so in a calendar month.
func (r Reset) begin(year int, month time.Month) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC)
	return time.Date(last.Year(), last.Month(), min(max(r.Day, 1), last.Day()), r.Hour, r.Min, 0, 0, time.UTC)
}
