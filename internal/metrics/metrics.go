package metrics

import (
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const namespace = "callbus"

// Options says what the numbers are about.
type Options struct {
	// Tenants are the configured tenants, the values of the label "scope";
	// any other tenant is counted as "other".
	Tenants []string
	// Version is the program's version, for build_info; "unknown" when empty.
	Version string
}

// Metrics are the worker's numbers. A nil *Metrics records nothing; any other
// comes from [New]. All methods may be called at the same time and never block.
type Metrics struct {
	scopes labelSet

	commandMetrics
	graphMetrics
	throttleMetrics
	pacingMetrics
	budgetMetrics
	callMetrics
	queueMetrics
	watchMetrics
}

// New makes the collectors on reg and sets every expected combination of labels
// to zero. It panics when reg already has collectors of another [New]: give each
// worker in a process its own registry.
func New(reg prometheus.Registerer, opts Options) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{scopes: newLabelSet(opts.Tenants...)}
	m.commandMetrics = newCommandMetrics(f)
	m.graphMetrics = newGraphMetrics(f)
	m.throttleMetrics = newThrottleMetrics(f, m.scopes)
	m.pacingMetrics = newPacingMetrics(f, m.scopes)
	m.budgetMetrics = newBudgetMetrics(f, m.scopes)
	m.callMetrics = newCallMetrics(f)
	m.queueMetrics = newQueueMetrics(f)
	m.watchMetrics = newWatchMetrics(f)
	registerBuildInfo(f, opts.Version)
	return m
}

// registerBuildInfo makes the gauge that is always 1 and says which program
// this is.
func registerBuildInfo(f promauto.Factory, version string) {
	if version == "" {
		version = "unknown"
	}
	f.NewGauge(prometheus.GaugeOpts{
		Namespace:   namespace,
		Name:        "build_info",
		Help:        "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision(), "goversion": runtime.Version()},
	}).Set(1)
}

// revision is the commit the binary was built from, "unknown" outside of a
// build with version control.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// histogram are the options of a histogram of seconds, kept in classic buckets
// for every Prometheus and natively (about 10 % precision, at most 160 buckets)
// for those that ask for it.
func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace:                       namespace,
		Name:                            name,
		Help:                            help,
		Buckets:                         buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// observe adds to a histogram; a trace id makes the observation an exemplar,
// which leads from a slow bucket to one command's trace. Exemplars are not
// labels: they add no series.
func observe(h prometheus.Observer, value float64, traceID string) {
	if e, ok := h.(prometheus.ExemplarObserver); ok && traceID != "" {
		e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": cut(traceID, traceIDLength)})
		return
	}
	h.Observe(value)
}

// traceIDLength is that of a W3C trace id in hex. A longer text is no trace id,
// and Prometheus refuses exemplars that are too long by panicking.
const traceIDLength = 32

func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

func counter(name, help string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}
}

func gauge(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}
}
