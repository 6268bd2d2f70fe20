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

// MonthOptions are the settings of [Month].
type MonthOptions struct {
	Limit int // calls placed in a month in one scope; 0: not counted against anything
	// Hard holds places back when our own count has come to the limit. Without it
	// only Graph's refusal does.
	Hard      bool
	Reset     Reset
	PerTenant bool
	Tenants   []string
	App       string        // the app's client id, a part of the counters' subjects
	Probe     time.Duration // between two probing places; 0: an hour
	Wake      func(commands.CallKey) bool
	Observer  BudgetObserver
}

// ProbeEvery is how often a place may ask Graph whether a month's calls are
// really used up.
const ProbeEvery = time.Hour

// Month is the monthly budget: a counter of the calls that Graph took, for each
// tenant and producer, and a gate that Graph's own refusal (8529) shuts until
// the month ends. One place an hour, of all workers', goes through a shut gate:
// when Graph takes it, the gate opens. Make it with NewMonth; Run keeps its
// picture of both.
type Month struct {
	Passive
	kv     jetstream.KeyValue
	js     jetstream.JetStream
	prefix commands.Prefix
	log    *slog.Logger
	opts   MonthOptions
	counts sync.WaitGroup

	mu     sync.Mutex
	shut   map[string]monthGate
	used   map[string]int // by the rest of a counter's subject: tenant.producer.yyyymm
	warned map[string]int // percent, by scope and month
	room   map[string]*room
}

// monthGate is a shut gate, as it is stored.
type monthGate struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // the next month
	// Next is when a place may probe, Prober the last one that was let through.
	Next   time.Time `json:"next"`
	Prober string    `json:"prober,omitempty"`

	revision uint64
}

// NewMonth opens the bucket of gates, which must exist.
func NewMonth(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, o MonthOptions, log *slog.Logger) (*Month, error) {
	if o.Probe <= 0 {
		o.Probe = ProbeEvery
	}
	m := &Month{js: js, prefix: prefix, log: log.With("component", "pacing"), opts: o,
		shut: map[string]monthGate{}, used: map[string]int{}, warned: map[string]int{}, room: map[string]*room{}}
	err := streams.AwaitLeader(ctx, nil, func(ctx context.Context) (err error) {
		m.kv, err = js.KeyValue(ctx, prefix.Stream(streams.Gates))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open monthly budget: %w", err)
	}
	return m, nil
}

// Scope is the budget that a tenant's calls count against.
func (m *Month) Scope(tenant string) string {
	if m.opts.PerTenant {
		return token(tenant)
	}
	return AppScope
}

const monthTick = 200 * time.Millisecond

// Run follows the gates and the counters until ctx ends; the error is nil.
func (m *Month) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { m.followGates(ctx) })
	parts.Go(func() { m.followCounts(ctx) })
	parts.Wait()
	return nil
}

func (m *Month) followGates(ctx context.Context) {
	tick := time.NewTicker(monthTick)
	defer tick.Stop()
	streams.Reopen(ctx, m.log.With("bucket", m.kv.Bucket(), "what", "monthly budget"), func(opened func()) error {
		return watched(ctx, m.kv, []string{"month.>"}, tick.C, m.pump, opened, func(e jetstream.KeyValueEntry) {
			var g monthGate
			if e.Operation() == jetstream.KeyValuePut {
				_ = json.Unmarshal(e.Value(), &g) // one that cannot be read shuts nothing
			}
			g.revision = e.Revision()
			m.note(strings.TrimPrefix(e.Key(), "month."), g)
		})
	})
}

// note takes a gate into the picture unless something later is there.
func (m *Month) note(scope string, g monthGate) {
	m.mu.Lock()
	old := m.shut[scope]
	newer := g.revision > old.revision
	if newer {
		m.shut[scope] = g
	}
	m.mu.Unlock()
	if !newer {
		return
	}
	switch now := time.Now(); {
	case now.Before(g.Until) && !now.Before(old.Until):
		m.log.Warn("the month's calls are used up: places wait, control goes on", "scope", scope, "until", g.Until.Format(time.RFC3339), "next_probe", g.Next.Format(time.RFC3339))
	case now.Before(old.Until) && !now.Before(g.Until):
		m.log.Info("places are sent again", "scope", scope)
	}
}

// openedAtOnce is how many places are woken at a time when a gate has opened:
// they do not come back all at once.
const openedAtOnce = 5

// pump wakes places when they may go on: one for a probe that is due, and a few
// at a time when the gate is open.
func (m *Month) pump() {
	now := time.Now()
	m.mu.Lock()
	wake := map[*room]int{}
	for scope, r := range m.room {
		g := m.shut[scope]
		switch {
		case now.Before(g.Until) && now.Before(g.Next), m.fullLocked(scope, now):
		case now.Before(g.Until):
			wake[r] = 1
		default:
			wake[r] = openedAtOnce
		}
	}
	m.mu.Unlock()
	for r, n := range wake {
		r.wake(n, m.opts.Wake)
	}
}

// Hold says that a place has to wait for a new month.
type Hold struct {
	Until time.Time // the month's end
	Again time.Time // when to look again at the latest
}

// Check tells whether places of the tenant may be sent, or have to wait. It asks
// nobody.
func (m *Month) Check(tenant string, now time.Time) (Hold, bool) {
	scope := m.Scope(tenant)
	m.mu.Lock()
	defer m.mu.Unlock()
	_, next := m.opts.Reset.Period(now)
	g := m.shut[scope]
	switch {
	case now.Before(g.Until) && now.Before(g.Next):
		return Hold{g.Until, earlier(g.Until, g.Next)}, true
	case m.fullLocked(scope, now):
		return Hold{next, earlier(next, now.Add(m.opts.Probe))}, true
	}
	return Hold{}, false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// fullLocked tells whether our own count shuts the gate.
func (m *Month) fullLocked(scope string, now time.Time) bool {
	return m.opts.Hard && m.opts.Limit > 0 && m.usedLocked(scope, now) >= m.opts.Limit
}

// Ask holds places as [Month.Check] says, and notes them as waiting.
func (m *Month) Ask(r Request) (Wait, bool) {
	if r.Class != ClassPlace {
		return Wait{}, false
	}
	hold, held := m.Check(r.Scope, time.Now())
	if held && r.Command != "" {
		m.enter(r.Scope, r.place(), r.Seq)
	}
	return Wait{Reason: ReasonMonthlyCalls, Until: hold.Until}, held
}

// Take asks for leave to probe if the gate is shut.
func (m *Month) Take(ctx context.Context, r Request) (Wait, bool, error) {
	if r.Class != ClassPlace {
		return Wait{}, false, nil
	}
	hold, held, err := m.admit(ctx, r.Scope, r.place(), r.Seq)
	return Wait{Reason: ReasonMonthlyCalls, Until: hold.Until}, held, err
}

// Heard shuts the gate when Graph says that the month's calls are used up.
func (m *Month) Heard(ctx context.Context, r Request, a Answer) {
	if r.Class != ClassPlace || a.Outcome != OverMonth {
		return
	}
	if _, err := m.Refused(ctx, r.Scope); err != nil {
		m.log.Warn("the monthly gate is shut here alone", "err", err)
	}
}

// admit is the last question before a place is begun: it may go, or wait as
// [Month.Check] says. When the gate is shut and a probe is due, one place of all
// workers' is let through, by compare-and-swap; only then it blocks, for one
// write.
func (m *Month) admit(ctx context.Context, tenant string, place commands.Key, seq uint64) (Hold, bool, error) {
	now := time.Now()
	if hold, held := m.Check(tenant, now); held {
		m.enter(tenant, place, seq)
		return hold, true, nil
	}
	scope := m.Scope(tenant)
	m.mu.Lock()
	g := m.shut[scope]
	m.mu.Unlock()
	if !now.Before(g.Until) {
		return Hold{}, false, nil
	}
	g.Next, g.Prober = now.Add(m.opts.Probe), proberName(place)
	err := m.put(ctx, scope, &g)
	if streams.Moved(err) { // another place probes
		m.enter(tenant, place, seq)
		return Hold{g.Until, earlier(g.Until, g.Next)}, true, nil
	}
	if err != nil {
		return Hold{}, false, fmt.Errorf("probe the monthly budget: %w", err)
	}
	m.log.Info("a place asks Graph whether the month's calls are used up", "scope", scope, "producer", place.Producer, "call_ref", place.CallRef)
	return Hold{}, false, nil
}

func (m *Month) enter(tenant string, place commands.Key, seq uint64) {
	scope := m.Scope(tenant)
	m.mu.Lock()
	r := m.room[scope]
	if r == nil {
		r = &room{}
		m.room[scope] = r
	}
	m.mu.Unlock()
	r.enter(place.Call(), seq)
}

func proberName(place commands.Key) string { return place.Call().String() + "." + place.ID }

func (m *Month) put(ctx context.Context, scope string, g *monthGate) error {
	body, err := json.Marshal(g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, shareWithin)
	defer cancel()
	ttl := max(time.Until(g.Until), 0) + time.Second
	g.revision, err = putCell(ctx, m.js, m.kv.Bucket(), "month."+scope, body, g.revision, ttl)
	if err == nil {
		m.note(scope, *g)
	}
	return err
}

// Refused notes that Graph refused a place with 8529: places of its scope wait
// for the next month, on all workers. It returns until when.
func (m *Month) Refused(ctx context.Context, tenant string) (Hold, error) {
	scope, now := m.Scope(tenant), time.Now()
	_, until := m.opts.Reset.Period(now)
	hold := Hold{until, earlier(until, now.Add(m.opts.Probe))}
	m.mu.Lock()
	g := m.shut[scope]
	m.mu.Unlock()
	for range freeTries {
		if now.Before(g.Until) && now.Before(g.Next) {
			return Hold{g.Until, earlier(g.Until, g.Next)}, nil // shut already, or by its own probe
		}
		g = monthGate{Since: now.UTC(), Until: until, Next: now.Add(m.opts.Probe).UTC(), revision: g.revision}
		err := m.put(ctx, scope, &g)
		if err == nil {
			return hold, nil
		}
		if !streams.Moved(err) {
			m.mu.Lock()
			m.shut[scope] = g // here at least
			m.mu.Unlock()
			return hold, fmt.Errorf("share that the month's calls are used up: %w", err)
		}
		c, err := leaderCell(ctx, m.js, m.kv.Bucket(), "month."+scope)
		if err != nil {
			return hold, fmt.Errorf("share that the month's calls are used up: %w", err)
		}
		g = monthGate{}
		if c.data != nil {
			_ = json.Unmarshal(c.data, &g)
		}
		g.revision = c.revision
		m.note(scope, g)
	}
	return hold, nil
}

// Took counts a place that Graph took, without waiting, and opens the gate if it
// was a probe. It is to be called once for each, by whoever stored that.
func (m *Month) Took(tenant string, place commands.Key) {
	scope, now := m.Scope(tenant), time.Now()
	m.mu.Lock()
	g := m.shut[scope]
	m.mu.Unlock()
	proved := now.Before(g.Until) && g.Prober == proberName(place)
	m.counts.Go(func() {
		if err := m.count(tenant, place, now); err != nil {
			m.log.Warn("a call is not counted against the month", "err", err)
		}
		if proved {
			g.Until = now
			if err := m.put(context.Background(), scope, &g); err != nil && !streams.Moved(err) {
				m.log.Warn("the monthly gate stays shut", "err", err)
			}
		}
	})
}

// Close waits for what is being counted, some seconds at most.
func (m *Month) Close() { m.counts.Wait() }

const countTries = 3

// count adds one. When the acknowledgement is lost it is sent again under the
// same message id, which the server counts once within the stream's window.
func (m *Month) count(tenant string, place commands.Key, at time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*freeWithin)
	defer cancel()
	month, _ := m.opts.Reset.Period(at)
	msg := nats.NewMsg(strings.Join([]string{m.root(), token(tenant), place.Producer, month}, "."))
	msg.Header.Set("Nats-Incr", "1")
	var err error
	for range countTries {
		if _, err = m.js.PublishMsg(ctx, msg, jetstream.WithMsgID(proberName(place))); err == nil {
			return nil
		}
		if _, refused := errors.AsType[*jetstream.APIError](err); refused || ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("count a placed call: %w", err)
}

// root begins every counter of the app.
func (m *Month) root() string { return m.prefix.Quota(token(m.opts.App)) }
