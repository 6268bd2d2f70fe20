// Package executor takes one command from the queue to its outcome. It is the
// only room that knows both the vocabulary and Graph's client, and translates
// between them.
//
// A command goes through eight steps, each in a function of its own: read,
// recall, turn, ready, admit, begin, send, settle. Every step may end the
// command's stay with this worker; whatever happens between two steps, the
// journal tells the next worker where to go on.
package executor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/internal/graph"
	"callbus/internal/ledger"
	"callbus/internal/pacing"
	"callbus/internal/queue"
	"callbus/internal/traces"
	"callbus/internal/trouble"
)

// Options are the settings of an Executor.
type Options struct {
	Prefix  commands.Prefix
	Worker  string // name in results
	Tenants []string
	// AllowPhone are the prefixes of numbers that may be dialled; empty: all.
	AllowPhone []string
	TTL        commands.TTL
	// AckWait is the lease of a command, GraphTimeout the longest time of one
	// request; the lease must be the longer one.
	AckWait, GraphTimeout time.Duration
	// ReconcileWait is how long a request whose answer was lost is waited for.
	ReconcileWait time.Duration
	// LiveBudget says that the layers of admission count live calls: places that
	// Graph refuses for want of them wait there, not at the gate. MonthLook, if more
	// than 0, says the same of the month's calls, and is how long a place waits for
	// them until it is looked at again.
	LiveBudget bool
	MonthLook  time.Duration
	// Stopping tells whether the worker is to send nothing more.
	Stopping func() bool
	// CallbackURI makes the address that Graph notifies of a call.
	CallbackURI func(place commands.Key, attempt int) string
}

// Observer is told of what happens, for metrics; nil is allowed.
type Observer interface {
	CommandReceived(action string)
	Throttled(scope, class string)
}

// Deps are what an Executor works with.
type Deps struct {
	Graph     *graph.Client
	Queue     *queue.Queue
	Journal   *ledger.Journal
	Calls     *calls.Calls
	Gates     *pacing.Gates            // shut by what Graph answers
	Admission *pacing.Admission        // asked before anything is sent
	Down      func(tenant string) bool // whether the breaker of a tenant is open; may be nil
	Observer  Observer
	Traces    *traces.Traces // nil: off
	Logger    *slog.Logger
}

// Executor executes commands. Make it with New.
type Executor struct {
	Deps
	opts Options
	log  *slog.Logger
	off  *trouble.Log // of commands that are put off
	// journalFull says that the journal took no record the last time.
	journalFull atomic.Bool
}

// New makes an executor.
func New(d Deps, o Options) *Executor {
	log := d.Logger.With("component", "executor")
	return &Executor{Deps: d, opts: o, log: log, off: trouble.New(log, "command put off", "commands are no longer put off")}
}

var (
	errStopping  = errors.New("the worker is stopping")
	errLeaseLost = errors.New("the lease of the command has run out")
)

// movedTries bounds how often a command starts again because its call's journal
// moved under it.
const movedTries = 20

// retryPause is the wait after a failure of ours, such as NATS being away.
const retryPause = 2 * time.Second

// Handle takes one delivered command as far as it gets. It always ends the
// delivery: acknowledged, parked or handed back.
func (x *Executor) Handle(ctx context.Context, m *queue.Message) {
	if x.Observer != nil && m.Deliveries == 1 {
		x.Observer.CommandReceived(string(m.Action))
	}
	crashpoint.Reach(crashpoint.Fetched, string(m.Action))
	j := newJob(x, m)
	ctx, span := x.Traces.Command(ctx, j.trace, traces.Subject{Producer: j.key.Producer, CallRef: j.key.CallRef, Action: string(m.Action)}, m.Published)
	j.trace = span.TraceParent(j.trace)
	defer func() { j.endSpan(span) }()
	for range movedTries {
		err := j.run(ctx)
		if errors.Is(err, ledger.ErrMoved) {
			continue // another writer took a step of this call: look again
		}
		if errors.Is(err, errTwin) {
			m.Park(parkDelay(j.quiet()))
			return
		}
		if err != nil {
			x.off.Failed(err, "producer", m.Call.Producer, "call_ref", m.Call.CallRef, "command_id", j.key.ID, "action", m.Action)
			break
		}
		x.off.Passed()
		return
	}
	m.Park(retryPause)
}

// run goes through the steps. Each reports whether the command goes on; one
// that does not has ended the delivery itself.
func (j *job) run(ctx context.Context) error {
	defer j.release(ctx)
	for _, step := range []func(context.Context) (bool, error){
		j.read, j.recall, j.turn, j.ready, j.admit, j.begin,
	} {
		if on, err := step(ctx); !on || err != nil {
			return err
		}
	}
	a := j.send(ctx)
	j.reach(crashpoint.Answered)
	return j.settle(ctx, a)
}
