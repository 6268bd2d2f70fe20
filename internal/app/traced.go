package app

import (
	"context"

	"callbus/internal/callbacks"
	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/ledger"
	"callbus/internal/traces"
)

// requested is told of every HTTP request to Graph.
func (w *Worker) requested(ctx context.Context, a graph.Attempt) {
	w.metrics.GraphRequest(string(a.Operation), a.Status, a.Code, a.Duration, traces.ID(ctx))
	w.opts.Traces.Graph(ctx, traces.Attempt{
		Operation: string(a.Operation), Code: a.Code, Status: a.Status,
		ClientRequestID: a.ClientRequestID, RequestID: a.RequestID, Took: a.Duration,
	})
}

// store keeps events; while there are traces, each as a span in the trace of
// the command that the call was placed with.
func (w *Worker) store(ctx context.Context) (callbacks.Store, error) {
	events := calls.NewEvents(w.js, w.opts.Streams.Prefix)
	if !w.opts.Traces.On() {
		return events, nil
	}
	journal := w.journal
	if journal == nil { // a receiver writes none
		var err error
		if journal, err = ledger.New(ctx, w.js, w.opts.Streams.Prefix, nil); err != nil {
			return nil, err
		}
	}
	return tracedStore{events, journal, w.opts.Traces}, nil
}

type tracedStore struct {
	events  callbacks.Store
	journal *ledger.Journal
	traces  *traces.Traces
}

// Append asks the journal for the trace first: Graph's notifications carry none.
func (s tracedStore) Append(ctx context.Context, e commands.Event, messageID string) error {
	parent := ""
	if e.CommandID != "" {
		r, err := s.journal.Last(ctx, commands.Key{Producer: e.Producer, CallRef: e.CallRef, ID: e.CommandID})
		if err == nil {
			parent = r.TraceParent
		}
	}
	about := traces.Subject{Producer: e.Producer, CallRef: e.CallRef, CommandID: e.CommandID}
	ctx, span := s.traces.Notification(ctx, parent, string(e.Kind), about)
	err := s.events.Append(ctx, e, messageID)
	span.End("", err != nil)
	return err
}
