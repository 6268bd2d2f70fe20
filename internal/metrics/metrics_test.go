package metrics

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

const tenant = "11111111-2222-3333-4444-555555555555"

func setup(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	return New(reg, Options{Tenants: []string{tenant}, Version: "1.2.3"}), reg
}

func gather(t *testing.T, reg prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatalf("Gather() = %v", err)
	}
	byName := make(map[string]*dto.MetricFamily, len(families))
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// series names every series as name{label="value",…}.
func series(families map[string]*dto.MetricFamily) []string {
	var all []string
	for name, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			all = append(all, name+"{"+strings.Join(labels, ",")+"}")
		}
	}
	slices.Sort(all)
	return all
}

func TestNamesPassPromlint(t *testing.T) {
	_, reg := setup(t)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatalf("GatherAndLint() = %v", err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestEveryMetricOfTheContractIsThereFromTheStart(t *testing.T) {
	_, reg := setup(t)
	contract := []string{
		"backlog", "backlog_oldest_age_seconds", "backlog_runnable", "breaker_state", "build_info", "call_budget_limit", "call_budget_used",
		"call_ring_seconds", "call_talk_seconds", "callback_certificate_expiry_timestamp_seconds", "calls_ended_total", "calls_live",
		"calls_silent_total", "command_duration_seconds", "commands_finished_total", "commands_in_flight", "commands_received_total",
		"consumer_pending", "consumer_stalls_total", "dead_letters", "fetch_errors_total", "graph_request_duration_seconds",
		"graph_requests_total", "graph_throttled_total", "keepalives_total", "nats_connected", "notifications_total",
		"pacer_limit_requests_per_second", "paused", "store_refused_total", "stream_bytes", "stream_limit_bytes", "throttle_gate_closed",
		"throttle_gate_reopen_timestamp_seconds", "token_fetches_total",
	}
	var got []string
	for name := range gather(t, reg) {
		got = append(got, strings.TrimPrefix(name, "callbus_"))
	}
	slices.Sort(got)
	if diff := cmp.Diff(contract, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestEverySeriesStartsAtZero(t *testing.T) {
	_, reg := setup(t)
	for name, family := range gather(t, reg) {
		if name == "callbus_build_info" {
			continue
		}
		for _, m := range family.GetMetric() {
			sum := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if sum != 0 {
				t.Errorf("%s{%v} = %v; want 0", name, m.GetLabel(), sum)
			}
		}
	}
}

func TestExpectedCombinationsArePresentBeforeTheyOccur(t *testing.T) {
	_, reg := setup(t)
	present := series(gather(t, reg))
	for _, want := range []string{
		`callbus_commands_received_total{action="place"}`,
		`callbus_commands_finished_total{action="place",class="none",status="succeeded"}`,
		`callbus_commands_finished_total{action="place",class="callee",status="failed"}`,
		`callbus_commands_finished_total{action="place",class="ambiguous",status="unknown"}`,
		`callbus_commands_finished_total{action="place",class="none",status="cancelled"}`,
		`callbus_commands_finished_total{action="mute",class="none",status="superseded"}`,
		`callbus_command_duration_seconds{action="hangup",stage="throttled"}`,
		`callbus_graph_requests_total{code="201",graph_code="none",operation="createCall"}`,
		`callbus_graph_requests_total{code="429",graph_code="8529",operation="createCall"}`,
		`callbus_graph_requests_total{code="404",graph_code="8522",operation="keepAlive"}`,
		`callbus_graph_requests_total{code="none",graph_code="none",operation="transfer"}`,
		`callbus_graph_request_duration_seconds{operation="redirect"}`,
		`callbus_graph_throttled_total{class="place",scope="` + tenant + `"}`,
		`callbus_throttle_gate_closed{class="other",scope="other"}`,
		`callbus_calls_live{state="established"}`,
		`callbus_calls_ended_total{reason="other"}`,
		`callbus_notifications_total{kind="state",outcome="stored"}`,
		`callbus_notifications_total{kind="other",outcome="badSignature"}`,
		`callbus_keepalives_total{outcome="gone"}`,
		`callbus_backlog_runnable{lane="urgent"}`,
		`callbus_dead_letters{cause="idConflict"}`,
		`callbus_stream_limit_bytes{stream="COMMANDS"}`,
		`callbus_consumer_pending{consumer="due"}`,
		`callbus_token_fetches_total{outcome="failed"}`,
	} {
		if !slices.Contains(present, want) {
			t.Errorf("%s is absent", want)
		}
	}
	for _, absent := range []string{
		`callbus_commands_finished_total{action="hangup",class="none",status="cancelled"}`,
		`callbus_commands_finished_total{action="hangup",class="none",status="superseded"}`,
	} {
		if slices.Contains(present, absent) {
			t.Errorf("%s is present and cannot occur", absent)
		}
	}
}

// everything calls every method, with text wherever text is taken.
func everything(m *Metrics, text string) {
	m.CommandReceived(text)
	m.CommandFinished(text, text, text, Stages{Total: time.Second, TraceID: text})
	m.GraphRequest(text, len(text)+600, text, time.Second, text)
	m.Throttled(text, text)
	m.GateClosed(text, text, time.Unix(1, 0))
	m.GateOpened(text, text)
	m.CallLive(text, 1)
	m.CallEnded(text, time.Second, time.Second)
	m.CallSilent()
	m.Notification(text, text)
	m.KeepAlive(text)
	m.Backlog(text, 1, 1, time.Second)
	m.InFlight(text, 1)
	m.FetchFailed(text)
	m.DeadLetters(text, 1)
	m.NATSConnected(true)
	m.StoreRefused(text, text)
	m.StreamSize(text, 1, 1)
	m.ConsumerPending(text, 1)
	m.ConsumerStalled(text)
	m.TokenFetched(nil)
	m.CertificateEnds(time.Unix(1, 0))
}

func TestGarbageAddsOneSeriesAMetricAndNoMore(t *testing.T) {
	m, reg := setup(t)
	everything(m, "first")
	after := series(gather(t, reg))
	for i := range 1000 {
		everything(m, fmt.Sprintf("+4930%d\n\"", i))
	}
	got := series(gather(t, reg))
	if diff := cmp.Diff(after, got); diff != "" {
		t.Errorf("series after garbage (-before +after):\n%s", diff)
	}
	if len(got) > 3000 {
		t.Errorf("%d series before buckets; want at most 3000", len(got))
	}
	for _, s := range got {
		if strings.Contains(s, "4930") || strings.Contains(s, "first") {
			t.Errorf("%s carries what a stranger sent", s)
		}
	}
	if v := testutil.ToFloat64(m.received.WithLabelValues(other)); v != 1001 {
		t.Errorf("unknown actions counted as other = %v; want 1001", v)
	}
}

func TestTheEmptyTextIsCountedAsNone(t *testing.T) {
	m, reg := setup(t)
	everything(m, "")
	for _, s := range series(gather(t, reg)) {
		if strings.Contains(s, `=""`) {
			t.Errorf("%s has an empty label", s)
		}
	}
	if v := testutil.ToFloat64(m.notifications.WithLabelValues(other, none)); v != 1 {
		t.Errorf("notifications of unknown kind = %v; want 1", v)
	}
}

func TestANilReceiverRecordsNothing(*testing.T) {
	everything(nil, "place") // must not panic
}

func TestTwoWorkersFitInOneProcess(t *testing.T) {
	a, _ := setup(t)
	b, _ := setup(t)
	a.CallSilent()
	if got := testutil.ToFloat64(b.silent); got != 0 {
		t.Errorf("the other worker's count = %v; want 0", got)
	}
}
