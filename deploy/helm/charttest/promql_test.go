package charttest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// metric is a row of the README's table of metrics, which docs/docs_test.go
// holds to the worker's collectors.
type metric struct {
	labels []string
	shared bool // the same on all workers
}

var metricRow = regexp.MustCompile("(?m)^\\| `(callbus_[a-z_]+)` \\|([^|]*)\\| (.*) \\|$")

// elsewhere are the metrics that Prometheus and the client library make.
var elsewhere = map[string]metric{
	"up": {}, "ALERTS": {labels: []string{"alertname", "alertstate", "severity"}},
	"process_start_time_seconds": {}, "process_cpu_seconds_total": {}, "process_resident_memory_bytes": {},
	"process_open_fds": {}, "process_max_fds": {}, "go_goroutines": {}, "go_gc_duration_seconds": {labels: []string{"quantile"}},
}

// targetLabels are what Prometheus puts on every series of a worker.
var targetLabels = []string{"namespace", "job", "instance", "pod"}

func knownMetrics(t *testing.T) map[string]metric {
	t.Helper()
	text, err := os.ReadFile(moduleDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "<!-- metrics:")
	table, _, found := strings.Cut(table, "<!-- /metrics -->")
	if !found {
		t.Fatal("README.md has no table of metrics")
	}
	known := maps.Clone(elsewhere)
	for _, row := range metricRow.FindAllStringSubmatch(table, -1) {
		m := metric{shared: strings.HasSuffix(row[3], "¹")}
		if row[2] = strings.TrimSpace(row[2]); row[2] != "" {
			m.labels = strings.Split(row[2], ", ")
		}
		known[row[1]] = m
		if strings.HasSuffix(row[1], "_seconds") { // of those the histograms have buckets
			known[row[1]+"_bucket"] = metric{labels: append([]string{"le"}, m.labels...)}
			known[row[1]+"_count"], known[row[1]+"_sum"] = m, m
		}
	}
	if len(known) < 30 {
		t.Fatalf("README.md names %d metrics", len(known))
	}
	return known
}

// checkExpr holds one PromQL expression to the metrics there are: their names,
// their labels, and that shared gauges are read with max. recorded are the
// series that rules make.
func checkExpr(t *testing.T, where, expr string, known map[string]metric, recorded []string) {
	t.Helper()
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, expr)
		return
	}
	parser.Inspect(tree, func(node parser.Node, path []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok || slices.Contains(recorded, selector.Name) {
			return nil
		}
		m, ok := known[selector.Name]
		if !ok {
			t.Errorf("%s asks for %q, which no worker has:\n%s", where, selector.Name, expr)
			return nil
		}
		for _, matcher := range selector.LabelMatchers {
			if name := matcher.Name; name != "__name__" && !slices.Contains(targetLabels, name) && !slices.Contains(m.labels, name) {
				t.Errorf("%s: %s has no label %s:\n%s", where, selector.Name, name, expr)
			}
		}
		if over := innermost(path); over != nil {
			for _, name := range over.Grouping {
				if over.Without || slices.Contains(targetLabels, name) || slices.Contains(m.labels, name) {
					continue
				}
				t.Errorf("%s: %s is aggregated by %s, a label it does not have:\n%s", where, selector.Name, name, expr)
			}
			if m.shared && over.Op != parser.MAX {
				t.Errorf("%s: %s is the same on all workers and read with %s; want max:\n%s", where, selector.Name, over.Op, expr)
			}
		} else if m.shared {
			t.Errorf("%s: %s is the same on all workers and not read with max:\n%s", where, selector.Name, expr)
		}
		return nil
	})
}

// innermost is the nearest aggregation around a node, nil without one.
func innermost(path []parser.Node) *parser.AggregateExpr {
	for _, node := range slices.Backward(path) {
		if a, ok := node.(*parser.AggregateExpr); ok {
			return a
		}
	}
	return nil
}

func TestExpressionsAreHeldToTheMetrics(t *testing.T) {
	known := knownMetrics(t)
	for name, m := range map[string]metric{"callbus_backlog": {[]string{"lane"}, true}, "callbus_commands_finished_total": {[]string{"action", "status", "class"}, false}} {
		if got := known[name]; !slices.Equal(got.labels, m.labels) || got.shared != m.shared {
			t.Errorf("README.md says of %s: %+v; want %+v", name, got, m)
		}
	}
}
