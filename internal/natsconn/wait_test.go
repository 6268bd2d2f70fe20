package natsconn

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// waiting are options of a client that waits, and its log.
func waiting(url string, wait time.Duration) (ConnOptions, *lockedBuffer) {
	log := &lockedBuffer{}
	return ConnOptions{URL: url, Wait: wait, Logger: slog.New(slog.NewTextHandler(log, nil))}, log
}

func TestConnectWaitsForAServerThatStarts(t *testing.T) {
	addr := freePort(t)
	o, log := waiting("nats://"+addr, 20*time.Second)
	type result struct {
		connected bool
		err       error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := Connect(o)
		if err == nil {
			defer nc.Close()
		}
		done <- result{err == nil, err}
	}()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "waiting for a server"); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("log = %q; want that it waits", log.String())
		}
	}
	startServer(t, at(t, addr))
	if r := <-done; !r.connected {
		t.Errorf("Connect() = %v; want a connection", r.err)
	}
	if n := strings.Count(log.String(), "waiting for a server"); n != 1 {
		t.Errorf("log = %q; want one line", log.String())
	}
}

func TestConnectGivesUp(t *testing.T) {
	nobody := "nats://" + freePort(t)
	locked := startServer(t, func(o *server.Options) { o.Authorization = "token" }).ClientURL()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, row := range []struct {
		name        string
		ctx         context.Context
		url         string
		wait        time.Duration
		least, most time.Duration
		reason      Reason
		lines       int // of the log
	}{
		{"at once, when it is not told to wait", t.Context(), nobody, 0, 0, 5 * time.Second, Unreachable, 0},
		{"when the time is over", t.Context(), nobody, 700 * time.Millisecond, 700 * time.Millisecond, 10 * time.Second, Unreachable, 1},
		{"at once, when it is refused", t.Context(), locked, time.Minute, 0, 10 * time.Second, Refused, 0},
		{"when it is told to stop", stopped, nobody, time.Minute, 0, 10 * time.Second, Unreachable, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, log := waiting(row.url, row.wait)
			began := time.Now()
			_, err := ConnectContext(row.ctx, o)
			took := time.Since(began)
			if why, ok := errors.AsType[*Error](err); !ok || why.Reason != row.reason || took < row.least || took > row.most {
				t.Errorf("ConnectContext() = %v after %s; want %s after %s to %s", err, took, row.reason, row.least, row.most)
			}
			if n := strings.Count(log.String(), "waiting for a server"); n != row.lines {
				t.Errorf("log = %q; want %d lines", log.String(), row.lines)
			}
		})
	}
}
