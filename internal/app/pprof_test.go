package app

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"callbus/internal/embednats"
	"callbus/internal/graphsim"
)

func TestProfilesAreForLoopbackOnly(t *testing.T) {
	for listen, ok := range map[string]bool{
		"": true, "127.0.0.1:6060": true, "[::1]:6060": true, "localhost:6060": true, "127.0.0.1:0": true,
		":6060": false, "0.0.0.0:6060": false, "10.0.0.1:6060": false, "[::]:6060": false, "example.org:6060": false, "6060": false,
	} {
		if err := checkPprof(listen); (err == nil) != ok {
			t.Errorf("checkPprof(%q) = %v; want accepted: %t", listen, err, ok)
		} else if err != nil && !strings.Contains(err.Error(), "127.0.0.1:6060") {
			t.Errorf("checkPprof(%q) = %v; want it to say what is allowed", listen, err)
		}
	}
}

func TestProfilesAreServedOnlyWhereAsked(t *testing.T) {
	t.Parallel()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	w, _ := startWorker(t, "pprof", srv.URL(), startSim(t, graphsim.Options{}), func(o *Options) { o.PprofListen = "127.0.0.1:0" })
	get := func(addr, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, body := get(w.pprofListener.Addr().String(), "/debug/pprof/goroutine?debug=1"); status != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("profile = %d %.80q", status, body)
	}
	if status, _ := get(w.MetricsAddr(), "/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("profiles on the metrics port: status %d; want 404", status)
	}
}
