package dashboards

import (
	"encoding/json"
	"strings"
)

// Dashboard is one page.
type Dashboard struct {
	Name  string // of the file, and in the page's address after "callbus-"
	Title string
	About string
	Rows  []Row
}

// Row is a line of panels under a heading; what does not fit goes on below.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is one picture.
type Panel struct {
	Title, About string
	Kind         string // stat, timeseries or table
	Unit         string // as Grafana names it
	Width        int    // of 24
	Warn, Crit   float64
	Below        bool // Warn and Crit are crossed downwards
	Marks        bool // Warn and Crit say something
	Min0         bool
	Queries      []Query
}

// Query is one PromQL expression. In it $sel stands for the matchers of the
// variables.
type Query struct{ Legend, Expr string }

// Selector is what $sel stands for.
const Selector = `namespace=~"$namespace",job=~"$job"`

func q(legend, expr string) Query { return Query{legend, strings.TrimSpace(expr)} }

// graph is a panel over time, 8 of 24 wide.
func graph(title, unit, about string, queries ...Query) Panel {
	return Panel{Title: title, About: about, Kind: "timeseries", Unit: unit, Width: 8, Min0: true, Queries: queries}
}

// stat is a panel with the latest value, 4 of 24 wide.
func stat(title, unit, about string, queries ...Query) Panel {
	return Panel{Title: title, About: about, Kind: "stat", Unit: unit, Width: 4, Queries: queries}
}

// above marks values from warn and crit on.
func (p Panel) above(warn, crit float64) Panel {
	p.Warn, p.Crit, p.Marks = warn, crit, true
	return p
}

// below marks values under warn and crit.
func (p Panel) below(warn, crit float64) Panel {
	p = p.above(warn, crit)
	p.Below = true
	return p
}

func (p Panel) wide(of24 int) Panel {
	p.Width = of24
	return p
}

type object = map[string]any

// JSON is the dashboard as Grafana reads it.
func (d Dashboard) JSON() ([]byte, error) {
	var panels []object
	id, y := 0, 0
	next := func() int { id++; return id }
	for _, row := range d.Rows {
		panels = append(panels, object{
			"id": next(), "type": "row", "title": row.Title, "collapsed": false, "panels": []object{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1},
		})
		y++
		x, height := 0, 0
		for _, p := range row.Panels {
			h := 8
			if p.Kind == "stat" {
				h = 4
			}
			if x+p.Width > 24 {
				x, y, height = 0, y+height, 0
			}
			panels = append(panels, p.json(next(), object{"x": x, "y": y, "w": p.Width, "h": h}))
			x, height = x+p.Width, max(height, h)
		}
		y += height
	}
	return json.MarshalIndent(object{
		"uid": "callbus-" + d.Name, "title": "callbus: " + d.Title, "description": d.About, "tags": []string{"callbus"},
		"schemaVersion": 39, "version": 1, "editable": true, "timezone": "browser", "graphTooltip": 1, "refresh": "30s",
		"time":       object{"from": "now-3h", "to": "now"},
		"templating": object{"list": variables()},
		"links": []object{{
			"type": "dashboards", "title": "callbus", "tags": []string{"callbus"}, "asDropdown": false, "keepTime": true, "includeVars": true,
		}},
		"annotations": object{"list": []object{}},
		"panels":      panels,
	}, "", "  ")
}

var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// variables choose the Prometheus, and of it the installations.
func variables() []object {
	labels := func(name, title, query string) object {
		return object{
			"name": name, "label": title, "type": "query", "datasource": datasource,
			"query": object{"query": query, "refId": name}, "refresh": 2, "sort": 1,
			"multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"},
		}
	}
	return []object{
		{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": object{}},
		labels("namespace", "Namespace", `label_values(callbus_build_info, namespace)`),
		labels("job", "Job", `label_values(callbus_build_info{namespace=~"$namespace"}, job)`),
	}
}

func (p Panel) json(id int, grid object) object {
	var targets []object
	for i, query := range p.Queries {
		target := object{
			"refId": string(rune('A' + i)), "datasource": datasource, "legendFormat": query.Legend,
			"expr": strings.ReplaceAll(query.Expr, "$sel", Selector),
		}
		if p.Kind == "stat" {
			target["instant"] = true
		}
		targets = append(targets, target)
	}
	defaults := object{"unit": p.Unit, "thresholds": object{"mode": "absolute", "steps": p.steps()}, "color": object{"mode": "palette-classic"}}
	if p.Min0 {
		defaults["min"] = 0
	}
	options := object{}
	switch p.Kind {
	case "stat":
		defaults["color"] = object{"mode": "thresholds"}
		options = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "background", "graphMode": "none", "textMode": "auto"}
	case "timeseries":
		style := "off"
		if p.Marks {
			style = "line"
		}
		defaults["custom"] = object{"fillOpacity": 10, "showPoints": "never", "thresholdsStyle": object{"mode": style}}
		options = object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	}
	return object{
		"id": id, "type": p.Kind, "title": p.Title, "description": p.About, "gridPos": grid, "datasource": datasource,
		"fieldConfig": object{"defaults": defaults, "overrides": []object{}}, "options": options, "targets": targets,
	}
}

// steps colours values: the first step is everything from minus infinity.
func (p Panel) steps() []object {
	switch {
	case !p.Marks:
		return []object{{"color": "green", "value": nil}}
	case p.Below:
		return []object{{"color": "red", "value": nil}, {"color": "orange", "value": p.Crit}, {"color": "green", "value": p.Warn}}
	}
	return []object{{"color": "green", "value": nil}, {"color": "orange", "value": p.Warn}, {"color": "red", "value": p.Crit}}
}
