package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type queueMetrics struct {
	backlog       *prometheus.GaugeVec   // lane
	runnable      *prometheus.GaugeVec   // lane
	oldest        *prometheus.GaugeVec   // lane
	inFlight      *prometheus.GaugeVec   // lane
	fetchErrors   *prometheus.CounterVec // lane
	storeRefused  *prometheus.CounterVec // stream, reason
	deadLetters   *prometheus.GaugeVec   // cause
	natsConnected prometheus.Gauge
}

func newQueueMetrics(f promauto.Factory) queueMetrics {
	lane := []string{"lane"}
	m := queueMetrics{
		backlog: f.NewGaugeVec(gauge("backlog",
			"Unfinished commands in the queue; the same on all workers, read with max by."), lane),
		runnable: f.NewGaugeVec(gauge("backlog_runnable",
			"Unfinished commands that more workers could work on now; the same on all workers, read with max by."), lane),
		oldest: f.NewGaugeVec(gauge("backlog_oldest_age_seconds",
			"Age of the oldest unfinished command, 0 without one; the same on all workers, read with max by."), lane),
		inFlight: f.NewGaugeVec(gauge("commands_in_flight",
			"Commands this worker holds."), lane),
		fetchErrors: f.NewCounterVec(counter("fetch_errors_total",
			"Failures to fetch commands from the queue, stalls among them."), lane),
		storeRefused: f.NewCounterVec(counter("store_refused_total",
			"Messages that NATS refused to store, by stream or bucket and reason: look at its limits; work waits until there is room."),
			[]string{"stream", "reason"}),
		deadLetters: f.NewGaugeVec(gauge("dead_letters",
			"Commands that need a look, by cause, counted in the stream; the same on all workers, read with max by."), []string{"cause"}),
		natsConnected: f.NewGauge(gauge("nats_connected",
			"1 while the connection to NATS is up.")),
	}
	for _, lane := range lanes.values {
		m.backlog.WithLabelValues(lane)
		m.runnable.WithLabelValues(lane)
		m.oldest.WithLabelValues(lane)
		m.inFlight.WithLabelValues(lane)
		m.fetchErrors.WithLabelValues(lane)
	}
	for _, stream := range storeStreams.values {
		for _, reason := range storeReasons.values {
			m.storeRefused.WithLabelValues(stream, reason)
		}
	}
	for _, cause := range deadCauses.withOther() {
		m.deadLetters.WithLabelValues(cause)
	}
	return m
}

// Backlog shows what a lane's queue holds: all unfinished commands, those that
// more workers could work on now, and the age of the oldest.
func (m *Metrics) Backlog(lane string, pending, runnable int, oldest time.Duration) {
	if m == nil {
		return
	}
	lane = lanes.fold(lane)
	m.backlog.WithLabelValues(lane).Set(float64(pending))
	m.runnable.WithLabelValues(lane).Set(float64(runnable))
	m.oldest.WithLabelValues(lane).Set(seconds(oldest))
}

// InFlight adds to the commands this worker holds: 1 when one is taken, -1 when
// it is settled.
func (m *Metrics) InFlight(lane string, delta int) {
	if m == nil {
		return
	}
	m.inFlight.WithLabelValues(lanes.fold(lane)).Add(float64(delta))
}

// FetchFailed counts a failure to fetch commands of a lane.
func (m *Metrics) FetchFailed(lane string) {
	if m == nil {
		return
	}
	m.fetchErrors.WithLabelValues(lanes.fold(lane)).Inc()
}

// StoreRefused counts a message that NATS did not store: the name of the stream
// or bucket without its prefix, and why.
func (m *Metrics) StoreRefused(stream, reason string) {
	if m == nil {
		return
	}
	m.storeRefused.WithLabelValues(storeStreams.fold(stream), storeReasons.fold(reason)).Inc()
}

// DeadLetters shows how many dead letters of a cause the stream holds.
func (m *Metrics) DeadLetters(cause string, n int) {
	if m == nil {
		return
	}
	m.deadLetters.WithLabelValues(deadCauses.fold(cause)).Set(float64(n))
}

// NATSConnected shows whether the connection to NATS is up.
func (m *Metrics) NATSConnected(up bool) {
	if m == nil {
		return
	}
	value := 0.0
	if up {
		value = 1
	}
	m.natsConnected.Set(value)
}
