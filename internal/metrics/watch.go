package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// watchMetrics are what is looked at from time to time rather than counted on
// the way: room in NATS, what waits to be folded, what runs out.
type watchMetrics struct {
	streamBytes    *prometheus.GaugeVec   // stream
	streamLimit    *prometheus.GaugeVec   // stream
	pending        *prometheus.GaugeVec   // consumer
	stalls         *prometheus.CounterVec // consumer
	tokens         *prometheus.CounterVec // outcome
	certificateEnd prometheus.Gauge
}

// watchedStreams are all that takes room in NATS; consumers are those that read
// beside the lanes of commands.
var (
	watchedStreams   = newLabelSet("COMMANDS", "RESULTS", "EVENTS", "DEAD", "TIMERS", "CALLS", "GATES")
	watchedConsumers = newLabelSet("fold", "due")
	tokenOutcomes    = newLabelSet("succeeded", "failed")
)

func newWatchMetrics(f promauto.Factory) watchMetrics {
	m := watchMetrics{
		streamBytes: f.NewGaugeVec(gauge("stream_bytes",
			"Bytes that a stream or bucket holds; the same on all workers, read with max by."), []string{"stream"}),
		streamLimit: f.NewGaugeVec(gauge("stream_limit_bytes",
			"Bytes that a stream or bucket may hold, 0 without a limit of its own; the same on all workers, read with max by."), []string{"stream"}),
		pending: f.NewGaugeVec(gauge("consumer_pending",
			"Events (fold) and fired timers (due) that no worker has finished; the same on all workers, read with max by."), []string{"consumer"}),
		stalls: f.NewCounterVec(counter("consumer_stalls_total",
			"Failures to fetch events (fold) and fired timers (due), stalls among them."), []string{"consumer"}),
		tokens: f.NewCounterVec(counter("token_fetches_total",
			"Tokens for Graph fetched from the authority or a file, by outcome."), []string{"outcome"}),
		certificateEnd: f.NewGauge(gauge("callback_certificate_expiry_timestamp_seconds",
			"When the certificate of the notification endpoint ends, Unix time in seconds; 0 when a proxy ends TLS.")),
	}
	for _, stream := range watchedStreams.values {
		m.streamBytes.WithLabelValues(stream)
		m.streamLimit.WithLabelValues(stream)
	}
	for _, consumer := range watchedConsumers.values {
		m.pending.WithLabelValues(consumer)
		m.stalls.WithLabelValues(consumer)
	}
	for _, outcome := range tokenOutcomes.values {
		m.tokens.WithLabelValues(outcome)
	}
	return m
}

// StreamSize shows how many bytes a stream or bucket holds and may hold: its
// name without the prefix; a limit of 0 or less is none.
func (m *Metrics) StreamSize(stream string, bytes uint64, limit int64) {
	if m == nil {
		return
	}
	stream = watchedStreams.fold(stream)
	m.streamBytes.WithLabelValues(stream).Set(float64(bytes))
	m.streamLimit.WithLabelValues(stream).Set(float64(max(limit, 0)))
}

// ConsumerPending shows what a consumer's messages still wait for.
func (m *Metrics) ConsumerPending(consumer string, n int) {
	if m == nil {
		return
	}
	m.pending.WithLabelValues(watchedConsumers.fold(consumer)).Set(float64(n))
}

// ConsumerStalled counts a failure to fetch a consumer's messages.
func (m *Metrics) ConsumerStalled(consumer string) {
	if m == nil {
		return
	}
	m.stalls.WithLabelValues(watchedConsumers.fold(consumer)).Inc()
}

// TokenFetched counts a token that was fetched, or with an error was not to be
// had.
func (m *Metrics) TokenFetched(err error) {
	if m == nil {
		return
	}
	outcome := "succeeded"
	if err != nil {
		outcome = "failed"
	}
	m.tokens.WithLabelValues(outcome).Inc()
}

// CertificateEnds shows when the callback endpoint's own certificate ends; the
// zero time is none.
func (m *Metrics) CertificateEnds(at time.Time) {
	if m == nil {
		return
	}
	if at.IsZero() {
		m.certificateEnd.Set(0)
		return
	}
	m.certificateEnd.Set(float64(at.Unix()))
}
