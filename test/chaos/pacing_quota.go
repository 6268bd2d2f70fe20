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
		if err := s.placesOf(ctx, "endless", int(b.Rate*b.Duration.Seconds()*1.2)+200); err != nil {
			return false, err
		}
		begun := time.Now()
		if err := sleep(ctx, b.Duration); err != nil {
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
	begun := time.Now()
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
		b.seconds(all, begun, time.Now())
		back := backAbove(all, changed, phase, 0.9*to.rate)
		ok = row(name, fmt.Sprintf("back above 90 %% of a quota that %s", to.name), back.Round(100*time.Millisecond).String(), "<= 30s", back <= 30*time.Second) && ok
		t := count(all, changed, changed.Add(30*time.Second))
		ok = row(name, "429 in the 30 s after that", percent(t.share()), "<= 5 %", t.share() <= 0.05) && ok
	}
	return ok, nil
}

// backAbove is how long after a change the rate of five seconds was first above
// that; the time is that of their beginning.
func backAbove(all []simRequest, changed time.Time, most time.Duration, rate float64) time.Duration {
	const window = 5 * time.Second
	// What the bucket held is not the quota: the first seconds do not count.
	for d := 3 * time.Second; d+window <= most; d += 100 * time.Millisecond {
		from := changed.Add(d)
		if count(all, from, from.Add(window)).used(rate, window) >= 1 {
			return d
		}
	}
	return most
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
