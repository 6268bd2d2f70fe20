// Package pacing holds requests back by what Graph allows. Its gates are shared
// by all workers: a Retry-After that one of them was told stops all of them for
// that scope and class, and for no other.
package pacing

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// Class is what a gate applies to within its scope: a throttled place shuts
// only places.
type Class string

// The classes.
const (
	ClassPlace Class = "place"
	ClassOther Class = "other"
	// ClassUrgent is never held: hang-ups and keep-alives.
	ClassUrgent Class = ""
)

// ClassOf tells which gate an action passes. Hang-ups and keep-alives pass
// none: no pause ever holds them.
func ClassOf(a commands.Action) (Class, bool) {
	switch a {
	case commands.Place:
		return ClassPlace, true
	case commands.Hangup, commands.KeepAlive:
		return ClassUrgent, false
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
	Passive
	kv  jetstream.KeyValue
	js  jetstream.JetStream
	log *slog.Logger
	obs Observer

	mu     sync.Mutex
	closed map[string]Gate
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

// Ask is the gates as a layer of [Admission].
func (g *Gates) Ask(r Request) (Wait, bool) {
	gate, closed := g.Closed(r.Scope, r.Class)
	return Wait{Reason: gate.Reason, Until: gate.Until}, closed
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

func gateKey(scope string, class Class) string { return "gate." + token(scope) + "." + string(class) }

// token spells scope, which may be any opaque tenant id, as a token of a key or
// subject.
func token(scope string) string {
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
	return safe
}
