package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/commands"
)

// fresher publishes the commands that are measured.
const fresher = "fresh"

// live places calls of a tenant and waits until they are established.
func (s *pacingSite) live(ctx context.Context, tenant string, n int) (calls []commands.CallKey, err error) {
	for i := range n {
		call := commands.CallKey{Producer: fresher, CallRef: fmt.Sprintf("live-%.4s-%d", tenant, i)}
		if err := s.publish(ctx, call, commands.Place, "p", ofTenant(tenant)); err != nil {
			return nil, err
		}
		calls = append(calls, call)
	}
	for _, call := range calls {
		r, err := s.final(ctx, call, "p")
		if err != nil {
			return nil, err
		}
		if r.Status != commands.Succeeded {
			return nil, fmt.Errorf("%s: place %s: %+v", call, r.Status, r.Error)
		}
	}
	return calls, nil
}

// ofTenant are the parameters of a place in a tenant.
func ofTenant(tenant string) string {
	return fmt.Sprintf(`{"tenantId":%q,%s`, tenant, placeOne[1:])
}

// freshEvery is the time between two commands that are measured.
const freshEvery = 100 * time.Millisecond

// fresh reads live calls, one after the other at a steady pace, and returns how
// long each took, from publishing to the outcome's arrival.
func (s *pacingSite) fresh(ctx context.Context, calls []commands.CallKey, n int) (took []time.Duration, err error) {
	results := make(chan *nats.Msg, n)
	s.asked++
	run := fmt.Sprintf("fresh-%d-", s.asked)
	sub, err := s.js.Conn().ChanSubscribe("calls.results."+fresher+".*.*", results)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	tick := time.NewTicker(freshEvery)
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		key := commands.Key{Producer: fresher, CallRef: calls[i%len(calls)].CallRef, ID: fmt.Sprint(run, i)}
		begun := time.Now()
		if err := s.js.Conn().PublishMsg(s.message(key.Call(), commands.GetCall, key.ID, "")); err != nil {
			return nil, err
		}
		r, err := outcome(ctx, results, key)
		if err != nil {
			return nil, err
		}
		if r.Status != commands.Succeeded {
			return nil, fmt.Errorf("%s of %s: %s %+v", key.ID, key.Call(), r.Status, r.Error)
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// outcome waits for a command's final record among those that arrive.
func outcome(ctx context.Context, results <-chan *nats.Msg, key commands.Key) (r commands.Result, err error) {
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	subject := commands.DefaultPrefix.Result(key)
	for {
		select {
		case msg := <-results:
			if msg.Subject == subject && json.Unmarshal(msg.Data, &r) == nil && r.Final {
				return r, nil
			}
		case <-patience.C:
			return r, fmt.Errorf("%s of %s has no outcome within 30 s", key.ID, key.Call())
		case <-ctx.Done():
			return r, context.Cause(ctx)
		}
	}
}

// quantile is the one of these times that q percent of them do not exceed.
func quantile(all []time.Duration, q int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*q/100, len(sorted)-1)]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
