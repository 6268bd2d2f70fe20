package traces

import (
	"context"
	"testing"
	"time"
)

func TestOffUnlessAnExporterIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		want bool
	}{
		{"nothing set", nil, false},
		{"exporter", map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		{"endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, true},
		{"endpoint of traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318"}, true},
		{"none", map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, false},
		{"disabled", map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, false},
		{"only a name", map[string]string{"OTEL_SERVICE_NAME": "x"}, false},
	} {
		if got := wanted(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%s: on = %t; want %t", c.name, got, c.want)
		}
	}
}

func TestOffAllocatesNothing(t *testing.T) {
	var off *Traces
	ctx := context.Background()
	const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	about := Subject{Producer: "p", CallRef: "c", CommandID: "i", Action: "place"}
	n := testing.AllocsPerRun(100, func() {
		ctx, s := off.Command(ctx, header, about, time.Time{})
		off.Throttled(ctx, "throttled", time.Time{})
		off.Graph(ctx, Attempt{Operation: "createCall", Status: 201})
		off.Result(header, "succeeded", about)
		s.Command("i")
		if s.TraceParent(header) != header {
			t.Error("the producer's own context is not carried on")
		}
		s.End("succeeded", false)
	})
	if n != 0 {
		t.Errorf("%v allocations; want 0", n)
	}
}

func TestTraceIDOfHeaders(t *testing.T) {
	for header, want := range map[string]string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "0af7651916cd43dd8448eb211c80319c",
		"":      "",
		"+4930": "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "",
		"00-zzf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "",
	} {
		if got := TraceID(header); got != want {
			t.Errorf("TraceID(%q) = %q; want %q", header, got, want)
		}
	}
}
