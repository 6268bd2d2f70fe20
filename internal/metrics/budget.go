package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// appScope is the scope of what all tenants share.
const appScope = "app"

// everyScope is what an operator's pause of all tenants is called.
const everyScope = "all"

type budgetMetrics struct {
	used   *prometheus.GaugeVec // scope, budget
	limit  *prometheus.GaugeVec // scope, budget
	paused *prometheus.GaugeVec // scope, lane
}

var (
	budgets    = newLabelSet("live", "month")
	pauseLanes = newLabelSet("place", "all")
)

func newBudgetMetrics(f promauto.Factory, scopes labelSet) budgetMetrics {
	labels := []string{"scope", "budget"}
	m := budgetMetrics{
		used: f.NewGaugeVec(gauge("call_budget_used",
			"Calls that live, and calls placed in this month; the same on all workers, read with max by."), labels),
		limit: f.NewGaugeVec(gauge("call_budget_limit",
			"How many calls may live, and be placed in a month, 0 for no limit; the same on all workers, read with max by."), labels),
		paused: f.NewGaugeVec(gauge("paused",
			"1 while an operator's pause holds places, or all but hang-ups and keep-alives; the same on all workers, read with max by."), []string{"scope", "lane"}),
	}
	for _, budget := range budgets.values {
		m.used.WithLabelValues(appScope, budget)
		m.limit.WithLabelValues(appScope, budget)
	}
	for _, scope := range append([]string{everyScope}, scopes.withOther()...) {
		for _, lane := range pauseLanes.values {
			m.paused.WithLabelValues(scope, lane)
		}
	}
	return m
}

// Budget shows what is used of a budget, "live" or "month". The scope is a tenant
// id, or "app" where all tenants share it.
func (m *Metrics) Budget(scope, budget string, used, limit int) {
	if m == nil {
		return
	}
	if scope != appScope {
		scope = m.scope(scope)
	}
	budget = budgets.fold(budget)
	m.used.WithLabelValues(scope, budget).Set(float64(used))
	m.limit.WithLabelValues(scope, budget).Set(float64(limit))
}

// Paused shows whether an operator's pause stands. The scope is a tenant id, or
// "_all".
func (m *Metrics) Paused(scope, lane string, paused bool) {
	if m == nil {
		return
	}
	if scope == "_all" {
		scope = everyScope
	} else {
		scope = m.scope(scope)
	}
	value := 0.0
	if paused {
		value = 1
	}
	m.paused.WithLabelValues(scope, pauseLanes.fold(lane)).Set(value)
}
