package embednats

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/ports"
)

// Cluster is several servers that replicate among themselves, in one process.
type Cluster struct {
	Servers []*Server
	dir     string
}

// StartCluster runs n servers and returns when they have elected a leader for
// JetStream's own state, so that replicated streams can be made at once.
func StartCluster(n int) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "callbus-cluster-")
	if err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	c := &Cluster{dir: dir}
	// Every node needs to know its peers from the start: without routes
	// JetStream refuses to be part of a cluster.
	var routes []*url.URL
	for range n {
		addr, release, err := ports.Keep()
		if err != nil {
			return nil, err
		}
		defer release() // all of them listen by then
		routes = append(routes, &url.URL{Scheme: "nats", Host: addr})
	}
	for i, route := range routes {
		opts, err := baseOptions("")
		if err != nil {
			return nil, err
		}
		opts.ServerName = fmt.Sprintf("node-%d", i+1)
		opts.JetStream = true
		opts.StoreDir = filepath.Join(dir, opts.ServerName)
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			return nil, fmt.Errorf("port of %s: %w", route, err)
		}
		opts.Cluster = server.ClusterOpts{Name: "callbus", Host: "127.0.0.1", Port: port}
		opts.Routes = routes
		s := &Server{dir: opts.StoreDir, keepDir: true}
		if s.ns, err = server.NewServer(opts); err != nil {
			c.Close()
			return nil, fmt.Errorf("embedded NATS server: %w", err)
		}
		c.Servers = append(c.Servers, s)
		s.ns.Start()
	}
	deadline := time.Now().Add(readyWait)
	for !c.ready() {
		if time.Now().After(deadline) {
			c.Close()
			return nil, fmt.Errorf("embedded NATS cluster of %d has no leader after %s", n, readyWait)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := c.place(deadline); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// place makes and removes a stream on all nodes. A leader alone is not enough:
// until it has heard of every peer it answers "no suitable peers".
func (c *Cluster) place(deadline time.Time) error {
	nc, err := nats.Connect(c.URL())
	if err != nil {
		return fmt.Errorf("connect to the embedded cluster: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	const name = "CALLBUS_READY"
	for {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{"callbus.ready"}, Storage: jetstream.MemoryStorage, Replicas: len(c.Servers),
		})
		if err == nil {
			return js.DeleteStream(ctx, name)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("embedded NATS cluster places no stream: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *Cluster) ready() bool {
	leaders := 0
	for _, s := range c.Servers {
		if !s.ns.ReadyForConnections(time.Second) || !s.ns.JetStreamIsCurrent() {
			return false
		}
		if s.ns.JetStreamIsLeader() {
			leaders++
		}
	}
	return leaders == 1
}

// URL lists all servers, separated by commas.
func (c *Cluster) URL() string {
	all := ""
	for i, s := range c.Servers {
		if i > 0 {
			all += ","
		}
		all += s.URL()
	}
	return all
}

// Close stops all servers and removes their files.
func (c *Cluster) Close() {
	for _, s := range c.Servers {
		s.ns.Shutdown()
	}
	for _, s := range c.Servers {
		s.ns.WaitForShutdown()
	}
	_ = os.RemoveAll(c.dir)
}
