package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/test/chaos/check"
	"callbus/test/chaos/load"
)

// outageKind is one way for Graph to be down. The calls in it live on.
type outageKind struct {
	name string
	// refused: no connection. The simulator then sees nothing, and what was tried
	// is counted by the workers' own metric.
	refused bool
	faults  []graphsim.Fault
}

var outageKinds = []outageKind{
	{name: "outage/refused", refused: true},
	{name: "outage/503", faults: []graphsim.Fault{{Status: http.StatusServiceUnavailable}}},
	// Half of what hangs is done all the same, long after the worker gave it up.
	{name: "outage/hanging", faults: []graphsim.Fault{{Probability: 0.5, Delay: 20 * time.Second, DropAnswer: true}, {Delay: 2 * time.Minute, DropRequest: true}}},
}

const (
	outageRate   = 12.0 // commands a second of the mixed load
	outageBefore = 20 * time.Second
	outageAfter  = 20 * time.Second
	backWithin   = 10 * time.Second
)

// outage is a run with an outage in the middle of a mixed load: places, prompts,
// mutes, reads and hang-ups of many calls, most of them without an end of their
// own, some that expire while Graph is down.
type outage struct {
	*pacingSite
	kind outageKind
	load *load.Load
	seen *outageWatch
	rate float64         // that Graph allows
	more []check.Command // published beside the load

	down, back time.Time
	fresh      map[string]time.Duration // what was published when Graph was back, until it succeeded
}

// outageScenario runs one kind of outage.
func outageScenario(kind outageKind) func(*pacingBench, context.Context) (bool, error) {
	return func(b *pacingBench, ctx context.Context) (bool, error) {
		s, err := b.open(ctx, 3, fmt.Sprintf("rate=%g,retry-after=%s", b.Rate, retryAfter), "--log-level=warn")
		if err != nil {
			return false, err
		}
		defer s.close()
		settled, err := follow(ctx, s.js)
		if err != nil {
			return false, err
		}
		defer settled.stop()
		o := &outage{pacingSite: s, kind: kind, rate: b.Rate, load: load.New(s.js, load.Options{Prefix: commands.DefaultPrefix, Seed: rand.Uint64(), Rate: outageRate})}
		if o.seen, err = watchOutage(ctx, s); err != nil {
			return false, err
		}
		if err := o.run(ctx, b.Outage); err != nil {
			o.seen.stop()
			return false, err
		}
		c := campaign{out: os.Stderr}
		c.settle(ctx, s.Fleet, s.js, o.load, settled)
		o.seen.stop()
		h, err := check.Collect(ctx, s.js, commands.DefaultPrefix, s.SimURL())
		if err != nil {
			return false, err
		}
		h.Commands = append(o.load.Published(), o.more...)
		for _, w := range s.Workers() {
			if kind.refused {
				h.Incidents = append(h.Incidents, check.Incident{Kind: "cut", Target: w.Name() + "/graph", From: o.down, To: o.back})
			}
		}
		return o.judge(h), nil
	}
}

// run has Graph down for a while.
func (o *outage) run(ctx context.Context, lasts time.Duration) error {
	live, err := o.live(ctx, graphsim.DefaultTenantID, 1)
	if err != nil {
		return err
	}
	o.note(live[0], commands.Place, "p", ofTenant(graphsim.DefaultTenantID))
	loading, stop := context.WithCancel(ctx)
	defer stop()
	loaded := make(chan error, 1)
	go func() { loaded <- o.load.Run(loading) }()
	if err := sleep(ctx, outageBefore); err != nil {
		return err
	}
	o.down = time.Now()
	if err := o.takeDown(); err != nil {
		return err
	}
	if err := sleep(ctx, lasts); err != nil {
		return err
	}
	o.back = time.Now()
	if err := o.bringBack(); err != nil {
		return err
	}
	if err := o.tryFresh(ctx, live[0]); err != nil {
		return err
	}
	if err := sleep(ctx, time.Until(o.back.Add(outageAfter))); err != nil {
		return err
	}
	stop()
	return <-loaded
}

func (o *outage) takeDown() error {
	if !o.kind.refused {
		return setFaults(o.Fleet, o.kind.faults...)
	}
	for i := range o.Workers() {
		o.WorkerGraph(i).Cut()
	}
	return nil
}

func (o *outage) bringBack() error {
	if !o.kind.refused {
		return setFaults(o.Fleet)
	}
	for i := range o.Workers() {
		if err := o.WorkerGraph(i).Heal(); err != nil {
			return err
		}
	}
	return nil
}

// tryFresh publishes a read of a live call and a place, and measures until both
// have succeeded.
func (o *outage) tryFresh(ctx context.Context, live commands.CallKey) error {
	o.fresh = map[string]time.Duration{}
	place := commands.CallKey{Producer: fresher, CallRef: "after"}
	if err := o.publishNoted(ctx, live, commands.GetCall, "after", ""); err != nil {
		return err
	}
	if err := o.publishNoted(ctx, place, commands.Place, "p", placeOne); err != nil {
		return err
	}
	for what, key := range map[string]commands.Key{
		"read": {Producer: live.Producer, CallRef: live.CallRef, ID: "after"}, "place": {Producer: place.Producer, CallRef: place.CallRef, ID: "p"},
	} {
		r, err := final(ctx, o.js, key, 90*time.Second)
		if err != nil {
			return err
		}
		if r.Status != commands.Succeeded {
			return fmt.Errorf("a %s after the outage: %s %+v", what, r.Status, r.Error)
		}
		o.fresh[what] = r.Time.Sub(o.back)
	}
	for _, call := range []commands.CallKey{live, place} {
		if err := o.publishNoted(ctx, call, commands.Hangup, "bye", ""); err != nil {
			return err
		}
	}
	return nil
}

func (o *outage) publishNoted(ctx context.Context, call commands.CallKey, a commands.Action, id, parameters string) error {
	o.note(call, a, id, parameters)
	return o.publish(ctx, call, a, id, parameters)
}

// note tells the checker of a command that is none of the load's.
func (o *outage) note(call commands.CallKey, a commands.Action, id, parameters string) {
	key := commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: id}
	o.more = append(o.more, check.Command{Key: key, Action: a, Body: command(key, a, parameters).Data, Published: time.Now(), Copies: 1})
}

// held tells whether the breaker holds a request of that operation.
func held(operation string) bool {
	return operation != "deleteCall" && operation != "keepAlive" && !strings.HasPrefix(operation, "_")
}
