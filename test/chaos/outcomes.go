package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
	"callbus/test/chaos/check"
	"callbus/test/chaos/fleet"
	"callbus/test/chaos/load"
)

// settleWait is the longest time that everything may take to end once nothing
// is broken any more: a look at a silent call (30 s), then the next one.
const settleWait = 100 * time.Second

// settle waits until every command has its outcome, the queue is empty and no
// call lives that anybody knows of.
func (c *campaign) settle(ctx context.Context, f *fleet.Fleet, js jetstream.JetStream, l *load.Load, settled *follower) {
	calls, n := l.Counts()
	fmt.Fprintf(c.out, "%d calls, %d commands published; waiting for the outcomes\n", calls, n)
	patience := settleWait
	if c.patience > 0 {
		patience = c.patience
	}
	deadline := time.Now().Add(patience)
	ids := l.Published()
	for ctx.Err() == nil && time.Now().Before(deadline) {
		missing := settled.missing(ids)
		queued, err := queueLength(ctx, js)
		if missing == 0 && err == nil && queued == 0 {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	// Late notifications, a hang-up that has to be repeated: what is not final.
	quiet, was := time.Now(), settled.count()
	for ctx.Err() == nil && time.Now().Before(deadline) && (time.Since(quiet) < 6*time.Second || liveCalls(f) > settled.unknownPlaces() && time.Since(quiet) < 15*time.Second) {
		if now := settled.count(); now != was {
			quiet, was = time.Now(), now
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (c *campaign) progress(ctx context.Context, l *load.Load, settled *follower) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	begun := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			calls, n := l.Counts()
			fmt.Fprintf(c.out, "%7.1fs  %d calls, %d commands published, %d settled\n", time.Since(begun).Seconds(), calls, n, settled.finals())
		}
	}
}

func connect(url string) (jetstream.JetStream, error) {
	nc, err := nats.Connect(url, nats.Name("chaos"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return jetstream.New(nc)
}

func queueLength(ctx context.Context, js jetstream.JetStream) (uint64, error) {
	s, err := js.Stream(ctx, commands.DefaultPrefix.Stream(streams.Commands))
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
}

// leader is the NATS server that leads a stream.
func leader(ctx context.Context, js jetstream.JetStream, stream string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return ""
	}
	return s.CachedInfo().Cluster.Leader
}

// follower counts the outcomes as they are stored.
type follower struct {
	records atomic.Int64
	mu      sync.Mutex
	final   map[commands.Key]commands.Status
	cc      jetstream.ConsumeContext
}

// follow waits for the results stream, which the first worker makes, and then
// reads it.
func follow(ctx context.Context, js jetstream.JetStream) (*follower, error) {
	f := &follower{final: map[commands.Key]commands.Status{}}
	deadline := time.Now().Add(time.Minute)
	for {
		cons, err := js.OrderedConsumer(ctx, commands.DefaultPrefix.Stream(streams.Results), jetstream.OrderedConsumerConfig{})
		if err == nil {
			f.cc, err = cons.Consume(f.take)
		}
		if err == nil {
			return f, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, fmt.Errorf("follow the results: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (f *follower) stop() { f.cc.Stop() }

func (f *follower) take(msg jetstream.Msg) {
	f.records.Add(1)
	var r commands.Result
	if json.Unmarshal(msg.Data(), &r) != nil || !r.Final {
		return
	}
	f.mu.Lock()
	f.final[commands.Key{Producer: r.Producer, CallRef: r.CallRef, ID: r.CommandID}] = r.Status
	f.mu.Unlock()
}

func (f *follower) count() int64 { return f.records.Load() }

func (f *follower) finals() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.final)
}

func (f *follower) missing(ids []check.Command) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range ids {
		if _, ok := f.final[c.Key]; !ok {
			n++
		}
	}
	return n
}

func (f *follower) unknownPlaces() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, s := range f.final {
		if s == commands.Unknown && strings.HasPrefix(k.ID, "p") {
			n++
		}
	}
	return n
}
