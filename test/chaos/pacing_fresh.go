package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/commands"
	"callbus/internal/streams"
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

// ofTenant are the parameters of a place in a tenant, whose call lasts.
func ofTenant(tenant string) string { return inTenant(tenant, placeOne) }

func inTenant(tenant, parameters string) string {
	return fmt.Sprintf(`{"tenantId":%q,%s`, tenant, parameters[1:])
}

// fresh reads live calls in turn at a steady pace and returns how long each took,
// from publishing to the arrival of the outcome.
func (s *pacingSite) fresh(ctx context.Context, calls []commands.CallKey, n int) ([]time.Duration, error) {
	s.asked++
	run := s.asked
	return s.measure(ctx, n, 100*time.Millisecond, func(i int) (commands.Key, commands.Action, string) {
		call := calls[i%len(calls)]
		return commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: fmt.Sprintf("fresh-%d-%d", run, i)}, commands.GetCall, ""
	})
}

// freshPatience is how long the last outcomes are waited for.
const freshPatience = 30 * time.Second

// measure publishes n commands, one every so often whatever became of those
// before, and returns how long each took until it was accepted or had its
// outcome.
func (s *pacingSite) measure(ctx context.Context, n int, every time.Duration, command func(i int) (commands.Key, commands.Action, string)) ([]time.Duration, error) {
	var mu sync.Mutex
	begun := map[string]time.Time{}
	var took []time.Duration
	var wrong error
	all := make(chan struct{})
	sub, err := s.js.Conn().Subscribe("calls.results."+fresher+".*.*", func(msg *nats.Msg) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		at, ours := begun[msg.Subject]
		var r commands.Result
		if !ours || json.Unmarshal(msg.Data, &r) != nil || !r.Final && r.Status != commands.Accepted {
			return
		}
		if r.Status != commands.Succeeded && r.Status != commands.Accepted && wrong == nil {
			wrong = fmt.Errorf("%s %s: %s %+v", r.CallRef, r.CommandID, r.Status, r.Error)
		}
		delete(begun, msg.Subject)
		if took = append(took, now.Sub(at)); len(took) == n {
			close(all)
		}
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range n {
		key, action, parameters := command(i)
		mu.Lock()
		begun[commands.DefaultPrefix.Result(key)] = time.Now()
		mu.Unlock()
		if err := s.js.Conn().PublishMsg(s.message(key.Call(), action, key.ID, parameters)); err != nil {
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	select {
	case <-all:
	case <-time.After(freshPatience):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(begun) > 0 && wrong == nil {
		one := slices.Sorted(maps.Keys(begun))[0]
		wrong = fmt.Errorf("%d of %d commands have no outcome after %s: %s, last recorded %s", len(begun), n, freshPatience, one, s.last(ctx, one))
	}
	return slices.Clone(took), wrong
}

// last is the last record on a subject, for errors.
func (s *pacingSite) last(ctx context.Context, subject string) string {
	r, err := s.js.Stream(ctx, commands.DefaultPrefix.Stream(streams.Results))
	if err != nil {
		return err.Error()
	}
	msg, err := r.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return err.Error()
	}
	return string(msg.Data)
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
