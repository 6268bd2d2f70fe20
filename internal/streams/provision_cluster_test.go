package streams_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/streams"
)

// startCluster runs three servers and opens a connection to each.
func startCluster(t *testing.T) []jetstream.JetStream {
	t.Helper()
	c, err := embednats.StartCluster(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var nodes []jetstream.JetStream
	for _, s := range c.Servers {
		nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, js)
	}
	return nodes
}

// TestWorkersThatStartAtOnceProvisionTogether starts three workers, each at a
// node of its own, on an empty cluster: none may fail because another one is
// just making the same.
func TestWorkersThatStartAtOnceProvisionTogether(t *testing.T) {
	nodes := startCluster(t)
	for round := range 3 {
		o := streams.DefaultOptions()
		o.Prefix, o.Replicas, o.CommandsMaxBytes = commands.Prefix(fmt.Sprintf("round%d", round)), 3, 1<<20
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		began := time.Now()
		errs := make([]error, len(nodes))
		var workers sync.WaitGroup
		for i, js := range nodes {
			workers.Go(func() { _, errs[i] = streams.Provision(ctx, js, o, streams.ModeCreate, false) })
		}
		workers.Wait()
		cancel()
		if err := errors.Join(errs...); err != nil {
			t.Errorf("round %d: Provision() after %s = %v", round, time.Since(began), err)
		}
		t.Logf("round %d: %s", round, time.Since(began))
		plan, err := streams.Provision(t.Context(), nodes[0], o, streams.ModeVerify, false)
		if err != nil || len(plan.Differences) != 0 {
			t.Errorf("round %d: verify = %+v, %v; want everything there", round, plan, err)
		}
	}
}
