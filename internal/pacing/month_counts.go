package pacing

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/streams"
)

// warnAt are the shares of a month's calls, in percent, at which an operator is
// told.
var warnAt = []int{95, 80}

// followCounts keeps the picture of the counters.
func (m *Month) followCounts(ctx context.Context) {
	stream := m.prefix.Stream(streams.Quota)
	streams.Reopen(ctx, m.log.With("stream", stream), func(opened func()) error {
		cons, err := m.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{m.root() + ".>"}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		})
		if err != nil {
			return fmt.Errorf("follow the counters of calls: %w", err)
		}
		msgs, err := cons.Messages()
		if err != nil {
			return fmt.Errorf("follow the counters of calls: %w", err)
		}
		stop := context.AfterFunc(ctx, msgs.Stop)
		defer stop()
		opened()
		m.counted("", 0)
		for {
			msg, err := msgs.Next()
			if err != nil {
				return fmt.Errorf("follow the counters of calls: %w", err)
			}
			if n, err := counterValue(msg.Data()); err == nil {
				m.counted(strings.TrimPrefix(msg.Subject(), m.root()+"."), n)
			}
		}
	})
}

// counterValue reads the body of a counter's message.
func counterValue(data []byte) (int, error) {
	var body struct {
		Val string `json:"val"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return 0, err
	}
	n, ok := new(big.Int).SetString(body.Val, 10)
	if !ok || !n.IsInt64() {
		return 0, fmt.Errorf("counter %q is no number", body.Val)
	}
	return int(n.Int64()), nil
}

// counted takes a counter's value into the picture, tells it and warns.
func (m *Month) counted(counter string, n int) {
	now := time.Now()
	month, _ := m.opts.Reset.Period(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	scopes := budgetScopes(m.opts.PerTenant, m.opts.Tenants)
	if counter != "" {
		tenant, rest, _ := strings.Cut(counter, ".")
		_, of, _ := strings.Cut(rest, ".")
		if of < month {
			return // kept for the books
		}
		m.used[counter] = n
		scopes = []string{m.Scope(tenant)}
	}
	for _, scope := range scopes {
		used := m.usedLocked(scope, now)
		if m.opts.Observer != nil {
			m.opts.Observer.Budget(tenantOf(scope, m.opts.Tenants), "month", used, m.opts.Limit)
		}
		m.warnLocked(scope, month, used)
	}
}

// usedLocked is how many calls of the scope were placed in this month.
func (m *Month) usedLocked(scope string, now time.Time) (sum int) {
	month, _ := m.opts.Reset.Period(now)
	for counter, n := range m.used {
		tenant, rest, _ := strings.Cut(counter, ".")
		_, of, _ := strings.Cut(rest, ".")
		if of == month && (scope == AppScope && !m.opts.PerTenant || tenant == scope) {
			sum += n
		}
	}
	return sum
}

// warnLocked tells an operator, once a month and threshold.
func (m *Month) warnLocked(scope, month string, used int) {
	if m.opts.Limit <= 0 {
		return
	}
	for _, percent := range warnAt {
		if used*100 < percent*m.opts.Limit {
			continue
		}
		if key := scope + " " + month; m.warned[key] < percent {
			m.warned[key] = percent
			m.log.Warn("the month's calls are being used up", "scope", scope, "month", month, "used", used, "limit", m.opts.Limit, "percent", percent)
		}
		return
	}
}
