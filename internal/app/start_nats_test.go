package app

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
	"callbus/internal/natstest"
	"callbus/internal/streams"
)

func TestThreeWorkersStartAtOnceOnAnEmptyCluster(t *testing.T) {
	t.Parallel()
	cluster, err := embednats.StartCluster(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	sim := startSim(t, graphsim.Options{})
	var workers []*running
	for i, node := range cluster.Servers {
		o, _ := starter(t, fmt.Sprintf("worker-%d", i+1), node.URL(), sim)
		o.Streams.Replicas = 3
		workers = append(workers, start(t, o))
	}
	for _, w := range workers {
		if w.started() {
			defer w.stop()
		}
	}
	js := connect(t, cluster.URL())
	o, _ := starter(t, "check", cluster.URL(), sim)
	o.Streams.Replicas = 3
	plan, err := streams.Provision(t.Context(), js, o.Streams, streams.ModeVerify, false)
	if err != nil || len(plan.Differences) != 0 {
		t.Errorf("verify = %+v, %v; want everything there, once", plan, err)
	}
}

// TestWorkerStartsWhileJetStreamIsSilent drops what a worker asks JetStream
// first, as servers do until they have a leader.
func TestWorkerStartsWhileJetStreamIsSilent(t *testing.T) {
	t.Parallel()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	proxy := natstest.StartProxy(t, srv.URL())
	var dropped atomic.Int64
	proxy.Judge(func(subject string) natstest.Fate {
		if strings.HasPrefix(subject, "$JS.API.") && dropped.Load() < 2 {
			dropped.Add(1)
			return natstest.Swallow
		}
		return natstest.Pass
	})
	o, log := starter(t, "patient", proxy.URL(), startSim(t, graphsim.Options{}))
	if w := start(t, o); w.started() {
		w.stop()
	}
	if n := log.count("waiting for JetStream"); n != 1 {
		t.Errorf("log has %d lines that it waits; want 1", n)
	}
	if dropped.Load() != 2 {
		t.Errorf("%d requests were dropped; want 2", dropped.Load())
	}
}

func TestWorkerWaitsForNATSWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	sim := startSim(t, graphsim.Options{})
	addr := closedPort(t)
	o, log := starter(t, "patient", "nats://"+addr, sim)
	if _, err := NewWorker(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no NATS server at nats://"+addr) || strings.Contains(err.Error(), "\n") {
		t.Errorf("NewWorker() without a wait = %v; want one line with the address", err)
	}
	if log.has("waiting for a server") {
		t.Error("it waited without being told to")
	}

	o.NATS.Wait = 20 * time.Second
	w := start(t, o)
	log.wait("waiting for a server")
	srv, err := embednats.Start(embednats.Options{Listen: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	if w.started() {
		w.stop()
	}
}

// TestWorkerDoesNotWaitForAServerThatCannotCarryIt holds the start of what no
// time puts right to one clear error, long before any wait would end.
func TestWorkerDoesNotWaitForAServerThatCannotCarryIt(t *testing.T) {
	t.Parallel()
	srv, err := embednats.Start(embednats.Options{NoJetStream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	empty, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(empty.Close)
	sim := startSim(t, graphsim.Options{})
	for _, row := range []struct {
		name, url string
		mode      streams.Mode
		says      string
	}{
		{"a server without JetStream", srv.URL(), streams.ModeCreate, "JetStream is not enabled"},
		{"missing streams that it may not make", empty.URL(), streams.ModeVerify, "stream CALL_COMMANDS: missing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, _ := starter(t, "strict", row.url, sim)
			o.NATS = natsconn.ConnOptions{URL: row.url, Wait: time.Minute}
			o.StreamsMode = row.mode
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := NewWorker(ctx, o); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("NewWorker() = %v; want at once: %s", err, row.says)
			}
		})
	}
}
