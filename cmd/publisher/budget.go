package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"callbus/internal/pacing"
)

// budgetCmd shows what is used.
type budgetCmd struct{}

func (c *budgetCmd) Help() string {
	return `Shows how many calls live and were placed in this month, with the workers' limits, whether Graph is down (the breaker is open), which gates are shut and what is paused. An operator's tool: it needs an operator's rights in NATS (docs/operators.md).`
}

func (c *budgetCmd) Run(s *session) error {
	return s.operate(func(ctx context.Context, o *operator) error {
		u, err := pacing.Look(ctx, o.js, o.prefix)
		if err != nil {
			return err
		}
		if s.json() {
			s.printJSON(u)
			return nil
		}
		s.showUsage(u)
		return nil
	})
}

func (s *session) showUsage(u pacing.Usage) {
	w := tabwriter.NewWriter(s.std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BUDGET\tSCOPE\tUSED\tLIMIT\tNOTE")
	for _, l := range u.Live {
		note := ""
		if !l.Refused.IsZero() {
			note = fmt.Sprintf("Graph refused more at %s (8530): %d are tried", l.Refused.UTC().Format(time.RFC3339), l.Allowed)
		}
		fmt.Fprintf(w, "live\t%s\t%d\t%s\t%s\n", clean(l.Scope), l.Used, limit(l.Limit), note)
	}
	for _, m := range u.Month {
		fmt.Fprintf(w, "month %s\t%s\t%d\t%s\t%s\n", m.Month, clean(m.Scope), m.Used, limit(m.Limit), monthNote(m))
		for _, by := range m.By {
			fmt.Fprintf(w, "  of it\t%s\t%d\t\tproducer %s\n", clean(by.Tenant), by.Calls, clean(by.Producer))
		}
	}
	for _, b := range u.Breakers {
		if b.Open {
			fmt.Fprintf(w, "breaker\t%s\t\t\t%s\n", clean(b.Scope), breakerNote(b))
		}
	}
	for _, g := range u.Gates {
		fmt.Fprintf(w, "gate\t%s\t\t\t%s shut (%s) until %s\n", clean(g.Scope), clean(g.Class), clean(g.Reason), g.Until.UTC().Format(time.RFC3339))
	}
	_ = w.Flush() // a pipe that is closed has had enough
	s.showPauses(u.Pauses)
}

func breakerNote(b pacing.BreakerUsage) string {
	why := ""
	if b.Why != "" {
		why = " (" + clean(b.Why) + ")"
	}
	asked := "nobody has asked yet"
	if !b.LastProbe.IsZero() {
		asked = "last asked at " + b.LastProbe.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("open%s since %s: %s, next at %s", why, b.Since.UTC().Format(time.RFC3339), asked, b.NextProbe.UTC().Format(time.RFC3339))
}

func limit(n int) string {
	if n == 0 {
		return "none"
	}
	return strconv.Itoa(n)
}

func monthNote(m pacing.MonthUsage) string {
	until := m.Until.UTC().Format(time.RFC3339)
	switch {
	case m.Shut:
		return fmt.Sprintf("Graph refuses more (8529): places wait until %s, one asks again at %s", until, m.NextProbe.UTC().Format(time.RFC3339))
	case m.Hard && m.Limit > 0 && m.Used >= m.Limit:
		return "used up (--monthly-calls-hard): places wait until " + until
	case m.Hard:
		return "until " + until + ", hard"
	}
	return "until " + until
}
