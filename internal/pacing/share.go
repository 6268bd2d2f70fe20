package pacing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// New opens the bucket of gates, which must exist. It waits while the bucket
// has no leader, at most [streams.LeaderWait].
func New(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, obs Observer, log *slog.Logger) (*Gates, error) {
	g := &Gates{js: js, log: log.With("component", "pacing"), obs: obs, closed: map[string]Gate{}}
	waiting := func(why error) { g.log.Warn("waiting for the gates", "err", why) }
	err := streams.AwaitLeader(ctx, waiting, func(ctx context.Context) (err error) {
		g.kv, err = js.KeyValue(ctx, prefix.Stream(streams.Gates))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open gates: %w", err)
	}
	return g, nil
}

// Run follows what other workers close, until ctx ends; the error is nil.
// Without it the gates work for this worker alone, as they do while the bucket
// cannot be followed: that is logged, and everything in it is read again
// afterwards.
func (g *Gates) Run(ctx context.Context) error {
	streams.Reopen(ctx, g.log.With("bucket", g.kv.Bucket()), func(opened func()) error { return g.follow(ctx, opened) })
	return nil
}

// follow reads every gate and then what becomes of them, until ctx or the watch
// ends.
func (g *Gates) follow(ctx context.Context, opened func()) error {
	w, err := g.kv.Watch(ctx, "gate.>", jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("watch gates: %w", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("watch gates: the server ended the watch")
			}
			if e == nil { // all that was there has been read
				opened()
				continue
			}
			var gate Gate
			if err := json.Unmarshal(e.Value(), &gate); err != nil {
				g.log.Warn("gate is unreadable", "key", e.Key(), "err", err)
				continue
			}
			g.note(gate)
		}
	}
}

// shareWithin bounds Close, for a command is waiting behind it.
const shareWithin = 5 * time.Second

// Close shuts a gate here and tells the other workers. A gate is only ever
// moved to a later time, whoever moves it. It blocks for two requests, more if
// others move the same gate, and for 5 s at most; an error means that only this
// worker knows.
func (g *Gates) Close(ctx context.Context, gate Gate) error {
	if !g.note(gate) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, shareWithin)
	defer cancel()
	if err := g.share(ctx, gate); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("share gate %s %s: %w", gate.Scope, gate.Class, err)
	}
	return nil
}

// share stores gate unless a later one is stored, by compare-and-swap: between
// the look and the write another worker may have moved it further.
func (g *Gates) share(ctx context.Context, gate Gate) error {
	body, err := json.Marshal(gate)
	if err != nil {
		return err
	}
	for {
		stored, revision, err := g.stored(ctx, gate)
		if err != nil {
			return err
		}
		if !gate.Until.After(stored.Until) {
			g.note(stored)
			return nil
		}
		msg := nats.NewMsg(g.subject(gate))
		msg.Data = body
		ttl := max(time.Until(gate.Until)+time.Second, time.Second).Round(time.Second)
		_, err = g.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(ttl))
		if !streams.Moved(err) {
			return err
		}
	}
}

// stored reads what the bucket's leader has in the place of gate, for a replica
// may be behind: a zero Gate if there is none, or not one of this scope, with
// the revision that a write has to name.
func (g *Gates) stored(ctx context.Context, gate Gate) (Gate, uint64, error) {
	msg, err := streams.LeaderGet(ctx, g.js, "KV_"+g.kv.Bucket(), g.subject(gate))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Gate{}, 0, nil
	}
	if err != nil {
		return Gate{}, 0, err
	}
	var is Gate
	// A marker of what has expired has no body.
	if json.Unmarshal(msg.Data, &is) != nil || is.Scope != gate.Scope {
		return Gate{}, msg.Sequence, nil
	}
	return is, msg.Sequence, nil
}

func (g *Gates) subject(gate Gate) string {
	return "$KV." + g.kv.Bucket() + "." + gateKey(gate.Scope, gate.Class)
}
