package charttest

import (
	"bytes"
	"encoding/json"
	goflag "flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callbus/deploy/helm/charttest/dashboards"
)

var update = goflag.Bool("update", false, "write the chart's dashboards from their description")

func TestDashboardsAreAsDescribed(t *testing.T) {
	var names []string
	for _, d := range dashboards.All() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		file := filepath.Join(chartDir, "dashboards", d.Name+".json")
		names = append(names, file)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-description +file), go test -run Described -update writes it:\n%s", file, diff)
		}
	}
	files, err := filepath.Glob(filepath.Join(chartDir, "dashboards", "*"))
	if err != nil || len(files) != len(names) {
		t.Errorf("files %q, %v; want %q", files, err, names)
	}
}

// page is what these tests look at in Grafana's JSON.
type page struct {
	UID, Title, Description string
	Templating              struct{ List []struct{ Name, Type string } }
	Panels                  []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
	}
	Targets []struct{ RefID, Expr string }
}

func pages(t *testing.T) []page {
	t.Helper()
	data := mustRender(t, parse(t, "dashboards: {enabled: true}")).dashboards.Data
	if len(data) != len(dashboards.All()) {
		t.Fatalf("the ConfigMap has %d dashboards; want %d", len(data), len(dashboards.All()))
	}
	var all []page
	for _, name := range keys(data) {
		if !strings.HasSuffix(name, ".json") {
			t.Errorf("dashboard %s does not end in .json, which the sidecar wants", name)
		}
		var p page
		if err := json.Unmarshal([]byte(data[name]), &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, p)
	}
	return all
}

var reference = regexp.MustCompile(`\$\{?([a-zA-Z_]+)\}?`)

func TestPanelsSayWhatTheyShow(t *testing.T) {
	known := knownMetrics(t)
	uids := map[string]bool{}
	for _, p := range pages(t) {
		if p.UID == "" || uids[p.UID] || p.Title == "" || p.Description == "" {
			t.Errorf("dashboard %q %q %q: want a uid of its own, a title and a description", p.UID, p.Title, p.Description)
		}
		uids[p.UID] = true
		variables := map[string]bool{}
		for _, v := range p.Templating.List {
			variables[v.Name] = true
		}
		ids, marked := map[int]bool{}, 0
		for i, one := range p.Panels {
			where := p.Title + ", " + one.Title
			if one.ID <= 0 || ids[one.ID] {
				t.Errorf("%s: id %d is not its own", where, one.ID)
			}
			ids[one.ID] = true
			if g := one.GridPos; g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
				t.Errorf("%s lies outside of the grid: %+v", where, g)
			}
			for _, other := range p.Panels[:i] {
				if overlap(one, other) {
					t.Errorf("%s lies upon %s: %+v, %+v", where, other.Title, one.GridPos, other.GridPos)
				}
			}
			if one.Type == "row" {
				continue
			}
			if one.Title == "" || len(one.Description) < 20 || one.FieldConfig.Defaults.Unit == "" || len(one.Targets) == 0 {
				t.Errorf("%s: want title, description, unit and a query", where)
			}
			steps := one.FieldConfig.Defaults.Thresholds.Steps
			if len(steps) == 0 || steps[0].Value != nil {
				t.Errorf("%s: thresholds %+v; want the first without a value", where, steps)
			}
			for j := 2; j < len(steps); j++ {
				if *steps[j].Value < *steps[j-1].Value {
					t.Errorf("%s: threshold %v comes after %v", where, *steps[j].Value, *steps[j-1].Value)
				}
			}
			if len(steps) > 1 {
				marked++
			}
			for _, target := range one.Targets {
				for _, m := range reference.FindAllStringSubmatch(target.Expr, -1) {
					if !variables[m[1]] {
						t.Errorf("%s refers to $%s, which the dashboard does not define", where, m[1])
					}
				}
				if !strings.Contains(target.Expr, dashboards.Selector) && !strings.Contains(target.Expr, "ALERTS{") {
					t.Errorf("%s does not heed the variables:\n%s", where, target.Expr)
				}
				checkExpr(t, where, target.Expr, known, recorded(t))
			}
		}
		if marked == 0 {
			t.Errorf("%s: no panel has a threshold", p.Title)
		}
		if !variables["datasource"] || !variables["namespace"] || !variables["job"] {
			t.Errorf("%s: variables %v; want datasource, namespace and job", p.Title, keys(variables))
		}
	}
}

func overlap(a, b panel) bool {
	p, q := a.GridPos, b.GridPos
	return p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H
}

func TestDashboardsAreForTheSidecar(t *testing.T) {
	if m := mustRender(t, nil); m.dashboards != nil {
		t.Error("dashboards are rendered; want none by default")
	}
	m := mustRender(t, parse(t, "dashboards: {enabled: true}")).dashboards
	if m.Labels["grafana_dashboard"] != "1" {
		t.Errorf("labels %v; want grafana_dashboard", m.Labels)
	}
	size := 0
	for name, text := range m.Data {
		size += len(text)
		file, err := os.ReadFile(filepath.Join(chartDir, "dashboards", name))
		if err != nil || !bytes.Equal(bytes.TrimSpace(file), bytes.TrimSpace([]byte(text))) {
			t.Errorf("%s is not the file: %v", name, err)
		}
	}
	if size > 900<<10 {
		t.Errorf("the ConfigMap holds %d bytes; Kubernetes takes 1 MiB", size)
	}
	if got := mustRender(t, values(t, "full.yaml")).dashboards; got.Annotations["grafana_folder"] != "callbus" || got.Labels["a"] != "b" {
		t.Errorf("labels %v, annotations %v; want those of the values", got.Labels, got.Annotations)
	}
}
