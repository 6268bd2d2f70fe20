package main

import (
	"context"
	"fmt"
	"time"

	"callbus/internal/graphsim"
)

// retryAfter is what the simulated Graph asks for.
const retryAfter = 2 * time.Second

// quotaScenario is an endless backlog before a quota that nobody knows.
func quotaScenario(workers int, rejectsCount bool) func(*pacingBench, context.Context) (bool, error) {
	return func(b *pacingBench, ctx context.Context) (bool, error) {
		name := fmt.Sprintf("quota/%d", workers)
		limits := fmt.Sprintf("rate=%g,retry-after=%s", b.Rate, retryAfter)
		if rejectsCount {
			name, limits = name+"/rejects-count", limits+",count-rejected"
		}
		s, err := b.open(ctx, workers, limits)
		if err != nil {
			return false, err
		}
		defer s.close()
		begun := time.Now() // with the first place: what the bucket holds then counts
		if err := s.placesOf(ctx, "endless", int(b.Rate*b.Duration.Seconds()*1.2)+200); err != nil {
			return false, err
		}
		if err := sleep(ctx, time.Until(begun.Add(b.Duration))); err != nil {
			return false, err
		}
		end := time.Now()
		all, err := s.requests()
		if err != nil {
			return false, err
		}
		b.seconds(all, begun, end)
		t := count(all, begun, end)
		ok := row(name, "of the quota used", percent(t.used(b.Rate, end.Sub(begun))), ">= 95 %", t.used(b.Rate, end.Sub(begun)) >= 0.95)
		return row(name, fmt.Sprintf("429 among %d answers", t.all), percent(t.share()), "<= 1 %", t.share() <= 0.01) && ok, nil
	}
}

// change halves the quota in mid-run and doubles it again.
func (b *pacingBench) change(ctx context.Context) (bool, error) {
	const name = "change"
	limits := graphsim.Limits{Rate: b.Rate, RetryAfter: retryAfter}
	s, err := b.open(ctx, 3, fmt.Sprintf("rate=%g,retry-after=%s", b.Rate, retryAfter))
	if err != nil {
		return false, err
	}
	defer s.close()
	phase := max(b.Duration/3, 40*time.Second)
	if err := s.placesOf(ctx, "endless", int(b.Rate*3*phase.Seconds())+200); err != nil {
		return false, err
	}
	ok := true
	if err := sleep(ctx, phase); err != nil {
		return false, err
	}
	for _, to := range []struct {
		name string
		rate float64
	}{{"halved", b.Rate / 2}, {"doubled again", b.Rate}} {
		limits.Rate = to.rate
		if err := s.limit(limits); err != nil {
			return false, err
		}
		changed := time.Now()
		if err := sleep(ctx, phase); err != nil {
			return false, err
		}
		all, err := s.requests()
		if err != nil {
			return false, err
		}
		b.seconds(all, changed, changed.Add(phase))
		back := backAbove(all, changed, phase, 0.9*to.rate)
		ok = row(name, fmt.Sprintf("back above 90 %% of a quota that %s", to.name), back.Round(100*time.Millisecond).String(), "<= 30s", back <= 30*time.Second) && ok
		worst := burst(all, changed, changed.Add(phase))
		ok = row(name, "429 in the worst 10 s after that", percent(worst), "<= 5 %", worst <= 0.05) && ok
	}
	return ok, nil
}

// changeWindow is what is looked at of a run after a change: a throttle window is
// in it, and no figure rests on one.
const changeWindow = 10 * time.Second

// backAbove is how long after a change the rate of a window was first above that;
// the time is that of its end.
func backAbove(all []simRequest, changed time.Time, most time.Duration, rate float64) time.Duration {
	// What the bucket held is not the quota: the first seconds do not count.
	for d := 3 * time.Second; d+changeWindow <= most; d += 100 * time.Millisecond {
		from := changed.Add(d)
		if count(all, from, from.Add(changeWindow)).used(rate, changeWindow) >= 1 {
			return d + changeWindow
		}
	}
	return most
}

// burst is the largest share of 429s in a window.
func burst(all []simRequest, from, to time.Time) float64 {
	worst := 0.0
	for ; !from.Add(changeWindow).After(to); from = from.Add(time.Second) {
		worst = max(worst, count(all, from, from.Add(changeWindow)).share())
	}
	return worst
}

// seconds prints taken+429 of each second, for who looks into a figure.
func (b *pacingBench) seconds(all []simRequest, from, to time.Time) {
	if !b.Seconds {
		return
	}
	for at := from; at.Before(to); at = at.Add(time.Second) {
		t := count(all, at, at.Add(time.Second))
		fmt.Printf("%d+%d ", t.taken, t.throttled)
	}
	fmt.Println()
}
