package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type throttleMetrics struct {
	throttled  *prometheus.CounterVec // scope, class
	gateClosed *prometheus.GaugeVec   // scope, class
	gateReopen *prometheus.GaugeVec   // scope, class
}

func newThrottleMetrics(f promauto.Factory, scopes labelSet) throttleMetrics {
	labels := []string{"scope", "class"}
	m := throttleMetrics{
		throttled: f.NewCounterVec(counter("graph_throttled_total",
			"Requests that Graph answered with 429, by tenant and pacing class."), labels),
		gateClosed: f.NewGaugeVec(gauge("throttle_gate_closed",
			"1 while requests of a tenant and pacing class are held back; the same on all workers, read with max by."), labels),
		gateReopen: f.NewGaugeVec(gauge("throttle_gate_reopen_timestamp_seconds",
			"When a closed gate opens again, Unix time in seconds; 0 while open or when nobody knows."), labels),
	}
	for _, scope := range scopes.withOther() {
		for _, class := range pacingClasses.values {
			m.throttled.WithLabelValues(scope, class)
			m.gateClosed.WithLabelValues(scope, class)
			m.gateReopen.WithLabelValues(scope, class)
		}
	}
	return m
}

// Throttled counts a 429 of Graph. The scope is a tenant id, the class "place"
// or "other".
func (m *Metrics) Throttled(scope, class string) {
	if m == nil {
		return
	}
	m.throttled.WithLabelValues(m.scope(scope), pacingClasses.fold(class)).Inc()
}

// GateClosed shows that requests of the scope and class are held back until
// the given time; zero when nobody knows until when.
func (m *Metrics) GateClosed(scope, class string, until time.Time) {
	if m == nil {
		return
	}
	scope, class = m.scope(scope), pacingClasses.fold(class)
	m.gateClosed.WithLabelValues(scope, class).Set(1)
	reopen := 0.0
	if !until.IsZero() {
		reopen = float64(until.UnixMilli()) / 1000
	}
	m.gateReopen.WithLabelValues(scope, class).Set(reopen)
}

// GateOpened shows that requests of the scope and class are sent again.
func (m *Metrics) GateOpened(scope, class string) {
	if m == nil {
		return
	}
	scope, class = m.scope(scope), pacingClasses.fold(class)
	m.gateClosed.WithLabelValues(scope, class).Set(0)
	m.gateReopen.WithLabelValues(scope, class).Set(0)
}

// scope folds a tenant that is not configured, or none at all, into "other".
func (m *Metrics) scope(tenant string) string {
	if m.scopes.known[tenant] {
		return tenant
	}
	return other
}
