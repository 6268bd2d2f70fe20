package doctor

import (
	"testing"
	"time"

	"callbus/internal/pacing"
)

func TestBudgets(t *testing.T) {
	later := noon.Add(time.Hour)
	type live = pacing.LiveUsage
	type month = pacing.MonthUsage
	for _, row := range []struct {
		name string
		u    pacing.Usage
		want []string
	}{
		{"room in both", pacing.Usage{Live: []live{{Scope: "app", Used: 79, Limit: 100}}, Month: []month{{Scope: "app", Used: 1, Limit: 10000, Until: later}}},
			[]string{"ok budgets: 79 of 100 calls live (app); 1 of 10000 calls placed in the month (app) until 2026-11-24T13:00:00Z; nothing is shut"}},
		{"no limits", pacing.Usage{Live: []live{{Scope: "app", Used: 500}}}, []string{"ok budgets: 500 calls live, no limit known"}},
		{"live calls nearly used up", pacing.Usage{Live: []live{{Scope: "app", Used: 80, Limit: 100}}}, []string{"warn budgets: 80 of 100 calls live"}},
		{"Graph refused", pacing.Usage{Live: []live{{Scope: "t1", Used: 5, Limit: 100, Refused: noon, Allowed: 6}}}, []string{"warn budgets: (8530): 6 are tried"}},
		{"a month nearly used up", pacing.Usage{Month: []month{{Scope: "app", Used: 8000, Limit: 10000}}}, []string{"warn budgets: 8000 of 10000"}},
		{"a month used up by our count alone", pacing.Usage{Month: []month{{Scope: "app", Used: 10000, Limit: 10000}}}, []string{"warn budgets: 10000 of 10000"}},
		{"a month used up, hard", pacing.Usage{Month: []month{{Scope: "app", Used: 10000, Limit: 10000, Hard: true}}}, []string{"FAIL budgets: --monthly-calls-hard"}},
		{"a month that Graph shut", pacing.Usage{Month: []month{{Scope: "app", Shut: true, Until: later}}}, []string{"FAIL budgets: (8529): places wait until 2026-11-24T13:00:00Z"}},
		{"a gate", pacing.Usage{Gates: []pacing.GateUsage{{Scope: "t1", Class: "place", Reason: "throttled", Until: later}}}, []string{"warn budgets: throttles place of t1"}},
		{"an open breaker", pacing.Usage{Breakers: []pacing.BreakerUsage{{Scope: "t1", Open: true, Since: noon, Why: "failures"}}}, []string{"FAIL budgets: breaker of t1 is open since 2026-11-24T12:00:00Z (failures)"}},
		{"a breaker that has closed", pacing.Usage{Breakers: []pacing.BreakerUsage{{Scope: "t1", Since: noon}}}, []string{"ok budgets"}},
		{"a pause of one tenant", pacing.Usage{Pauses: []pacing.Pause{{Scope: "t1", Lane: pacing.PauseAll, By: "anna", Since: noon}}}, []string{"warn budgets: paused by anna since 2026-11-24T12:00:00Z: everything but hang-ups and keep-alives of tenant t1"}},
		{"a pause of all", pacing.Usage{Pauses: []pacing.Pause{{Scope: pacing.EveryScope, Lane: pacing.PausePlaces, Since: noon}}}, []string{"warn budgets: paused by somebody since 2026-11-24T12:00:00Z: places of all tenants"}},
	} {
		t.Run(row.name, func(t *testing.T) { assertFindings(t, judgeBudgets(row.u), row.want...) })
	}
}
