package fleet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// nobody is an address where no server listens. NATS servers tell each other
// where the others listen and would connect past the proxies; each says that it
// listens there.
const nobody = "127.0.0.1:1"

// startNATS starts the servers and waits until they place streams.
func (f *Fleet) startNATS(ctx context.Context) error {
	n := f.opts.NATSNodes
	addrs, err := freePorts(3 * n)
	if err != nil {
		return err
	}
	f.natsAddrs, f.monitorAddrs = addrs[:n], addrs[n:2*n]
	cluster := addrs[2*n:]
	ways, err := f.connectRoutes(cluster)
	if err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("nats-%d", i+1)
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nhttp: %q\njetstream {\n  store_dir: %q\n  max_memory_store: 1G\n  max_file_store: 64G\n}\n",
			name, f.natsAddrs[i], f.monitorAddrs[i], filepath.Join(f.opts.Dir, name))
		if n > 1 {
			text += fmt.Sprintf("cluster {\n  name: callbus\n  listen: %q\n  no_advertise: true\n  cluster_advertise: %q\n  routes: [%s]\n}\n",
				cluster[i], nobody, commas("nats", ways[i]))
		}
		config := filepath.Join(f.opts.Dir, name+".conf")
		if err := os.WriteFile(config, []byte(text+f.opts.NATSConfig+"\n"), 0o600); err != nil {
			return fmt.Errorf("configure %s: %w", name, err)
		}
		proc, err := f.launch(&Proc{
			name: name, path: f.opts.Binaries.NATS, args: []string{"-c", config}, env: environment(),
			probe: f.answers(f.MonitorURL(i) + "/healthz"),
		})
		if err != nil {
			return err
		}
		f.nats = append(f.nats, proc)
	}
	for _, proc := range f.nats {
		if err := proc.Ready(ctx); err != nil {
			return err
		}
	}
	return f.placeStream(ctx)
}

// connectRoutes starts a proxy for each two servers and returns where each server
// reaches all of them, itself too: from that it knows how many they are.
func (f *Fleet) connectRoutes(cluster []string) (ways [][]string, err error) {
	n := len(cluster)
	ways = make([][]string, n)
	for i := range n {
		ways[i] = make([]string, n)
		ways[i][i] = cluster[i]
	}
	for i := range n {
		for j := i + 1; j < n; j++ {
			listen, err := freePorts(2)
			if err != nil {
				return nil, err
			}
			ways[i][j], ways[j][i] = listen[0], listen[1]
			p, err := StartProxy(fmt.Sprintf("%d-%d", i+1, j+1), Leg{listen[0], cluster[j]}, Leg{listen[1], cluster[i]})
			if err != nil {
				return nil, err
			}
			f.routes = append(f.routes, p)
		}
	}
	return ways, nil
}

// placeStream makes and removes a stream on all servers. A healthy server is not
// enough: until the leader has heard of every peer it answers "no suitable peers".
func (f *Fleet) placeStream(ctx context.Context) error {
	nc, err := nats.Connect(f.NATSURL())
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	const name = "FLEET_READY"
	for {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{"fleet.ready"}, Storage: jetstream.MemoryStorage, Replicas: f.opts.NATSNodes,
		})
		if err == nil {
			return js.DeleteStream(ctx, name)
		}
		if !until(ctx, time.Now().Add(50*time.Millisecond)) {
			return fmt.Errorf("place a stream on %s: %w", strings.TrimSpace(f.NATSURL()), err)
		}
	}
}
