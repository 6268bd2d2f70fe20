package charttest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// rules are the rules of the chart's files, in order.
func rules(t *testing.T) []monitoringv1.Rule {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "rules", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("rules: %q, %v", files, err)
	}
	var all []monitoringv1.Rule
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var spec monitoringv1.PrometheusRuleSpec
		if err := yaml.UnmarshalStrict(text, &spec); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, group := range spec.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

// recorded names the series that rules make.
func recorded(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, r := range rules(t) {
		if r.Record != "" {
			names = append(names, r.Record)
		}
	}
	return names
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	selector = regexp.MustCompile(`[a-z_:0-9]+\{[^}]*\}`)
)

func TestRulesAskForWhatThereIs(t *testing.T) {
	known, made := knownMetrics(t), recorded(t)
	for _, r := range rules(t) {
		checkExpr(t, r.Record+r.Alert, r.Expr.StrVal, known, made)
		for _, s := range selector.FindAllString(r.Expr.StrVal, -1) {
			if !strings.Contains(s, `{job="callbus"`) {
				t.Errorf("%s%s: %s does not begin with job, which the chart replaces", r.Record, r.Alert, s)
			}
		}
	}
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	text, err := os.ReadFile(moduleDir + "/docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	sections := heading.FindAllStringSubmatch(string(text), -1)
	for _, m := range sections {
		described = append(described, m[1])
	}
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q; want critical or warning", r.Alert, s)
		}
		if len(r.Annotations["summary"]) < 10 || !strings.Contains(r.Annotations["description"], "$value") && !strings.Contains(r.Annotations["description"], "$labels") {
			t.Errorf("%s: annotations %v; want a summary and a description with figures", r.Alert, r.Annotations)
		}
		if want := "docs/runbooks.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q; want %s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !slices.Contains(described, r.Alert) {
			t.Errorf("docs/runbooks.md has no heading %s", r.Alert)
		}
	}
	for _, name := range described {
		if strings.HasPrefix(name, "Callbus") && !alerts[name] {
			t.Errorf("docs/runbooks.md describes %s, which no rule has", name)
		}
	}
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		if !alerts[name] {
			continue
		}
		for _, want := range []string{"**Means:**", "**Look at:**", "**Do:**"} {
			if !strings.Contains(rest, want) {
				t.Errorf("docs/runbooks.md, %s: no %s", name, want)
			}
		}
	}
}

// Each alert must be seen firing and seen silent while its own figures are
// there: "promtool test rules", which make lint runs, does the rest.
func TestEveryAlertIsTestedFiringAndSilent(t *testing.T) {
	type sample struct{ Labels string }
	var suite struct {
		Tests []struct {
			Name        string
			InputSeries []struct{ Series string } `json:"input_series"`
			Expressions []struct {
				Expr    string
				Samples []sample `json:"exp_samples"`
			} `json:"promql_expr_test"`
		}
	}
	files, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("rule tests: %q, %v", files, err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		suite.Tests = nil
		if err := yaml.Unmarshal(text, &suite); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range suite.Tests {
			var series []string
			for _, s := range test.InputSeries {
				series = append(series, s.Series[:strings.IndexByte(s.Series, '{')])
			}
			for _, e := range test.Expressions {
				if e.Expr != `count by (alertname, severity) (ALERTS{alertstate="firing"})` {
					t.Errorf("%s, %s: asks %s; want all alerts that fire", file, test.Name, e.Expr)
				}
				for _, r := range rules(t) {
					if r.Alert == "" {
						continue
					}
					key := r.Alert + " " + r.Labels["severity"]
					if slices.ContainsFunc(e.Samples, func(s sample) bool {
						return strings.Contains(s.Labels, `"`+r.Alert+`"`) && strings.Contains(s.Labels, `"`+r.Labels["severity"]+`"`)
					}) {
						fires[key] = true
					} else if slices.ContainsFunc(series, func(s string) bool {
						return s != "up" && strings.Contains(r.Expr.StrVal, s) || s == "up" && strings.Contains(r.Expr.StrVal, "up{")
					}) ||
						strings.Contains(r.Expr.StrVal, "callbus:") && len(series) > 1 {
						silent[key] = true
					}
				}
			}
		}
	}
	for _, r := range rules(t) {
		if key := r.Alert + " " + r.Labels["severity"]; r.Alert != "" && (!fires[key] || !silent[key]) {
			t.Errorf("%s is tested firing %v and silent %v; want both", key, fires[key], silent[key])
		}
	}
}

func TestTheRuleIsNarrowedToTheRelease(t *testing.T) {
	if m := mustRender(t, nil); m.prometheusRule != nil {
		t.Error("a PrometheusRule is rendered; want none by default")
	}
	files := rules(t)
	for vals, matchers := range map[string]string{
		"prometheusRule: {enabled: true}":                              `namespace="calling",job="demo-callbus-metrics"`,
		"prometheusRule: {enabled: true, job: mine}":                   `namespace="calling",job="mine"`,
		"{prometheusRule: {enabled: true}, receiver: {enabled: true}}": `namespace="calling",job=~"demo-callbus(-receiver)?-metrics"`,
	} {
		m := mustRender(t, parse(t, vals))
		var rendered []monitoringv1.Rule
		for _, g := range m.prometheusRule.Spec.Groups {
			rendered = append(rendered, g.Rules...)
		}
		if len(rendered) != len(files) {
			t.Fatalf("%d rules are rendered; want %d", len(rendered), len(files))
		}
		for i, r := range rendered {
			want := strings.ReplaceAll(files[i].Expr.StrVal, `job="callbus"`, matchers)
			if r.Alert != files[i].Alert || r.Record != files[i].Record || r.Expr.StrVal != want {
				t.Errorf("rule %s%s is\n%s\nwant\n%s", r.Alert, r.Record, r.Expr.StrVal, want)
			}
			if strings.Contains(r.Expr.StrVal, `job="callbus"`) {
				t.Errorf("%s%s still has the placeholder", r.Alert, r.Record)
			}
		}
	}
}

func TestAlertsFollowTheValues(t *testing.T) {
	m := mustRender(t, values(t, "full.yaml")).prometheusRule
	if m.Labels["release"] != "prometheus" {
		t.Errorf("labels %v; want those of the values", m.Labels)
	}
	for _, g := range m.Spec.Groups {
		for _, r := range g.Rules {
			if r.Alert == "CallbusWorkersRestart" {
				t.Error("a disabled alert is rendered")
			}
			if r.Alert == "" {
				continue
			}
			if r.Labels["team"] != "calls" || r.Labels["severity"] == "" {
				t.Errorf("%s: labels %v; want team and severity", r.Alert, r.Labels)
			}
			if want := "https://git.example.invalid/callbus/docs/runbooks.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
				t.Errorf("%s: runbook_url %s; want %s", r.Alert, r.Annotations["runbook_url"], want)
			}
		}
	}
}

// Without it a Prometheus that takes native histograms drops the buckets that
// the objectives are reckoned from.
func TestClassicHistogramsAreKeptBesideNativeOnes(t *testing.T) {
	spec := set(t, "serviceMonitor: {enabled: true, scrapeProtocols: [PrometheusProto]}").serviceMonitor.Spec
	if keep := spec.ScrapeClassicHistograms; keep == nil || !*keep {
		t.Errorf("scrapeClassicHistograms = %v; want true", keep)
	}
}
