package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Health answers Kubernetes' probes. It comes from [NewHealth]; its methods may
// be called at the same time.
type Health struct {
	mu       sync.Mutex
	checks   map[string]error // by name; nil is a passing check
	stopping bool
}

// errNotChecked is why a check that was announced has not passed yet.
var errNotChecked = errors.New("not checked yet")

// NewHealth returns a Health that is not ready until every check named here and
// every other one ever set has passed. Without any check it is not ready.
func NewHealth(checks ...string) *Health {
	h := &Health{checks: make(map[string]error)}
	for _, name := range checks {
		h.checks[name] = errNotChecked
	}
	return h
}

// Set records the latest outcome of a check: nil is a pass, an error says in
// its text why not. The text is shown to anyone who reaches the metrics port,
// so it must hold no secret.
func (h *Health) Set(check string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[check] = err
}

// Stopping makes the worker unready for good, whatever its checks say, while it
// stays alive to finish what is in hand.
func (h *Health) Stopping() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// Ready tells whether every check passes and the worker is not stopping.
func (h *Health) Ready() bool {
	for _, c := range h.report() {
		if !c.OK {
			return false
		}
	}
	return true
}

// checkReport is one check as /readyz shows it.
type checkReport struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// report lists the checks by name. It is never empty.
func (h *Health) report() []checkReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	var report []checkReport
	if h.stopping {
		report = append(report, checkReport{Name: "worker", Reason: "stopping"})
	} else if len(h.checks) == 0 {
		report = append(report, checkReport{Name: "worker", Reason: "starting"})
	}
	for _, name := range slices.Sorted(maps.Keys(h.checks)) {
		c := checkReport{Name: name, OK: true}
		if err := h.checks[name]; err != nil {
			c.OK, c.Reason = false, oneLine(err.Error())
		}
		report = append(report, c)
	}
	return report
}

// oneLine joins the lines of a text, such as that of errors.Join.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Healthz answers 200 as long as the process answers at all. It depends on
// nothing: a lost connection is no reason to be killed.
func (h *Health) Healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, "ok")
}

// Readyz answers 200 and "ok" when ready, otherwise 503 and a line a failing
// check: its name, a colon and the reason. With ?format=json the body holds
// every check, passing ones too.
func (h *Health) Readyz(w http.ResponseWriter, r *http.Request) {
	report := h.report()
	failing := slices.DeleteFunc(slices.Clone(report), func(c checkReport) bool { return c.OK })
	status := http.StatusOK
	if len(failing) > 0 {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")

	if r.URL.Query().Get("format") == "json" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(struct {
			Ready  bool          `json:"ready"`
			Checks []checkReport `json:"checks"`
		}{len(failing) == 0, report})
		return
	}

	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if len(failing) == 0 {
		_, _ = fmt.Fprintln(w, "ok")
	}
	for _, c := range failing {
		_, _ = fmt.Fprintf(w, "%s: %s\n", c.Name, c.Reason)
	}
}
