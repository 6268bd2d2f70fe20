package app

import (
	"context"
	"errors"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/metrics"
	"callbus/internal/traces"
)

const (
	backlogEvery = 5 * time.Second
	tokenRetry   = 10 * time.Second
	healthEvery  = time.Second
)

// recorded is told of every record this worker stores: one log line for each
// settled command, and its metrics.
func (w *Worker) recorded(r ledger.Record) {
	if r.Action == commands.Place {
		w.budget.Recorded(r.TenantID, r.Result.Key(), r.Status, r.CallID)
	}
	if !r.Final {
		return
	}
	w.opts.Traces.Result(r.TraceParent, string(r.Status), traces.Subject{Producer: r.Producer, CallRef: r.CallRef, CommandID: r.CommandID, Action: string(r.Action)})
	class, reason, code, request := "", r.Reason, "", ""
	if e := r.Error; e != nil {
		class, code, request = string(e.Class), e.Code, e.RequestID
		if reason == "" {
			reason = e.Reason
		}
	}
	stages := stagesOf(r)
	w.log.Info("command settled", "producer", r.Producer, "call_ref", r.CallRef, "command_id", r.CommandID, "action", r.Action,
		"status", r.Status, "class", class, "reason", reason, "code", code, "attempts", r.Attempts, "call_id", r.CallID,
		"queued_ms", stages.Queued.Milliseconds(), "throttled_ms", stages.Throttled.Milliseconds(), "graph_ms", stages.Graph.Milliseconds(),
		"total_ms", stages.Total.Milliseconds(), "trace_id", stages.TraceID, "request_id", request)
	if r.Corrects != 0 {
		return
	}
	w.metrics.CommandFinished(string(r.Action), string(r.Status), class, stages)
}

// stagesOf tells where the command's time went. The trace may be the producer's
// own, also when this worker makes no spans.
func stagesOf(r ledger.Record) metrics.Stages {
	s := metrics.Stages{TraceID: traces.TraceID(r.TraceParent)}
	if t := r.Timing; t != nil {
		s.Queued = time.Duration(t.QueuedMS) * time.Millisecond
		s.Throttled = time.Duration(t.ThrottledMS) * time.Millisecond
		s.Graph = time.Duration(t.GraphMS) * time.Millisecond
		if t.ReceivedAt != nil {
			s.Total = r.Time.Sub(*t.ReceivedAt)
		}
	}
	return s
}

// checkToken fetches a token once: a rollout whose credentials do not work
// never becomes ready. A later failure is a metric and a waiting queue, because
// the same pods receive callbacks.
func (w *Worker) checkToken(ctx context.Context) error {
	said := "" // the same failure is told once
	for {
		_, err := w.graph.Token(ctx, first(w.opts.Tenants))
		w.health.Set("token", err)
		if err == nil {
			return nil
		}
		if text := err.Error(); text != said {
			said = text
			w.log.Error("no token to be had, not ready", "err", err)
		}
		if !sleep(ctx, tokenRetry) {
			return nil
		}
	}
}

var errDisconnected = errors.New("not connected")

// watchHealth keeps readiness in step with NATS and the callback keys.
func (w *Worker) watchHealth(ctx context.Context) error {
	for {
		up := w.nc.IsConnected()
		w.metrics.NATSConnected(up)
		if up {
			w.health.Set("nats", nil)
		} else {
			w.health.Set("nats", errDisconnected)
		}
		if w.auth != nil {
			w.health.Set("callback keys", w.auth.Ready())
			w.metrics.CertificateEnds(w.callbacks.CertificateEnds())
		}
		if !sleep(ctx, healthEvery) {
			return nil
		}
	}
}

// watchBacklog keeps the gauges of the queue and of dead letters.
func (w *Worker) watchBacklog(ctx context.Context) error {
	for {
		if lanes, err := w.queue.Backlogs(ctx); err == nil { // else NATS is away, which is told elsewhere
			for lane, b := range lanes {
				w.metrics.Backlog(string(lane), b.Pending, b.Runnable, b.Oldest)
			}
		}
		if counts, err := w.journal.DeadLetters(ctx); err == nil {
			for _, cause := range commands.Causes {
				w.metrics.DeadLetters(string(cause), counts[cause])
			}
		}
		if !sleep(ctx, backlogEvery) {
			return nil
		}
	}
}

// watchCalls keeps the gauge of live calls.
func (w *Worker) watchCalls(ctx context.Context) error {
	return w.calls.Registry.WatchLive(ctx, func(counts map[string]int) {
		for _, state := range calls.LiveStates {
			w.metrics.CallLive(state, counts[state])
		}
	})
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
