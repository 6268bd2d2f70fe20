package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/pacing"
)

// budgets looks at what holds calls back.
func (x *examination) budgets(ctx context.Context, js jetstream.JetStream) []Finding {
	if !x.Works {
		return skipped("a receiver sends nothing", "budgets")
	}
	u, err := pacing.Look(ctx, js, x.Streams.Prefix)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return []Finding{skip("budgets", "not looked at: %v", err)}
	case err != nil:
		return []Finding{fail("budgets", "look at the line about rights, and at the servers", "%v", err)}
	}
	return judgeBudgets(u)
}

// judgeBudgets tells which budgets are nearly used up, and what is shut, paused or
// thought to be down.
func judgeBudgets(u pacing.Usage) (found []Finding) {
	const check = "budgets"
	var said []string
	for _, l := range u.Live {
		text := fmt.Sprintf("%s (%s)", used(l.Used, l.Limit, "calls live"), l.Scope)
		said = append(said, text)
		switch {
		case !l.Refused.IsZero():
			found = append(found, warn(check, "find out what else calls under this app, or ask Microsoft for more", "Graph refused more live calls at %s (8530): %d are tried; %s", stamp(l.Refused), l.Allowed, text))
		case most(l.Used, l.Limit):
			found = append(found, warn(check, "hang up what is idle, set limits.callSeconds, or raise --max-live-calls if Microsoft grants more: places wait when none is left", "%s", text))
		}
	}
	for _, m := range u.Month {
		text := fmt.Sprintf("%s (%s) until %s", used(m.Used, m.Limit, "calls placed in the month"), m.Scope, stamp(m.Until))
		said = append(said, text)
		const do = "stop bulk jobs (`publisher pause`), or have the limit raised and set --monthly-calls"
		switch {
		case m.Shut:
			found = append(found, fail(check, do, "Graph refuses more calls in this month (8529): places wait until %s", stamp(m.Until)))
		case m.Hard && m.Limit > 0 && m.Used >= m.Limit:
			found = append(found, fail(check, do, "the month's calls are used up and --monthly-calls-hard is set: %s", text))
		case most(m.Used, m.Limit):
			found = append(found, warn(check, do, "%s", text))
		}
	}
	for _, g := range u.Gates {
		found = append(found, warn(check, "wait; if it stays, send more slowly: --quota-requests, `publisher send --rate`", "Graph throttles %s of %s until %s (%s)", g.Class, g.Scope, stamp(g.Until), g.Reason))
	}
	for _, b := range u.Breakers {
		if b.Open {
			found = append(found, fail(check, "look at the lines about token and Graph; it closes by itself when a worker's probe is answered", "the breaker of %s is open since %s (%s): nothing but hang-ups and keep-alives is sent", b.Scope, stamp(b.Since), orUnknown(b.Why)))
		}
	}
	for _, p := range u.Pauses {
		scope, what := "tenant "+p.Scope, "everything but hang-ups and keep-alives"
		if p.Scope == pacing.EveryScope {
			scope = "all tenants"
		}
		if p.Lane == pacing.PausePlaces {
			what = "places"
		}
		found = append(found, warn(check, "`publisher resume` with the same flags, when it has served its purpose", "paused by %s since %s: %s of %s", orNobody(p.By), stamp(p.Since), what, scope))
	}
	if len(found) == 0 {
		found = append(found, ok(check, "%s; nothing is shut or paused", strings.Join(said, "; ")))
	}
	return found
}

func used(n, limit int, what string) string {
	if limit == 0 {
		return fmt.Sprintf("%d %s, no limit known", n, what)
	}
	return fmt.Sprintf("%d of %d %s", n, limit, what)
}

// most tells whether four fifths are used, when operators are alerted too.
func most(n, limit int) bool { return limit > 0 && n*5 >= limit*4 }

func orNobody(name string) string {
	if name == "" {
		return "somebody"
	}
	return name
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
