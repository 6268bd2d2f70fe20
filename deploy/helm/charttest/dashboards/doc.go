// Package dashboards describes the Grafana dashboards of the chart: what each
// panel asks, in which unit, and where it is worth a look. A test of the parent
// folder writes the description as Grafana's JSON and holds the chart to it.
package dashboards
