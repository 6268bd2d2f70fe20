package pacing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// Usage is what an operator sees of budgets, breakers, gates and pauses.
type Usage struct {
	Live     []LiveUsage    `json:"live"`
	Month    []MonthUsage   `json:"month"`
	Breakers []BreakerUsage `json:"breakers"`
	Gates    []GateUsage    `json:"gates"`
	Pauses   []Pause        `json:"pauses"`
}

// LiveUsage is one live-call budget.
type LiveUsage struct {
	Scope string `json:"scope"`
	Used  int    `json:"used"`
	Limit int    `json:"limit"` // 0: none
	// Refused says when Graph itself last said that too many calls live, and
	// Allowed how many are tried since.
	Refused time.Time `json:"refused,omitzero"`
	Allowed int       `json:"allowed"`
}

// MonthUsage is what was placed in this month: of a scope with its limit, and of
// each tenant and producer in it.
type MonthUsage struct {
	Month string `json:"month"`
	Scope string `json:"scope"`
	Used  int    `json:"used"`
	Limit int    `json:"limit"` // 0: none
	Hard  bool   `json:"hard"`
	// Shut says that Graph refused places for this month, until when they wait, and
	// when the next one may ask.
	Shut      bool         `json:"shut"`
	Until     time.Time    `json:"until"` // when the next month begins
	NextProbe time.Time    `json:"nextProbe,omitzero"`
	By        []PlacedCall `json:"by,omitempty"`
}

// PlacedCall is what one producer placed in one tenant.
type PlacedCall struct {
	Tenant   string `json:"tenant"`
	Producer string `json:"producer"`
	Calls    int    `json:"calls"`
}

// BreakerUsage is the breaker of a scope that has moved within a day.
type BreakerUsage struct {
	Scope string    `json:"scope"`
	Open  bool      `json:"open"`          // Graph is down: nothing but hang-ups and keep-alives is sent
	Since time.Time `json:"since"`         // of this state
	Why   string    `json:"why,omitempty"` // of an open one: failures, no answers
	// While it is open, when a worker last asked whether Graph is back, zero before
	// the first time, and when one asks again.
	LastProbe time.Time `json:"lastProbe,omitzero"`
	NextProbe time.Time `json:"nextProbe,omitzero"`
}

// GateUsage is one shut gate.
type GateUsage struct {
	Scope  string    `json:"scope"`
	Class  string    `json:"class"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
}

// Settings are the workers' limits, stored for those who look.
type Settings struct {
	App       string `json:"app"`
	Live      int    `json:"live"`
	Month     int    `json:"month"`
	Hard      bool   `json:"hard"`
	Reset     string `json:"reset"`
	PerTenant bool   `json:"perTenant"`
}

const settingsKey = "settings.budget"

// StoreSettings tells operators what the workers' limits are: those of the worker
// that was started last.
func (b *Budget) StoreSettings(ctx context.Context) error {
	o := b.Month.opts
	body, err := json.Marshal(Settings{
		App: token(o.App), Live: b.Slots.opts.Limit, Month: o.Limit, Hard: o.Hard, Reset: o.Reset.String(), PerTenant: o.PerTenant,
	})
	if err == nil {
		_, err = b.Slots.kv.Put(ctx, settingsKey, body)
	}
	if err != nil {
		return fmt.Errorf("store the budgets' settings: %w", err)
	}
	return nil
}

// Look reads all of it once. It needs an operator's rights: reading the bucket of
// gates and the counters.
func Look(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix) (Usage, error) {
	l := looking{live: map[string]*LiveUsage{}, refused: map[string]refusal{}, month: map[string]monthGate{}, now: time.Now(),
		settings: Settings{Reset: Reset{}.String()}}
	bucket := prefix.Stream(streams.Gates)
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return Usage{}, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return Usage{}, fmt.Errorf("read bucket %s: %w", bucket, err)
	}
	defer func() { _ = w.Stop() }()
	for more := true; more; {
		select {
		case <-ctx.Done():
			return Usage{}, fmt.Errorf("read bucket %s: %w", bucket, context.Cause(ctx))
		case e, ok := <-w.Updates():
			if !ok {
				return Usage{}, fmt.Errorf("read bucket %s: the server ended the watch", bucket)
			}
			if more = e != nil; more {
				l.take(e)
			}
		}
	}
	counters, err := l.counters(ctx, js, prefix)
	if err != nil {
		return Usage{}, err
	}
	return l.usage(counters), nil
}

// looking is one Look.
type looking struct {
	now      time.Time
	settings Settings
	live     map[string]*LiveUsage
	refused  map[string]refusal
	month    map[string]monthGate
	breakers []BreakerUsage
	gates    []GateUsage
	pauses   []Pause
}

// take reads one key; what cannot be read is passed over.
func (l *looking) take(e jetstream.KeyValueEntry) {
	kind, rest, _ := strings.Cut(e.Key(), ".")
	switch kind {
	case "slot":
		scope, _, _ := strings.Cut(rest, ".")
		if l.live[scope] == nil {
			l.live[scope] = &LiveUsage{Scope: scope}
		}
		var b slotBody
		if json.Unmarshal(e.Value(), &b) == nil && b.place() != nil {
			l.live[scope].Used++
		}
	case "refused":
		var r refusal
		if json.Unmarshal(e.Value(), &r) == nil {
			l.refused[rest] = r
		}
	case "month":
		var g monthGate
		if json.Unmarshal(e.Value(), &g) == nil && l.now.Before(g.Until) {
			l.month[rest] = g
		}
	case "pause":
		var p Pause
		if json.Unmarshal(e.Value(), &p) == nil && p.Check() == nil {
			l.pauses = append(l.pauses, p)
		}
	case "breaker":
		var n notice[Fuse]
		if json.Unmarshal(e.Value(), &n) == nil && n.Scope != "" {
			f := n.Is
			l.breakers = append(l.breakers, BreakerUsage{n.Scope, f.Open, f.Since, f.Why, f.Probed, f.Probe})
		}
	case "gate":
		var g Gate
		if json.Unmarshal(e.Value(), &g) == nil && l.now.Before(g.Until) {
			l.gates = append(l.gates, GateUsage{g.Scope, string(g.Class), g.Reason, g.Until})
		}
	default:
		if e.Key() == settingsKey {
			_ = json.Unmarshal(e.Value(), &l.settings)
		}
	}
}

// counters reads this month's counters by subject; an app whose workers have
// never told their settings has none.
func (l *looking) counters(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix) (map[string]int, error) {
	all := map[string]int{}
	name := prefix.Stream(streams.Quota)
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	month, _ := l.reset().Period(l.now)
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix.Quota("*")+".*.*."+month))
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	for subject := range info.State.Subjects {
		msg, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", name, err)
		}
		if n, err := counterValue(msg.Data); err == nil {
			all[subject] = n
		}
	}
	return all, nil
}

func (l *looking) reset() Reset {
	r, err := ParseReset(l.settings.Reset)
	if err != nil {
		return Reset{}
	}
	return r
}

// usage puts together what was read.
func (l *looking) usage(counters map[string]int) Usage {
	u := Usage{Live: []LiveUsage{}, Month: []MonthUsage{}, Breakers: append([]BreakerUsage{}, l.breakers...), Gates: append([]GateUsage{}, l.gates...), Pauses: append([]Pause{}, l.pauses...)}
	if len(l.live) == 0 && !l.settings.PerTenant {
		l.live[AppScope] = &LiveUsage{Scope: AppScope}
	}
	for scope, live := range l.live {
		live.Limit, live.Allowed = l.settings.Live, l.settings.Live
		if r, ok := l.refused[scope]; ok && r.limit(l.settings.Live, l.now) < l.settings.Live {
			live.Refused, live.Allowed = r.At, r.limit(l.settings.Live, l.now)
		}
		u.Live = append(u.Live, *live)
	}
	name, next := l.reset().Period(l.now)
	month := map[string]*MonthUsage{}
	of := func(scope string) *MonthUsage {
		m := month[scope]
		if m == nil {
			m = &MonthUsage{Month: name, Scope: scope, Limit: l.settings.Month, Hard: l.settings.Hard, Until: next}
			month[scope] = m
		}
		return m
	}
	if !l.settings.PerTenant {
		of(AppScope)
	}
	for subject, n := range counters {
		parts := strings.Split(subject, ".")
		tenant, producer := parts[len(parts)-3], parts[len(parts)-2]
		scope := AppScope
		if l.settings.PerTenant {
			scope = tenant
		}
		m := of(scope)
		m.Used += n
		m.By = append(m.By, PlacedCall{tenant, producer, n})
	}
	for scope, g := range l.month {
		m := of(scope)
		m.Shut, m.Until, m.NextProbe = true, g.Until, g.Next
	}
	for _, m := range month {
		slices.SortFunc(m.By, func(a, b PlacedCall) int {
			return strings.Compare(a.Tenant+" "+a.Producer, b.Tenant+" "+b.Producer)
		})
		u.Month = append(u.Month, *m)
	}
	slices.SortFunc(u.Live, func(a, b LiveUsage) int { return strings.Compare(a.Scope, b.Scope) })
	slices.SortFunc(u.Month, func(a, b MonthUsage) int { return strings.Compare(a.Scope, b.Scope) })
	slices.SortFunc(u.Breakers, func(a, b BreakerUsage) int { return strings.Compare(a.Scope, b.Scope) })
	slices.SortFunc(u.Gates, func(a, b GateUsage) int { return strings.Compare(a.Scope+a.Class, b.Scope+b.Class) })
	slices.SortFunc(u.Pauses, func(a, b Pause) int { return strings.Compare(a.key(), b.key()) })
	return u
}
