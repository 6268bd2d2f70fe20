package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type callMetrics struct {
	callsLive     *prometheus.GaugeVec   // state
	callsEnded    *prometheus.CounterVec // reason
	ring          prometheus.Histogram
	talk          prometheus.Histogram
	silent        prometheus.Counter
	notifications *prometheus.CounterVec // kind, outcome
	keepAlives    *prometheus.CounterVec // outcome
}

// What becomes of a notification: what can happen to any kind, and what happens
// before the kind is known, mostly because its token does not hold.
var (
	storeOutcomes  = []string{"stored", "duplicate", "storeFailed"}
	unreadOutcomes = []string{"unreadable", "tooLarge", "tooSlow", "notFound", "tooManyConnections", "noToken", "malformed", "badAlgorithm",
		"unknownKey", "badSignature", "issuer", "audience", "expired", "notYetValid", "tenant", "noTenant"}
	notificationOutcomes = newLabelSet(slices.Concat(storeOutcomes, unreadOutcomes)...)
)

// keepAliveOutcomes: "gone" is a 404, the call has ended; "failed" is anything
// else but success.
var keepAliveOutcomes = newLabelSet("succeeded", "gone", "failed")

func newCallMetrics(f promauto.Factory) callMetrics {
	m := callMetrics{
		callsLive: f.NewGaugeVec(gauge("calls_live",
			"Calls in the registry by Graph's state; the same on all workers, read with max by."), []string{"state"}),
		callsEnded: f.NewCounterVec(counter("calls_ended_total",
			"Calls whose end became known, by reason."), []string{"reason"}),
		ring: f.NewHistogram(histogram("call_ring_seconds",
			"Time from placing a call to its being answered, or to its end when it never was.",
			1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120)),
		talk: f.NewHistogram(histogram("call_talk_seconds",
			"Time from a call's being answered to its end; calls never answered do not count.",
			5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)),
		silent: f.NewCounter(counter("calls_silent_total",
			"Calls that had to be read because no notification came: look at the callback URL.")),
		notifications: f.NewCounterVec(counter("notifications_total",
			"Notifications received from Graph, by kind and what became of them."), []string{"kind", "outcome"}),
		keepAlives: f.NewCounterVec(counter("keepalives_total",
			"Keep-alives sent by themselves, by outcome."), []string{"outcome"}),
	}
	for _, state := range callStates.withOther() {
		m.callsLive.WithLabelValues(state)
	}
	for _, reason := range endReasons.withOther() {
		m.callsEnded.WithLabelValues(reason)
	}
	for _, outcome := range storeOutcomes {
		for _, kind := range eventKinds.values {
			m.notifications.WithLabelValues(kind, outcome)
		}
	}
	for _, outcome := range unreadOutcomes {
		m.notifications.WithLabelValues(other, outcome)
	}
	for _, outcome := range keepAliveOutcomes.values {
		m.keepAlives.WithLabelValues(outcome)
	}
	return m
}

// CallLive shows how many live calls are in a state of Graph's.
func (m *Metrics) CallLive(state string, n int) {
	if m == nil {
		return
	}
	m.callsLive.WithLabelValues(callStates.fold(state)).Set(float64(n))
}

// CallEnded counts the end of a call, once a call. ring and talk are zero or
// less when not known; talk also when the call was never answered. Neither is
// observed then.
func (m *Metrics) CallEnded(reason string, ring, talk time.Duration) {
	if m == nil {
		return
	}
	m.callsEnded.WithLabelValues(endReasons.fold(reason)).Inc()
	if ring > 0 {
		m.ring.Observe(ring.Seconds())
	}
	if talk > 0 {
		m.talk.Observe(talk.Seconds())
	}
}

// CallSilent counts a call that had to be read because Graph told us nothing.
func (m *Metrics) CallSilent() {
	if m == nil {
		return
	}
	m.silent.Inc()
}

// Notification counts one notification of Graph. The kind is an event's, or
// empty when the body was not read; the outcome is the receiver's word.
func (m *Metrics) Notification(kind, outcome string) {
	if m == nil {
		return
	}
	if kind == "" {
		kind = other
	}
	m.notifications.WithLabelValues(eventKinds.fold(kind), notificationOutcomes.fold(outcome)).Inc()
}

// KeepAlive counts one keep-alive that a worker sent by itself: "succeeded",
// "gone" when the call has ended, or "failed".
func (m *Metrics) KeepAlive(outcome string) {
	if m == nil {
		return
	}
	m.keepAlives.WithLabelValues(keepAliveOutcomes.fold(outcome)).Inc()
}
