// Package pacing holds requests back by what Graph allows. Its gates are shared
// by all workers: a Retry-After that one of them was told stops all of them for
// that scope and class, and for no other.
package pacing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// Class is what a gate applies to within its scope: a throttled place shuts
// only places.
type Class string

// The classes.
const (
	ClassPlace Class = "place"
	ClassOther Class = "other"
)

// ClassOf tells which gate an action passes. Hang-ups and keep-alives pass
// none: no pause ever holds them.
func ClassOf(a commands.Action) (Class, bool) {
	switch a {
	case commands.Place:
		return ClassPlace, true
	case commands.Hangup, commands.KeepAlive:
		return "", false
	}
	return ClassOther, true
}

// Gate is one closed gate.
type Gate struct {
	Scope  string    `json:"scope"`
	Class  Class     `json:"class"`
	Reason string    `json:"reason"` // throttled, liveCalls, monthlyCalls
	Until  time.Time `json:"until"`
}

// Observer is told when gates move, for metrics; nil is allowed.
type Observer interface {
	GateClosed(scope, class string, until time.Time)
	GateOpened(scope, class string)
}

// Gates are the shared gates. Make them with New; Run keeps them in step with
// the other workers.
type Gates struct {
	kv  jetstream.KeyValue
	js  jetstream.JetStream
	log *slog.Logger
	obs Observer

	mu     sync.Mutex
	closed map[string]Gate
}

// New opens the bucket of gates, which must exist.
func New(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, obs Observer, log *slog.Logger) (*Gates, error) {
	kv, err := js.KeyValue(ctx, prefix.Stream(streams.Gates))
	if err != nil {
		return nil, fmt.Errorf("open gates: %w", err)
	}
	return &Gates{kv: kv, js: js, log: log.With("component", "pacing"), obs: obs, closed: map[string]Gate{}}, nil
}

// Run follows what other workers close, until ctx ends. Without it the gates
// work for this worker alone.
func (g *Gates) Run(ctx context.Context) error {
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
				return nil
			}
			if e == nil {
				continue // all that was there has been read
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

// Closed tells whether the gate for scope and class is shut, and until when.
func (g *Gates) Closed(scope string, class Class) (Gate, bool) {
	key := gateKey(scope, class)
	g.mu.Lock()
	gate, ok := g.closed[key]
	open := ok && !time.Now().Before(gate.Until)
	if open {
		delete(g.closed, key)
	}
	g.mu.Unlock()
	if open && g.obs != nil {
		g.obs.GateOpened(scope, string(class))
	}
	return gate, ok && !open
}

// Close shuts a gate here and tells the other workers. A gate is only ever
// moved to a later time. It blocks for one request; an error means that only
// this worker knows.
func (g *Gates) Close(ctx context.Context, gate Gate) error {
	if !g.note(gate) {
		return nil
	}
	body, err := json.Marshal(gate)
	if err != nil {
		return fmt.Errorf("encode gate: %w", err)
	}
	msg := nats.NewMsg("$KV." + g.kv.Bucket() + "." + gateKey(gate.Scope, gate.Class))
	msg.Data = body
	ttl := max(time.Until(gate.Until)+time.Second, time.Second).Round(time.Second)
	if _, err := g.js.PublishMsg(ctx, msg, jetstream.WithMsgTTL(ttl)); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("share gate %s %s: %w", gate.Scope, gate.Class, err)
	}
	return nil
}

// note remembers gate when it closes later than what is known, and reports that.
func (g *Gates) note(gate Gate) bool {
	if !time.Now().Before(gate.Until) {
		return false
	}
	key := gateKey(gate.Scope, gate.Class)
	g.mu.Lock()
	old, ok := g.closed[key]
	later := !ok || gate.Until.After(old.Until)
	if later {
		g.closed[key] = gate
	}
	g.mu.Unlock()
	if later && g.obs != nil {
		g.obs.GateClosed(gate.Scope, string(gate.Class), gate.Until)
	}
	return later
}

// gateKey spells scope, which may be any opaque tenant id, as a KV token.
func gateKey(scope string, class Class) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, scope)
	if safe == "" {
		safe = "_"
	}
	return "gate." + safe + "." + string(class)
}
