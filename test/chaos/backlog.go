package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/test/chaos/fleet"
)

// backlogFlags shape the backlog.
type backlogFlags struct {
	Places   int           `default:"10000" help:"Places queued behind a closed gate."`
	Controls int           `default:"100000" help:"Control commands whose calls are not ready."`
	Hangups  int           `default:"40" help:"Hang-ups measured, half of queued places, half of live calls."`
	Workers  int           `default:"2" help:"Worker processes."`
	Within   time.Duration `default:"1s" help:"The longest that a hang-up may take."`
}

// Run measures how long a hang-up takes past a large backlog.
func (f *backlogFlags) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callbus-backlog-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := fleet.Build(ctx, fleet.BuildOptions{Dir: dir})
	if err != nil {
		return err
	}
	fl, err := fleet.Start(ctx, fleet.Options{Binaries: bin, Workers: f.Workers, SimArgs: []string{"--answer-after=50ms", "--log-level=warn"}})
	if err != nil {
		return err
	}
	defer fl.Close()
	if err := fl.Ready(ctx); err != nil {
		return err
	}
	js, err := connect(fl.NATSURL())
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	b := &backlog{backlogFlags: *f, fleet: fl, js: js}
	return b.run(ctx)
}

type backlog struct {
	backlogFlags
	fleet *fleet.Fleet
	js    jetstream.JetStream
}

func (b *backlog) run(ctx context.Context) error {
	// Live calls first, then the gate of places closes for ten minutes.
	live := b.Hangups / 2
	for n := range live {
		if err := b.publish(ctx, liveCall(n), commands.Place, "p", placeOne); err != nil {
			return err
		}
	}
	for n := range live {
		if _, err := b.final(ctx, liveCall(n), "p"); err != nil {
			return err
		}
	}
	if err := setFaults(b.fleet, graphsim.Fault{Operation: "createCall", Status: 429, RetryAfter: "400"}); err != nil {
		return err
	}
	begun := time.Now()
	if err := b.publishAll(ctx, b.Places, func(n int) *nats.Msg { return b.message(queuedCall(n), commands.Place, "p", placeOne) }); err != nil {
		return err
	}
	each := max(b.Controls/max(b.Places, 1), 1)
	if err := b.publishAll(ctx, b.Controls, func(n int) *nats.Msg {
		return b.message(queuedCall(n/each), commands.PlayPrompt, fmt.Sprintf("pp%d", n%each), `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/hello.wav"}}]}`)
	}); err != nil {
		return err
	}
	queued, err := queueLength(ctx, b.js)
	if err != nil {
		return err
	}
	fmt.Printf("%d commands queued, published in %.1f s\n", queued, time.Since(begun).Seconds())
	// In the thick of it: the lanes are busy parking what is not ready.
	var ofQueued, ofLive []time.Duration
	for n := range live {
		took, err := b.hangup(ctx, liveCall(n), "p", commands.Succeeded)
		if err != nil {
			return err
		}
		ofLive = append(ofLive, took)
		if took, err = b.hangup(ctx, queuedCall((n*7919)%b.Places), "p", commands.Cancelled); err != nil {
			return err
		}
		ofQueued = append(ofQueued, took)
	}
	fmt.Printf("hang-up of a live call:    %s\n", spread(ofLive))
	fmt.Printf("hang-up of a queued place: %s (the place's own record included)\n", spread(ofQueued))
	if worst := max(slices.Max(ofLive), slices.Max(ofQueued)); worst > b.Within {
		fmt.Printf("a hang-up took %s, want %s at most\n", worst, b.Within)
		return errRed
	}
	return nil
}

const placeOne = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`

func liveCall(n int) commands.CallKey {
	return commands.CallKey{Producer: "backlog", CallRef: fmt.Sprintf("live-%d", n)}
}

func queuedCall(n int) commands.CallKey {
	return commands.CallKey{Producer: "backlog", CallRef: fmt.Sprintf("queued-%d", n)}
}

// spread is a set of times in a few words.
func spread(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("n %d, median %s, 95th %s, longest %s", len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)*95/100].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
}

// hangup publishes a hang-up and measures until it and the place are final.
func (b *backlog) hangup(ctx context.Context, call commands.CallKey, place string, want commands.Status) (time.Duration, error) {
	begun := time.Now()
	if err := b.publish(ctx, call, commands.Hangup, "bye", ""); err != nil {
		return 0, err
	}
	r, err := b.final(ctx, call, "bye")
	if err != nil {
		return 0, err
	}
	p, err := b.final(ctx, call, place)
	if err != nil {
		return 0, err
	}
	if r.Status != commands.Succeeded || p.Status != want {
		return 0, fmt.Errorf("%s: hang-up %s, place %s; want succeeded, %s", call, r.Status, p.Status, want)
	}
	return time.Since(begun), nil
}

func (b *backlog) final(ctx context.Context, call commands.CallKey, id string) (commands.Result, error) {
	return final(ctx, b.js, commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: id}, 30*time.Second)
}

func (b *backlog) message(call commands.CallKey, a commands.Action, id, parameters string) *nats.Msg {
	return command(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: id}, a, parameters)
}

func (b *backlog) publish(ctx context.Context, call commands.CallKey, a commands.Action, id, parameters string) error {
	_, err := b.js.PublishMsg(ctx, b.message(call, a, id, parameters))
	return err
}

// publishAll publishes n messages, many at once.
func (b *backlog) publishAll(ctx context.Context, n int, message func(int) *nats.Msg) error {
	var failed atomic.Int64
	js, err := jetstream.New(b.js.Conn(), jetstream.WithPublishAsyncMaxPending(512), jetstream.WithPublishAsyncErrHandler(func(jetstream.JetStream, *nats.Msg, error) { failed.Add(1) }))
	if err != nil {
		return err
	}
	for i := range n {
		if _, err := js.PublishMsgAsync(message(i)); err != nil {
			return err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if failed.Load() > 0 {
		return fmt.Errorf("%d of %d messages were not stored", failed.Load(), n)
	}
	return nil
}
