// Package traces follows one command from its producer over the worker, Graph
// and its notifications to its result, as one OpenTelemetry trace. The context
// travels in the W3C header "traceparent" of commands and results; the journal
// keeps it while a command waits for its notifications.
//
// A nil *Traces is tracing switched off: every method returns at once and
// allocates nothing. Spans carry names, codes and ids, never a phone number, a
// user or a body.
package traces

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Traces makes spans. Make it with FromEnv, or with New.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// FromEnv is what the standard OTEL_* variables ask for, nil when none of them
// names an exporter: OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. getenv only decides that; the rest of the
// variables is read by OpenTelemetry's libraries. Nothing is sent yet. service
// is the name of the program unless OTEL_SERVICE_NAME has another.
func FromEnv(ctx context.Context, getenv func(string) string, service, version string) (*Traces, error) {
	if !wanted(getenv) {
		return nil, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("exporter of traces (OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_*): %w", err)
	}
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return New(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))), nil
}

// wanted tells whether the variables name an exporter.
func wanted(getenv func(string) string) bool {
	if getenv("OTEL_SDK_DISABLED") == "true" || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		if getenv(name) != "" {
			return true
		}
	}
	return false
}

// New makes spans with a provider, which Close shuts down.
func New(p *sdktrace.TracerProvider) *Traces {
	return &Traces{provider: p, tracer: p.Tracer("callbus")}
}

// Close hands over the spans that are left; it blocks until that is done, or
// ctx ends.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("hand over traces: %w", err)
	}
	return nil
}

// Subject is what a span is about.
type Subject struct {
	Producer, CallRef, CommandID, Action string
}

// start begins a span at a time, now when it is zero, below the parent, which
// may be empty: then it is below the one in ctx, or begins a trace.
func (t *Traces) start(ctx context.Context, name, parent string, kind trace.SpanKind, at time.Time, about Subject) (context.Context, Span) {
	if parent != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: parent})
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(kind)}
	if !at.IsZero() {
		opts = append(opts, trace.WithTimestamp(at))
	}
	ctx, s := t.tracer.Start(ctx, name, opts...)
	if s.IsRecording() {
		set(s, "callbus.producer", about.Producer)
		set(s, "callbus.call_ref", about.CallRef)
		set(s, "callbus.command_id", about.CommandID)
		set(s, "callbus.action", about.Action)
	}
	return ctx, Span{s}
}

func set(s trace.Span, key, value string) {
	if value != "" {
		s.SetAttributes(attribute.String(key, value))
	}
}
