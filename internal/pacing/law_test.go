package pacing

import (
	"testing"
	"time"
)

func TestA429WhileThereWasRateToSpareLeavesIt(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	l := NewLaw(start).Step(start.Add(time.Second))
	late := start.Add(time.Minute)
	cut := l.Throttle(ClassPlace, late, late, late.Add(2*time.Second))
	if cut.Rate != l.Rate {
		t.Errorf("rate %v after a 429 a minute after the rate was used up; want %v as before", cut.Rate, l.Rate)
	}
	if got := cut.At(ClassPlace, late.Add(time.Second)); got != 0 {
		t.Errorf("rate %v in the throttle window; want 0", got)
	}
	soon := l.Moved.Add(time.Second)
	if cut := l.Throttle(ClassPlace, soon, soon, soon.Add(2*time.Second)); cut.Rate >= l.Rate {
		t.Errorf("rate %v after a 429 while the rate was used up; want less than %v", cut.Rate, l.Rate)
	}
}
