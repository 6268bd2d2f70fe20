package app

import (
	"slices"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/producer"
	"callbus/internal/streams"
	"callbus/internal/traces"
)

// One command is followed from its producer over the worker, Graph and the
// notification to its result, as one trace.
func TestOneCommandIsOneTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tr := traces.New(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	t.Cleanup(func() { _ = tr.Close(t.Context()) })
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	sim := startSim(t, graphsim.Options{AnswerAfter: time.Millisecond})
	startWorker(t, "traced", srv.URL(), sim, func(o *Options) { o.Traces = tr })
	js := connect(t, srv.URL())
	client, err := producer.New(js.Conn(), commands.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	client.TraceWith(tr)
	call := commands.CallKey{Producer: "tests", CallRef: "traced"}
	m := producer.Message{Call: call, Action: commands.Place, Body: body("p", toGroup, nil)}
	if r, err := client.SendAndWait(t.Context(), m, producer.UntilFinal, nil, nil); err != nil || r.Status != commands.Succeeded {
		t.Fatalf("place = %+v, %v", r, err)
	}
	want := []string{"publish", "command", "queue wait", "graph createCall", "notification", "result"}
	var trace tracetest.SpanStubs
	eventually(t, 10*time.Second, "every step is a span of the producer's trace", func() (bool, string) {
		all := spans.GetSpans()
		i := slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.Name == "publish" })
		if i < 0 {
			return false, "no publish"
		}
		id := all[i].SpanContext.TraceID()
		trace = slices.DeleteFunc(all, func(s tracetest.SpanStub) bool { return s.SpanContext.TraceID() != id })
		for _, name := range want {
			if !slices.ContainsFunc(trace, func(s tracetest.SpanStub) bool { return s.Name == name }) {
				return false, "no " + name
			}
		}
		return true, ""
	})
	parents := map[string]string{"command": "publish", "queue wait": "command", "graph createCall": "command", "notification": "command", "result": "command"}
	for _, s := range trace {
		above := slices.IndexFunc(trace, func(p tracetest.SpanStub) bool { return p.SpanContext.SpanID() == s.Parent.SpanID() })
		name := ""
		if above >= 0 {
			name = trace[above].Name
		}
		if parent, ok := parents[s.Name]; ok && name != parent {
			t.Errorf("%s is below %q; want %q", s.Name, name, parent)
		}
		t.Logf("%-17s below %-8q took %8s %v", s.Name, name, s.EndTime.Sub(s.StartTime).Round(time.Microsecond), s.Attributes)
	}
	stream, err := js.Stream(t.Context(), commands.DefaultPrefix.Stream(streams.Results))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), commands.DefaultPrefix.Result(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: "p"}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := traces.TraceID(msg.Header.Get(commands.HeaderTraceParent)), trace[0].SpanContext.TraceID().String(); got != want {
		t.Errorf("the result's header is of trace %q; want %q", got, want)
	}
}
