package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// breakerStates are those of a breaker; one is 1 once the tenant is sent for.
var breakerStates = newLabelSet("closed", "halfOpen", "open")

type pacingMetrics struct {
	pacerLimit *prometheus.GaugeVec // scope
	breaker    *prometheus.GaugeVec // scope, state
}

func newPacingMetrics(f promauto.Factory, scopes labelSet) pacingMetrics {
	m := pacingMetrics{
		pacerLimit: f.NewGaugeVec(gauge("pacer_limit_requests_per_second",
			"Requests a second that all workers together send for a tenant, as learned or set; 0 before the first. Read with max by."), []string{"scope"}),
		breaker: f.NewGaugeVec(gauge("breaker_state",
			"1 for the state that a tenant's circuit breaker is in, 0 for the others; halfOpen while this worker probes. Read with max by."), []string{"scope", "state"}),
	}
	for _, scope := range scopes.withOther() {
		m.pacerLimit.WithLabelValues(scope)
		m.set(scope, "") // unknown until the tenant is first sent for
	}
	return m
}

func (m pacingMetrics) set(scope, state string) {
	for _, s := range breakerStates.values {
		is := 0.0
		if s == state {
			is = 1
		}
		m.breaker.WithLabelValues(scope, s).Set(is)
	}
}

// PacerLimit shows the rate at which requests of a tenant are sent.
func (m *Metrics) PacerLimit(scope string, requestsPerSecond float64) {
	if m == nil {
		return
	}
	m.pacerLimit.WithLabelValues(m.scope(scope)).Set(requestsPerSecond)
}

// BreakerState shows the state of a tenant's breaker: closed, halfOpen or open.
func (m *Metrics) BreakerState(scope, state string) {
	if m == nil || !breakerStates.known[state] {
		return
	}
	m.pacingMetrics.set(m.scope(scope), state)
}
