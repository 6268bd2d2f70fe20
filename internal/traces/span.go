package traces

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// header is the W3C trace context's.
const header = "traceparent"

// Span is one step. The zero value is none, and all its methods do nothing.
type Span struct{ span trace.Span }

// TraceParent is the span's context for a header, or otherwise when there is no
// span.
func (s Span) TraceParent(otherwise string) string {
	if s.span == nil {
		return otherwise
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), s.span), carrier)
	return carrier[header]
}

// Command names the command, once it has been read.
func (s Span) Command(id string) {
	if s.span != nil {
		set(s.span, "callbus.command_id", id)
	}
}

// End ends the span; outcome is a word, such as a status; an error marks it
// failed without its text, which may hold what a trace must not.
func (s Span) End(outcome string, failed bool) {
	if s.span == nil {
		return
	}
	set(s.span, "callbus.outcome", outcome)
	if failed {
		s.span.SetStatus(codes.Error, outcome)
	}
	s.span.End()
}

// TraceID is the trace that a traceparent header belongs to, empty when it is
// none.
func TraceID(traceParent string) string {
	parts := strings.Split(traceParent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 {
		return ""
	}
	id, err := trace.TraceIDFromHex(parts[1])
	if err != nil {
		return ""
	}
	return id.String()
}

// ID is the trace of the span in ctx, empty without one that is sampled.
func ID(ctx context.Context) string {
	if c := trace.SpanContextFromContext(ctx); c.IsSampled() {
		return c.TraceID().String()
	}
	return ""
}

// Publish begins the span of a producer that sends a command.
func (t *Traces) Publish(ctx context.Context, about Subject) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.start(ctx, "publish", "", trace.SpanKindProducer, time.Time{}, about)
}

// Command begins the span of one delivery of a command, and below it the wait in
// the queue that has just ended. traceParent is the command's header.
func (t *Traces) Command(ctx context.Context, traceParent string, about Subject, published time.Time) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.start(ctx, "command", traceParent, trace.SpanKindConsumer, time.Time{}, about)
	t.wait(ctx, "queue wait", "", published)
	return ctx, s
}

// Throttled adds the wait for a gate, the pacer or a budget that has just ended.
func (t *Traces) Throttled(ctx context.Context, reason string, since time.Time) {
	if t == nil {
		return
	}
	t.wait(ctx, "throttle wait", reason, since)
}

func (t *Traces) wait(ctx context.Context, name, reason string, since time.Time) {
	_, s := t.start(ctx, name, "", trace.SpanKindInternal, since, Subject{})
	s.End(reason, false)
}

// Attempt is one HTTP request to Graph.
type Attempt struct {
	Operation, Code            string // Code is Graph's, empty without one
	Status                     int    // 0 without an answer
	ClientRequestID, RequestID string
	Took                       time.Duration
}

// Graph adds a request that has just ended. The trace itself is not sent to
// Graph: client-request-id is what its support asks for.
func (t *Traces) Graph(ctx context.Context, a Attempt) {
	if t == nil {
		return
	}
	_, s := t.start(ctx, "graph "+a.Operation, "", trace.SpanKindClient, time.Now().Add(-a.Took), Subject{})
	if s.span.IsRecording() {
		s.span.SetAttributes(attribute.Int("http.response.status_code", a.Status))
		set(s.span, "graph.code", a.Code)
		set(s.span, "graph.client_request_id", a.ClientRequestID)
		set(s.span, "graph.request_id", a.RequestID)
	}
	s.End("", a.Status/100 != 2)
}

// Notification begins the span of a notification that is stored. traceParent is
// the command's that the call was placed with, as the journal has it.
func (t *Traces) Notification(ctx context.Context, traceParent, kind string, about Subject) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.start(ctx, "notification", traceParent, trace.SpanKindServer, time.Time{}, about)
	set(s.span, "callbus.kind", kind)
	return ctx, s
}

// Result adds that a command's final record was stored.
func (t *Traces) Result(traceParent, status string, about Subject) {
	if t == nil {
		return
	}
	_, s := t.start(context.Background(), "result", traceParent, trace.SpanKindProducer, time.Time{}, about)
	s.End(status, status != "succeeded")
}

// On tells whether spans are made at all.
func (t *Traces) On() bool { return t != nil }
