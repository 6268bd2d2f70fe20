package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type commandMetrics struct {
	received *prometheus.CounterVec   // action
	finished *prometheus.CounterVec   // action, status, class
	duration *prometheus.HistogramVec // action, stage
}

// Stages tells where the time of a command went. Total runs from receiving to
// the final record and holds the others.
type Stages struct {
	Total     time.Duration
	Queued    time.Duration // waiting for its turn or its call
	Throttled time.Duration // waiting for a gate, the pacer or a budget
	Graph     time.Duration // requests under way
	TraceID   string        // of the command's trace, for exemplars; empty without one
}

func newCommandMetrics(f promauto.Factory) commandMetrics {
	m := commandMetrics{
		received: f.NewCounterVec(counter("commands_received_total",
			"Commands taken from the queue for the first time."), []string{"action"}),
		finished: f.NewCounterVec(counter("commands_finished_total",
			"Commands that got their final record, by its status and the class of its error (none without one)."),
			[]string{"action", "status", "class"}),
		duration: f.NewHistogramVec(histogram("command_duration_seconds",
			"Time from receiving a command to its final record (total), and its parts.",
			.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800), []string{"action", "stage"}),
	}
	for _, action := range actions.values {
		m.received.WithLabelValues(action)
		for _, stage := range []string{"total", "queued", "throttled", "graph"} {
			m.duration.WithLabelValues(action, stage)
		}
		for _, s := range finalStatuses {
			if !canEnd(action, s.status) {
				continue
			}
			for _, class := range s.classes {
				m.finished.WithLabelValues(action, s.status, class)
			}
		}
	}
	return m
}

// canEnd leaves out what cannot happen: only a call being placed is cancelled,
// and a hang-up supersedes but is not superseded.
func canEnd(action, status string) bool {
	switch status {
	case "cancelled":
		return action == "place"
	case "superseded":
		return action != "hangup" && action != "place"
	}
	return true
}

// CommandReceived counts a command taken from the queue; once a command, not
// once a delivery.
func (m *Metrics) CommandReceived(action string) {
	if m == nil {
		return
	}
	m.received.WithLabelValues(actions.fold(action)).Inc()
}

// CommandFinished counts a command's final record and observes its times. The
// class is the error's, empty without an error.
func (m *Metrics) CommandFinished(action, status, class string, stages Stages) {
	if m == nil {
		return
	}
	action = actions.fold(action)
	m.finished.WithLabelValues(action, statuses.fold(status), classes.fold(class)).Inc()
	observe(m.duration.WithLabelValues(action, "total"), seconds(stages.Total), stages.TraceID)
	observe(m.duration.WithLabelValues(action, "queued"), seconds(stages.Queued), stages.TraceID)
	observe(m.duration.WithLabelValues(action, "throttled"), seconds(stages.Throttled), stages.TraceID)
	observe(m.duration.WithLabelValues(action, "graph"), seconds(stages.Graph), stages.TraceID)
}

// seconds is d in seconds, never negative: clocks of two machines may differ.
func seconds(d time.Duration) float64 { return max(d, 0).Seconds() }
