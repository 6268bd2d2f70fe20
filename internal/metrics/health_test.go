package metrics

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func get(t *testing.T, h http.Handler, path string) (int, string, http.Header) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec.Code, rec.Body.String(), rec.Header()
}

func TestReadiness(t *testing.T) {
	tests := []struct {
		name   string
		checks []string
		do     func(*Health)
		status int
		body   string
	}{
		{"without any check the worker is still starting", nil, func(*Health) {}, 503, "worker: starting\n"},
		{"an announced check counts before it was ever set", []string{"nats"}, func(*Health) {}, 503, "nats: not checked yet\n"},
		{"all checks pass", []string{"nats", "token"}, func(h *Health) { h.Set("nats", nil); h.Set("token", nil) }, 200, "ok\n"},
		{"one line a failing check, in order of name", []string{"nats"}, func(h *Health) {
			h.Set("token", errors.New("no credential"))
			h.Set("streams", nil)
			h.Set("nats", errors.New("not connected"))
		}, 503, "nats: not connected\ntoken: no credential\n"},
		{"a check that passes again counts no more", nil, func(h *Health) {
			h.Set("nats", errors.New("not connected"))
			h.Set("nats", nil)
		}, 200, "ok\n"},
		{"a reason of several lines stays one line", nil, func(h *Health) {
			h.Set("streams", errors.Join(errors.New("a differs"), errors.New("b differs")))
		}, 503, "streams: a differs b differs\n"},
		{"stopping is never ready", nil, func(h *Health) { h.Set("nats", nil); h.Stopping(); h.Set("nats", nil) }, 503, "worker: stopping\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHealth(tt.checks...)
			tt.do(h)
			mux := Mux(NewRegistry(), h)
			status, body, _ := get(t, mux, "/readyz")
			if status != tt.status || body != tt.body {
				t.Errorf("GET /readyz = %d %q; want %d %q", status, body, tt.status, tt.body)
			}
			if h.Ready() != (tt.status == 200) {
				t.Errorf("Ready() = %v", h.Ready())
			}
			if status, body, _ := get(t, mux, "/healthz"); status != 200 || body != "ok\n" {
				t.Errorf("GET /healthz = %d %q; want 200 ok, whatever the checks say", status, body)
			}
		})
	}
}

func TestReadinessAsJSONShowsPassingChecksToo(t *testing.T) {
	h := NewHealth("nats")
	h.Set("nats", nil)
	h.Set("token", errors.New("no credential"))
	status, body, header := get(t, Mux(NewRegistry(), h), "/readyz?format=json")
	if status != 503 || header.Get("Content-Type") != "application/json" {
		t.Errorf("GET = %d %s; want 503 application/json", status, header.Get("Content-Type"))
	}
	type check struct {
		Name, Reason string
		OK           bool
	}
	var got struct {
		Ready  bool
		Checks []check
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("body %q: %v", body, err)
	}
	want := []check{{Name: "nats", OK: true}, {Name: "token", Reason: "no credential"}}
	if diff := cmp.Diff(want, got.Checks); diff != "" || got.Ready {
		t.Errorf("ready %v, checks (-want +got):\n%s", got.Ready, diff)
	}
}

func TestMetricsPortServesTheRegistry(t *testing.T) {
	reg := NewRegistry()
	New(reg, Options{}).CallSilent()
	mux := Mux(reg, NewHealth())
	status, body, _ := get(t, mux, "/metrics")
	if status != 200 || !strings.Contains(body, "\ncallbus_calls_silent_total 1\n") || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("GET /metrics = %d, %d bytes; want 200 with our numbers and Go's", status, len(body))
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics = %d; want 405", rec.Code)
	}
}
