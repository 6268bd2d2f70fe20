package calls

import (
	"context"
	"log/slog"
	"time"

	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/timers"
	"callbus/internal/trouble"
)

// Reading is what a look at a call at Graph showed.
type Reading struct {
	At          time.Time // when Graph was asked; zero counts as now
	Gone        bool      // 404: ended, or it never was
	State       string
	AudioActive *bool
}

// Graph is what this room asks of Graph. Errors are temporary: it asks again.
type Graph interface {
	ReadCall(ctx context.Context, tenant, callID string) (Reading, error)
	// KeepAlive and Hangup report a call that is gone by gone, not by an error.
	KeepAlive(ctx context.Context, tenant, callID string) (gone bool, err error)
	Hangup(ctx context.Context, tenant, callID string) (gone bool, err error)
}

// Observer is told what happens to calls, for metrics.
type Observer interface {
	CallEnded(reason string, ring, talk time.Duration)
	CallSilent()
	KeepAlive(outcome string)
}

// Options are the settings of Calls.
type Options struct {
	KeepAliveInterval time.Duration // between keep-alives of an established call
	OperationTimeout  time.Duration // until an accepted operation's call is read
	MaxCallDuration   time.Duration // 0: no limit
	SilentAfter       time.Duration // without a notification; then the call is read
	SilentEvery       time.Duration // and read again until it settles
	HangupCheck       time.Duration // after a hang-up
}

// Calls looks after all calls. Make it with New.
type Calls struct {
	Registry *Registry
	Events   *Events

	opts    Options
	journal *ledger.Journal
	timers  *timers.Timers
	graph   Graph
	hint    func(commands.CallKey)
	over    func(commands.Key)
	obs     Observer
	stalled func(consumer string)
	log     *slog.Logger
	failed  *trouble.Log // of events that could not be folded
}

// Deps are what Calls works with.
type Deps struct {
	Registry *Registry
	Events   *Events
	Journal  *ledger.Journal
	Timers   *timers.Timers
	Graph    Graph
	Hint     func(commands.CallKey) // told when something about a call has moved
	// Over is told, at least once, the place command of a call that has ended; it
	// may be nil and must not block.
	Over     func(commands.Key)
	Observer Observer
	Stalled  func(consumer string) // told when events could not be fetched; may be nil
	Logger   *slog.Logger
}

// New assembles the room. Zero durations get the contract's values, but for
// MaxCallDuration, where zero means no limit.
func New(d Deps, o Options) *Calls {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.KeepAliveInterval, 15*time.Minute)
	def(&o.OperationTimeout, 10*time.Minute)
	def(&o.SilentAfter, 10*time.Second)
	def(&o.SilentEvery, 5*time.Second)
	def(&o.HangupCheck, 10*time.Second)
	log := d.Logger.With("component", "calls")
	return &Calls{
		Registry: d.Registry, Events: d.Events, opts: o, journal: d.Journal, timers: d.Timers, graph: d.Graph,
		hint: d.Hint, over: d.Over, obs: d.Observer, stalled: d.Stalled, log: log,
		failed: trouble.New(log, "event failed, comes back", "events no longer fail"),
	}
}
