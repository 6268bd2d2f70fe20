package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
)

// starter is the options of a worker that a test starts itself, and its log.
func starter(t *testing.T, name, natsURL string, sim *graphsim.Server) (Options, *logLines) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(devToken), 0o600); err != nil {
		t.Fatal(err)
	}
	callbacks := listen(t)
	log := &logLines{t: t}
	o := DefaultOptions()
	o.NATS = natsconn.ConnOptions{URL: natsURL, Name: name}
	o.Streams.CommandsMaxBytes = 1 << 20
	o.GraphURL, o.GraphTokenFile, o.Tenants = sim.GraphURL(), token, []string{graphsim.DefaultTenantID}
	o.CallbackListener, o.CallbackURL = callbacks, "http://"+callbacks.Addr().String()
	o.CallbackOIDCURLs, o.CallbackIssuers, o.CallbackAudience = []string{sim.OIDCURL()}, []string{sim.Issuer()}, sim.AppID()
	o.MetricsListen, o.WorkerName = "127.0.0.1:0", name
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	return o, log
}

func (l *logLines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// running is a worker whose start is under way.
type running struct {
	t      *testing.T
	cancel context.CancelFunc
	ready  chan struct{} // closed when it has started
	done   chan error
}

// start starts a worker and lets it run until stop.
func start(t *testing.T, o Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, cancel: cancel, ready: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		w, err := NewWorker(ctx, o)
		if err != nil {
			r.done <- err
			return
		}
		close(r.ready)
		r.done <- w.Run(ctx)
	}()
	t.Cleanup(r.cancel)
	return r
}

// started waits until the worker has started; false when it gave up instead.
func (r *running) started() bool {
	r.t.Helper()
	select {
	case <-r.ready:
		return true
	case err := <-r.done:
		r.t.Errorf("NewWorker() = %v; want a worker", err)
		r.done <- nil
		return false
	}
}

func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run() = %v; want a clean stop", err)
	}
}
