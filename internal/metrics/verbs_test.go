package metrics

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

// find returns the one metric of a family with these label values.
func find(t *testing.T, f *dto.MetricFamily, labels map[string]string) *dto.Metric {
	t.Helper()
	for _, m := range f.GetMetric() {
		got := map[string]string{}
		for _, l := range m.GetLabel() {
			got[l.GetName()] = l.GetValue()
		}
		if cmp.Equal(got, labels) {
			return m
		}
	}
	t.Fatalf("%s has no %v", f.GetName(), labels)
	return nil
}

func TestAFinishedCommandShowsItsOutcomeAndWhereItsTimeWent(t *testing.T) {
	m, reg := setup(t)
	m.CommandReceived("place")
	m.CommandFinished("place", "failed", "callee",
		Stages{Total: 12 * time.Second, Queued: 3 * time.Second, Throttled: 2 * time.Second, Graph: 500 * time.Millisecond})

	if got := testutil.ToFloat64(m.finished.WithLabelValues("place", "failed", "callee")); got != 1 {
		t.Errorf("finished = %v; want 1", got)
	}
	durations := gather(t, reg)["callbus_command_duration_seconds"]
	for stage, want := range map[string]float64{"total": 12, "queued": 3, "throttled": 2, "graph": .5} {
		h := find(t, durations, map[string]string{"action": "place", "stage": stage}).GetHistogram()
		if h.GetSampleSum() != want || h.GetSampleCount() != 1 {
			t.Errorf("stage %s: sum %v of %d; want %v of 1", stage, h.GetSampleSum(), h.GetSampleCount(), want)
		}
	}
}

func TestATimeBeforeItsStartCountsAsZero(t *testing.T) {
	m, reg := setup(t)
	m.CommandFinished("mute", "succeeded", "", Stages{Total: -time.Second})
	h := find(t, gather(t, reg)["callbus_command_duration_seconds"],
		map[string]string{"action": "mute", "stage": "total"}).GetHistogram()
	if h.GetSampleSum() != 0 || h.GetSampleCount() != 1 {
		t.Errorf("sum %v of %d; want 0 of 1", h.GetSampleSum(), h.GetSampleCount())
	}
}

func TestHistogramsHaveClassicAndNativeBuckets(t *testing.T) {
	m, reg := setup(t)
	m.GraphRequest("createCall", 201, "", 120*time.Millisecond, "")
	h := find(t, gather(t, reg)["callbus_graph_request_duration_seconds"],
		map[string]string{"operation": "createCall"}).GetHistogram()
	if len(h.GetBucket()) != 10 {
		t.Errorf("classic buckets = %d; want 10", len(h.GetBucket()))
	}
	if len(h.GetPositiveSpan()) == 0 {
		t.Error("no native buckets")
	}
}

func TestGraphRequests(t *testing.T) {
	tests := []struct {
		name             string
		operation        string
		status           int
		code             string
		wantOp, wantHTTP string
		wantCode         string
	}{
		{"a created call", "createCall", 201, "", "createCall", "201", none},
		{"a numeric code of the calling service is kept", "createCall", 403, "7504", "createCall", "403", "7504"},
		{"a textual code of the gateway is kept", "getCall", 429, "TooManyRequests", "getCall", "429", "TooManyRequests"},
		{"a code nobody knows is other", "getCall", 400, "8888", "getCall", "400", other},
		{"a status nobody knows is other", "getCall", 299, "", "getCall", other, none},
		{"no answer has neither status nor code", "transfer", 0, "", "transfer", none, none},
		{"an unknown operation is other", "subscribeToTone", 200, "", other, "200", none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := setup(t)
			m.GraphRequest(tt.operation, tt.status, tt.code, time.Millisecond, "")
			if got := testutil.ToFloat64(m.requests.WithLabelValues(tt.wantOp, tt.wantHTTP, tt.wantCode)); got != 1 {
				t.Errorf("requests{%s,%s,%s} = %v; want 1", tt.wantOp, tt.wantHTTP, tt.wantCode, got)
			}
		})
	}
}

func TestAGateShowsWhenItReopensAndForgetsItOnceOpen(t *testing.T) {
	m, _ := setup(t)
	closed := m.gateClosed.WithLabelValues(tenant, "place")
	reopen := m.gateReopen.WithLabelValues(tenant, "place")

	m.GateClosed(tenant, "place", time.Unix(1700000000, int64(500*time.Millisecond)))
	if c, r := testutil.ToFloat64(closed), testutil.ToFloat64(reopen); c != 1 || r != 1700000000.5 {
		t.Errorf("closed %v, reopens %v; want 1, 1700000000.5", c, r)
	}
	if got := testutil.ToFloat64(m.gateClosed.WithLabelValues(tenant, "other")); got != 0 {
		t.Errorf("the other class is closed = %v; want 0", got)
	}
	m.GateClosed(tenant, "place", time.Time{})
	if r := testutil.ToFloat64(reopen); r != 0 {
		t.Errorf("reopens %v without a known time; want 0", r)
	}
	m.GateOpened(tenant, "place")
	if c, r := testutil.ToFloat64(closed), testutil.ToFloat64(reopen); c != 0 || r != 0 {
		t.Errorf("closed %v, reopens %v; want 0, 0", c, r)
	}
}

func TestTheScopeIsAConfiguredTenantOrOther(t *testing.T) {
	m, _ := setup(t)
	m.Throttled(tenant, "place")
	m.Throttled("somebody-else", "place")
	m.Throttled("", "other")
	for _, tt := range []struct{ scope, class string }{{tenant, "place"}, {other, "place"}, {other, "other"}} {
		if got := testutil.ToFloat64(m.throttled.WithLabelValues(tt.scope, tt.class)); got != 1 {
			t.Errorf("throttled{%s,%s} = %v; want 1", tt.scope, tt.class, got)
		}
	}
}

func TestACallNeverAnsweredHasNoTalkTime(t *testing.T) {
	m, reg := setup(t)
	m.CallEnded("busy", 4*time.Second, 0)
	m.CallEnded("ended", 6*time.Second, 90*time.Second)
	m.CallEnded("unseen", 0, -1)
	families := gather(t, reg)
	ring := families["callbus_call_ring_seconds"].GetMetric()[0].GetHistogram()
	talk := families["callbus_call_talk_seconds"].GetMetric()[0].GetHistogram()
	if ring.GetSampleCount() != 2 || ring.GetSampleSum() != 10 {
		t.Errorf("ring: %v s of %d; want 10 of 2", ring.GetSampleSum(), ring.GetSampleCount())
	}
	if talk.GetSampleCount() != 1 || talk.GetSampleSum() != 90 {
		t.Errorf("talk: %v s of %d; want 90 of 1", talk.GetSampleSum(), talk.GetSampleCount())
	}
	for _, reason := range []string{"busy", "ended", "unseen"} {
		if got := testutil.ToFloat64(m.callsEnded.WithLabelValues(reason)); got != 1 {
			t.Errorf("calls_ended_total{%s} = %v; want 1", reason, got)
		}
	}
}

func TestQueueGauges(t *testing.T) {
	m, reg := setup(t)
	m.Backlog("place", 120, 7, 90*time.Second)
	m.InFlight("place", 1)
	m.InFlight("place", 1)
	m.InFlight("place", -1)
	m.FetchFailed("urgent")
	m.StoreRefused("RESULTS", "full")
	m.DeadLetters("unknown", 3)
	m.NATSConnected(true)
	want := `
# HELP callbus_backlog_oldest_age_seconds Age of the oldest unfinished command, 0 without one; the same on all workers, read with max by.
# TYPE callbus_backlog_oldest_age_seconds gauge
callbus_backlog_oldest_age_seconds{lane="control"} 0
callbus_backlog_oldest_age_seconds{lane="place"} 90
callbus_backlog_oldest_age_seconds{lane="urgent"} 0
# HELP callbus_commands_in_flight Commands this worker holds.
# TYPE callbus_commands_in_flight gauge
callbus_commands_in_flight{lane="control"} 0
callbus_commands_in_flight{lane="place"} 1
callbus_commands_in_flight{lane="urgent"} 0
# HELP callbus_fetch_errors_total Failures to fetch commands from the queue, stalls among them.
# TYPE callbus_fetch_errors_total counter
callbus_fetch_errors_total{lane="control"} 0
callbus_fetch_errors_total{lane="place"} 0
callbus_fetch_errors_total{lane="urgent"} 1
# HELP callbus_nats_connected 1 while the connection to NATS is up.
# TYPE callbus_nats_connected gauge
callbus_nats_connected 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "callbus_backlog_oldest_age_seconds",
		"callbus_commands_in_flight", "callbus_fetch_errors_total", "callbus_nats_connected"); err != nil {
		t.Error(err)
	}
	if p, r := testutil.ToFloat64(m.backlog.WithLabelValues("place")), testutil.ToFloat64(m.runnable.WithLabelValues("place")); p != 120 || r != 7 {
		t.Errorf("backlog %v, runnable %v; want 120, 7", p, r)
	}
	if got := testutil.ToFloat64(m.deadLetters.WithLabelValues("unknown")); got != 3 {
		t.Errorf("dead letters = %v; want 3", got)
	}
	if full, elsewhere := testutil.ToFloat64(m.storeRefused.WithLabelValues("RESULTS", "full")), testutil.ToFloat64(m.storeRefused.WithLabelValues("DEAD", "full")); full != 1 || elsewhere != 0 {
		t.Errorf("refused by RESULTS %v, by DEAD %v; want 1, 0", full, elsewhere)
	}
	m.NATSConnected(false)
	if got := testutil.ToFloat64(m.natsConnected); got != 0 {
		t.Errorf("nats_connected = %v; want 0", got)
	}
}

func TestBuildInfoNamesTheVersion(t *testing.T) {
	_, reg := setup(t)
	info := gather(t, reg)["callbus_build_info"].GetMetric()[0]
	labels := map[string]string{}
	for _, l := range info.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	if labels["version"] != "1.2.3" || labels["goversion"] == "" || labels["revision"] == "" || math.Abs(info.GetGauge().GetValue()-1) > 0 {
		t.Errorf("build_info = %v %v; want version 1.2.3 and value 1", labels, info.GetGauge().GetValue())
	}
}
