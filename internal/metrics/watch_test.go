package metrics

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestWhatIsLookedAt(t *testing.T) {
	m, _ := setup(t)
	m.StreamSize("RESULTS", 512, 1024)
	m.StreamSize("EVENTS", 7, -1)
	m.ConsumerPending("fold", 3)
	m.ConsumerStalled("due")
	m.TokenFetched(nil)
	m.TokenFetched(errors.New("no"))
	m.TokenFetched(errors.New("no"))
	m.CertificateEnds(time.Unix(1700000000, 0))
	for _, c := range []struct {
		name string
		got  prometheus.Collector
		want float64
	}{
		{"bytes", m.streamBytes.WithLabelValues("RESULTS"), 512},
		{"limit", m.streamLimit.WithLabelValues("RESULTS"), 1024},
		{"no limit", m.streamLimit.WithLabelValues("EVENTS"), 0},
		{"pending", m.pending.WithLabelValues("fold"), 3},
		{"stalls", m.stalls.WithLabelValues("due"), 1},
		{"fetched", m.tokens.WithLabelValues("succeeded"), 1},
		{"not fetched", m.tokens.WithLabelValues("failed"), 2},
		{"certificate", m.certificateEnd, 1700000000},
	} {
		if got := testutil.ToFloat64(c.got); got != c.want {
			t.Errorf("%s = %v; want %v", c.name, got, c.want)
		}
	}
	m.CertificateEnds(time.Time{})
	if got := testutil.ToFloat64(m.certificateEnd); got != 0 {
		t.Errorf("without a certificate = %v; want 0", got)
	}
}

func TestExemplarsLeadToTheTrace(t *testing.T) {
	m, reg := setup(t)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	m.GraphRequest("createCall", 201, "", time.Second, trace)
	m.CommandFinished("place", "succeeded", "", Stages{Total: time.Second, TraceID: trace})
	server := httptest.NewServer(Handler(reg))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, series := range []string{"callbus_graph_request_duration_seconds_bucket", "callbus_command_duration_seconds_bucket"} {
		found := false
		for line := range strings.Lines(string(page)) {
			found = found || strings.HasPrefix(line, series) && strings.Contains(line, `# {trace_id="`+trace+`"}`)
		}
		if !found {
			t.Errorf("%s has no exemplar with the trace id", series)
		}
	}
}
