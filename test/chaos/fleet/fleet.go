package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Fleet is what runs. Make it with [Start]. Indexes count from 0, names from 1:
// Workers()[0] is "worker-1".
type Fleet struct {
	opts    Options
	tempDir bool
	http    *http.Client

	nats    []*Proc
	sim     *Proc
	workers []*Proc

	natsAddrs, monitorAddrs []string // of the NATS servers
	metricsAddrs            []string
	simAddr                 string

	routes      []*Proxy
	workerNATS  [][]*Proxy
	workerGraph []*Proxy
	callbacks   *Balancer
}

// Start starts the NATS servers, the simulated Graph and the workers, in this
// order, and returns when the workers have been started; [Fleet.Ready] waits for
// them. It blocks until NATS places streams, a minute at most.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("start fleet: %w", err)
	}
	f := &Fleet{http: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	var err error
	if f.tempDir, err = o.makeDir(); err != nil {
		return nil, fmt.Errorf("start fleet: %w", err)
	}
	f.opts = o
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, start := range []func(context.Context) error{f.startNATS, f.startSim, f.startWorkers} {
		if err := start(ctx); err != nil {
			f.Close()
			return nil, fmt.Errorf("start fleet: %w", err)
		}
	}
	return f, nil
}

// Workers are the workers.
func (f *Fleet) Workers() []*Proc { return f.workers }

// NATS are the NATS servers.
func (f *Fleet) NATS() []*Proc { return f.nats }

// Sim is the simulated Graph.
func (f *Fleet) Sim() *Proc { return f.sim }

// Procs are all processes.
func (f *Fleet) Procs() []*Proc {
	all := append([]*Proc(nil), f.nats...)
	if f.sim != nil {
		all = append(all, f.sim)
	}
	return append(all, f.workers...)
}

// WorkerNATS are the ways of worker i to NATS, one a server: "worker-1/nats-1".
func (f *Fleet) WorkerNATS(i int) []*Proxy { return f.workerNATS[i] }

// WorkerGraph is the way of worker i to Graph and to the keys of its
// notifications: "worker-1/graph".
func (f *Fleet) WorkerGraph(i int) *Proxy { return f.workerGraph[i] }

// Routes are the ways between the NATS servers of a cluster: "1-2", "1-3", "2-3".
func (f *Fleet) Routes() []*Proxy { return f.routes }

// Callbacks is Graph's way to the workers.
func (f *Fleet) Callbacks() *Balancer { return f.callbacks }

// Proxies are all of them.
func (f *Fleet) Proxies() []*Proxy {
	all := append([]*Proxy(nil), f.routes...)
	for _, proxies := range f.workerNATS {
		all = append(all, proxies...)
	}
	all = append(all, f.workerGraph...)
	if f.callbacks != nil {
		all = append(all, f.callbacks.Proxy)
	}
	return all
}

// NATSURL lists all NATS servers, separated by commas, past the proxies.
func (f *Fleet) NATSURL() string { return commas("nats", f.natsAddrs) }

// MonitorURL is the root of NATS server i's monitoring: /healthz, /routez, /jsz.
func (f *Fleet) MonitorURL(i int) string { return "http://" + f.monitorAddrs[i] }

// SimURL is the simulator's root, past the proxies: its control API is /_sim.
func (f *Fleet) SimURL() string { return "http://" + f.simAddr }

// MetricsURL is where worker i serves its metrics.
func (f *Fleet) MetricsURL(i int) string { return "http://" + f.metricsAddrs[i] + "/metrics" }

// Dir holds logs, NATS stores and settings.
func (f *Fleet) Dir() string { return f.opts.Dir }

// Ready blocks until every worker is ready, one has ended, or ctx has ended.
func (f *Fleet) Ready(ctx context.Context) error {
	for _, w := range f.workers {
		if err := w.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Heal lets everything go on that stands still and heals every proxy. It starts
// no process.
func (f *Fleet) Heal() error {
	var wrong []error
	for _, p := range f.Procs() {
		if p.Paused() {
			wrong = append(wrong, p.Continue())
		}
	}
	for _, p := range f.Proxies() {
		wrong = append(wrong, p.Heal())
	}
	return errors.Join(wrong...)
}

// Close kills every process, waits for them, ends the proxies and removes the
// directory if it was a temporary one.
func (f *Fleet) Close() {
	for _, p := range f.Procs() {
		p.Kill()
	}
	var closing sync.WaitGroup
	for _, p := range f.Proxies() {
		closing.Go(p.Close)
	}
	closing.Wait()
	if f.tempDir && !f.opts.Keep {
		_ = os.RemoveAll(f.opts.Dir)
	}
}

// launch starts a process and returns it.
func (f *Fleet) launch(p *Proc) (*Proc, error) {
	p.log = filepath.Join(f.opts.Dir, "logs", p.name+".log")
	return p, p.start()
}

// answers makes a probe: a GET of url that is answered 200.
func (f *Fleet) answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := f.http.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, res.Status)
		}
		return nil
	}
}
