package app

import (
	"context"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/metrics"
	"callbus/internal/producer"
	"callbus/internal/traces"
)

// BenchmarkObserving measures what it costs to be seen: one mute from publishing
// to its stored outcome, beside all that is counted of it, and by a worker that
// makes spans beside one that does not. The two of a pair take turns within one
// run, so that a noisy machine is noisy for both; what is reported is a
// percentage of the command's time.
func BenchmarkObserving(b *testing.B) {
	b.Run("metrics", func(b *testing.B) {
		plain := newObserved(b, nil)
		m := metrics.New(metrics.NewRegistry(), metrics.Options{Tenants: []string{graphsim.DefaultTenantID}})
		var command, counting time.Duration
		for b.Loop() {
			command += plain.mute(b)
			counting += took(func() { count(m, "") })
		}
		b.ReportMetric(100*float64(counting)/float64(command), "%")
	})
	b.Run("traces", func(b *testing.B) {
		tr := traces.New(sdktrace.NewTracerProvider(sdktrace.WithBatcher(nowhere{})))
		b.Cleanup(func() { _ = tr.Close(context.Background()) })
		off, on := newObserved(b, nil), newObserved(b, tr)
		var without, with time.Duration
		for b.Loop() {
			without += off.mute(b)
			with += on.mute(b)
		}
		b.ReportMetric(100*(float64(with)/float64(without)-1), "%")
	})
}

// count is everything that a worker counts of one command.
func count(m *metrics.Metrics, trace string) {
	m.CommandReceived("mute")
	m.InFlight("control", 1)
	m.GraphRequest("mute", 200, "", 5*time.Millisecond, trace)
	m.CommandFinished("mute", "succeeded", "", metrics.Stages{Queued: time.Millisecond, Graph: 5 * time.Millisecond, Total: 7 * time.Millisecond, TraceID: trace})
	m.InFlight("control", -1)
}

func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// observed is a producer with a call that is up, before a worker of its own.
type observed struct {
	client *producer.Client
	call   commands.CallKey
	sent   int
}

func newObserved(b *testing.B, tr *traces.Traces) *observed {
	b.Helper()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(srv.Close)
	startWorker(b, "bench", srv.URL(), startSim(b, graphsim.Options{AnswerAfter: time.Millisecond}), func(o *Options) { o.Traces = tr })
	client, err := producer.New(connect(b, srv.URL()).Conn(), commands.DefaultPrefix)
	if err != nil {
		b.Fatal(err)
	}
	client.TraceWith(tr)
	o := &observed{client: client, call: commands.CallKey{Producer: "bench", CallRef: "observed"}}
	m := producer.Message{Call: o.call, Action: commands.Place, Body: body("p", toGroup, nil)}
	if r, err := client.SendAndWait(b.Context(), m, producer.UntilFinal, nil, nil); err != nil || r.Status != commands.Succeeded {
		b.Fatalf("place = %+v, %v", r, err)
	}
	return o
}

func (o *observed) mute(b *testing.B) time.Duration {
	return took(func() { execute(b, o.client, o.call, commands.Mute, &o.sent) })
}

// nowhere is an exporter that drops what it is given.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }
