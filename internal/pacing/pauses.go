package pacing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// EveryScope is the scope of a pause that holds all tenants.
const EveryScope = "_all"

// What a pause holds.
const (
	PausePlaces = "place" // places
	PauseAll    = "all"   // everything but hang-ups and keep-alives
)

// Pause is an operator's pause. It stands until it is taken back.
type Pause struct {
	Scope string    `json:"scope"` // a tenant, or EveryScope
	Lane  string    `json:"lane"`  // PausePlaces or PauseAll
	By    string    `json:"by,omitempty"`
	Since time.Time `json:"since"`
}

func (p Pause) key() string {
	scope := p.Scope
	if scope != EveryScope {
		scope = token(scope)
	}
	return "pause." + scope + "." + p.Lane
}

// Check says what is wrong with a pause.
func (p Pause) Check() error {
	if p.Scope == "" {
		return errors.New("a pause has no scope: want a tenant, or " + EveryScope)
	}
	if p.Lane != PausePlaces && p.Lane != PauseAll {
		return fmt.Errorf("a pause of %q: want %s or %s", p.Lane, PausePlaces, PauseAll)
	}
	return nil
}

// PauseObserver is told of pauses, for metrics; nil is allowed. The scope is a
// tenant, or EveryScope.
type PauseObserver interface {
	Paused(scope, lane string, paused bool)
}

// Pauses are the operators' pauses, as all workers see them. Make it with
// NewPauses; Run keeps the picture.
type Pauses struct {
	Passive
	kv   jetstream.KeyValue
	log  *slog.Logger
	obs  PauseObserver
	wake func(commands.CallKey) bool

	mu   sync.Mutex
	now  map[string]Pause // by key
	room map[string]*room // by key of the pause
}

// NewPauses opens the bucket of gates, which must exist. wake brings a waiting
// command of a call back.
func NewPauses(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, wake func(commands.CallKey) bool, obs PauseObserver, log *slog.Logger) (*Pauses, error) {
	p := &Pauses{log: log.With("component", "pacing"), obs: obs, wake: wake, now: map[string]Pause{}, room: map[string]*room{}}
	err := streams.AwaitLeader(ctx, nil, func(ctx context.Context) (err error) {
		p.kv, err = js.KeyValue(ctx, prefix.Stream(streams.Gates))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open pauses: %w", err)
	}
	return p, nil
}

// Run follows the pauses until ctx ends; the error is nil.
func (p *Pauses) Run(ctx context.Context) error {
	tick := time.NewTicker(resumeTick)
	defer tick.Stop()
	streams.Reopen(ctx, p.log.With("bucket", p.kv.Bucket(), "what", "pauses"), func(opened func()) error {
		return watched(ctx, p.kv, []string{"pause.>"}, tick.C, p.pump, opened, p.apply)
	})
	return nil
}

func (p *Pauses) apply(e jetstream.KeyValueEntry) {
	p.mu.Lock()
	old, was := p.now[e.Key()]
	var is Pause
	standing := e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &is) == nil && is.Check() == nil
	if standing {
		p.now[e.Key()] = is
	} else {
		delete(p.now, e.Key())
	}
	p.mu.Unlock()
	switch {
	case standing && !was:
		p.log.Warn("paused by an operator", "scope", is.Scope, "lane", is.Lane, "by", is.By)
	case !standing && was:
		p.log.Info("resumed by an operator", "scope", old.Scope, "lane", old.Lane)
		is = old
	}
	if p.obs != nil && (standing || was) {
		p.obs.Paused(is.Scope, is.Lane, standing)
	}
}

// Paused tells whether an operator holds commands of the tenant and action back.
func (p *Pauses) Paused(tenant string, a commands.Action) (Pause, bool) {
	class, _ := ClassOf(a)
	return p.holding(tenant, class)
}

// holding is the pause that holds commands of a class.
func (p *Pauses) holding(tenant string, class Class) (Pause, bool) {
	if class == ClassUrgent {
		return Pause{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, is := range pausesOf(tenant, class) {
		if is, ok := p.now[is.key()]; ok {
			return is, true
		}
	}
	return Pause{}, false
}

// pausesOf are the pauses that hold commands of a tenant and class.
func pausesOf(tenant string, class Class) []Pause {
	all := []Pause{{Scope: EveryScope, Lane: PauseAll}, {Scope: tenant, Lane: PauseAll}}
	if class == ClassPlace {
		all = append(all, Pause{Scope: EveryScope, Lane: PausePlaces}, Pause{Scope: tenant, Lane: PausePlaces})
	}
	return all
}

// Ask holds what an operator has paused, and notes it, so that it comes back soon
// after the pause has been taken back.
func (p *Pauses) Ask(r Request) (Wait, bool) {
	is, held := p.holding(r.Scope, r.Class)
	if !held {
		return Wait{}, false
	}
	if r.Command != "" {
		p.mu.Lock()
		in := p.room[is.key()]
		if in == nil {
			in = &room{}
			p.room[is.key()] = in
		}
		p.mu.Unlock()
		in.enter(r.Call, r.Seq)
	}
	return Wait{Reason: ReasonPaused}, true
}

// After a pause commands come back a few at a time.
const (
	resumeTick   = 100 * time.Millisecond
	resumeAtOnce = 10
)

// pump wakes some of those whose pause is over.
func (p *Pauses) pump() {
	p.mu.Lock()
	var open []*room
	for key, r := range p.room {
		if _, standing := p.now[key]; !standing && r.len() > 0 {
			open = append(open, r)
		}
	}
	p.mu.Unlock()
	for _, r := range open {
		r.wake(resumeAtOnce, p.wake)
	}
}
