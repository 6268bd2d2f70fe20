package internal_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callbus/internal/callbacks"
	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/metrics"
	"callbus/internal/pacing"
)

// The rooms tell their numbers to small interfaces of their own; all of them
// are met here.
var (
	_ calls.Observer        = (*metrics.Metrics)(nil)
	_ pacing.Observer       = (*metrics.Metrics)(nil)
	_ pacing.BudgetObserver = (*metrics.Metrics)(nil)
	_ pacing.PauseObserver  = (*metrics.Metrics)(nil)
	_ callbacks.Counter     = (*metrics.Metrics)(nil)
)

// metrics is a leaf and spells the contract's words itself. Here every word of
// the packages that own them is recorded once; none may be counted as "other",
// which would hide it from every dashboard.
func TestMetricsKnowEveryWordOfTheContract(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg, metrics.Options{Tenants: []string{"tenant"}})

	for _, action := range commands.Actions {
		m.CommandReceived(string(action))
		for _, status := range commands.Statuses {
			if !status.Final() {
				continue
			}
			for _, class := range commands.Classes {
				m.CommandFinished(string(action), string(status), string(class), metrics.Stages{})
			}
		}
	}
	for _, lane := range commands.Lanes {
		m.Backlog(string(lane), 1, 1, time.Second)
		m.InFlight(string(lane), 1)
		m.FetchFailed(string(lane))
	}
	for _, kind := range commands.Kinds {
		if kind != commands.KindOther {
			for _, outcome := range callbacks.Outcomes {
				m.Notification(string(kind), outcome)
			}
		}
	}
	for _, outcome := range []string{"succeeded", "gone", "failed"} {
		m.KeepAlive(outcome)
	}
	m.Throttled("tenant", string(pacing.ClassPlace))
	m.Budget(pacing.AppScope, "live", 1, 2)
	m.Budget("tenant", "month", 1, 2)
	for _, lane := range []string{pacing.PausePlaces, pacing.PauseAll} {
		m.Paused(pacing.EveryScope, lane, true)
		m.Paused("tenant", lane, true)
	}
	for _, cause := range commands.Causes {
		m.DeadLetters(string(cause), 1)
	}
	for _, e := range commands.Explanations() {
		if e.Normal {
			m.CallEnded(e.Reason, 0, 0)
		}
	}
	for _, reason := range []string{"busy", "noAnswer", "declined", "unreachable", "notPermitted", "unseen"} {
		m.CallEnded(reason, 0, 0)
	}
	for _, op := range []graph.Operation{
		graph.CreateCall, graph.GetCall, graph.DeleteCall, graph.ListParticipants, graph.ListContentSharingSessions,
		graph.GetContentSharingSession, graph.KeepAlive, graph.Mute, graph.Unmute, graph.PlayPrompt,
		graph.CancelMediaProcessing, graph.Redirect, graph.Transfer,
	} {
		m.GraphRequest(string(op), 200, "", time.Second, "")
	}

	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			for _, label := range metric.GetLabel() {
				if label.GetValue() == "other" && value != 0 {
					t.Errorf("%s counts a word of ours as other: %v", family.GetName(), metric.GetLabel())
				}
			}
		}
	}
}
