package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

const (
	// tenantsPhase has Graph asked again twice, and enough places for a 99th
	// percentile: their time varies by that of their tokens, as the rate grows.
	tenantsPhase      = 150 * time.Second
	tenantsRetryAfter = "60"
	tenantsWorse      = 1.2
)

// tenants has two tenants at work, of which one is throttled in the second phase:
// the other one is to notice nothing.
func (b *pacingBench) tenants(ctx context.Context) (bool, error) {
	const name = "tenants"
	s, err := b.open(ctx, 3, "", "--tenant="+otherTenant)
	if err != nil {
		return false, err
	}
	defer s.close()
	throttled, err := s.live(ctx, graphsim.DefaultTenantID, 10)
	if err != nil {
		return false, err
	}
	other, err := s.live(ctx, otherTenant, 20)
	if err != nil {
		return false, err
	}
	if _, err := s.tenantsLoad(ctx, 0, 30*time.Second, throttled, other); err != nil { // the first seconds of a process are slow
		return false, err
	}
	calm, err := s.tenantsLoad(ctx, 1, tenantsPhase, throttled, other)
	if err != nil {
		return false, err
	}
	if err := setFaults(s.Fleet, graphsim.Fault{TenantID: graphsim.DefaultTenantID, Status: http.StatusTooManyRequests, RetryAfter: tenantsRetryAfter}); err != nil {
		return false, err
	}
	begun := time.Now()
	rough, err := s.tenantsLoad(ctx, 2, tenantsPhase, throttled, other)
	if err != nil {
		return false, err
	}
	all, err := s.requests()
	if err != nil {
		return false, err
	}
	t := count(all, begun, time.Now())
	ok := row(name, fmt.Sprintf("429 of the throttled tenant in %s", tenantsPhase), fmt.Sprint(t.throttled), "> 0", t.throttled > 0)
	for i, what := range []string{"control", "place"} {
		before, after := quantile(calm[i], 99), quantile(rough[i], 99)
		worse := float64(after) / float64(before)
		ok = row(name, fmt.Sprintf("%s of the other tenant, n %d, p99 %s, then", what, len(calm[i]), ms(before)),
			fmt.Sprintf("%s, %.2fx", ms(after), worse), fmt.Sprintf("<= %.1fx", tenantsWorse), worse <= tenantsWorse) && ok
		row(name, fmt.Sprintf("the same, p50 %s, then", ms(quantile(calm[i], 50))), ms(quantile(rough[i], 50)), "-", true)
	}
	return ok, nil
}

// tenantsLoad has both tenants publish for a while, 20 reads and 10 places a
// second of callees who hang up the one, twice as many reads the other, and returns how long the other
// one's took: reads, and places until Graph had taken them.
func (s *pacingSite) tenantsLoad(ctx context.Context, phase int, d time.Duration, throttled, other []commands.CallKey) (took [2][]time.Duration, err error) {
	const controlEvery, placeEvery = 25 * time.Millisecond, 100 * time.Millisecond
	var wg sync.WaitGroup
	var failed [4]error
	wg.Go(func() { failed[0] = s.publishEvery(ctx, d, 2*controlEvery, commands.GetCall, "", throttled, phase) })
	wg.Go(func() {
		failed[1] = s.publishEvery(ctx, d, placeEvery, commands.Place, inTenant(graphsim.DefaultTenantID, endsItself), nil, phase)
	})
	wg.Go(func() {
		took[0], failed[2] = s.measure(ctx, int(d/controlEvery), controlEvery, func(i int) (commands.Key, commands.Action, string) {
			call := other[i%len(other)]
			return commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: fmt.Sprintf("g-%d-%d", phase, i)}, commands.GetCall, ""
		})
	})
	wg.Go(func() {
		took[1], failed[3] = s.measure(ctx, int(d/placeEvery), placeEvery, func(i int) (commands.Key, commands.Action, string) {
			return commands.Key{Producer: fresher, CallRef: fmt.Sprintf("p-%d-%d", phase, i), ID: "p"}, commands.Place, inTenant(otherTenant, endsItself)
		})
	})
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			return took, err
		}
	}
	return took, nil
}

// publishEvery publishes commands at a steady pace and does not wait for them:
// for these calls in turn, or for a new call each.
func (s *pacingSite) publishEvery(ctx context.Context, d, every time.Duration, a commands.Action, parameters string, calls []commands.CallKey, phase int) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range int(d / every) {
		call := commands.CallKey{Producer: "bench", CallRef: fmt.Sprintf("%s-%d-%d", a, phase, i)}
		if len(calls) > 0 {
			call = calls[i%len(calls)]
		}
		if err := s.js.Conn().PublishMsg(s.message(call, a, fmt.Sprintf("b-%d-%d", phase, i), parameters)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
