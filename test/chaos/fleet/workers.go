package fleet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"callbus/internal/graphsim"
)

// simToken is what workers and the simulated Graph share. It opens nothing else.
const simToken = "callbus-chaos"

// startSim starts the simulated Graph and waits until it answers.
func (f *Fleet) startSim(ctx context.Context) error {
	addrs, err := freePorts(1)
	if err != nil {
		return err
	}
	f.simAddr = addrs[0]
	f.sim, err = f.launch(&Proc{
		name: "graphsim", path: f.opts.Binaries.Graphsim, env: environment(), probe: f.answers(f.SimURL() + "/_sim/stats"),
		args: append([]string{"--listen=" + f.simAddr, "--token=" + simToken, "--log-size=2000000", "--log-level=warn"}, f.opts.SimArgs...),
	})
	if err != nil {
		f.sim = nil // never lived
		return err
	}
	return f.sim.Ready(ctx)
}

// startWorkers starts the proxies of the workers and then the workers, without
// waiting for them.
func (f *Fleet) startWorkers(context.Context) error {
	n := f.opts.Workers
	addrs, err := freePorts(2*n + 1)
	if err != nil {
		return err
	}
	callbacks := addrs[:n]
	f.metricsAddrs = addrs[n : 2*n]
	if f.callbacks, err = StartBalancer("callbacks", addrs[2*n], callbacks...); err != nil {
		return err
	}
	token := filepath.Join(f.opts.Dir, "token")
	if err := os.WriteFile(token, []byte(simToken), 0o600); err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	for i := range n {
		name := fmt.Sprintf("worker-%d", i+1)
		if err := f.connectWorker(name); err != nil {
			return err
		}
		proc, err := f.launch(f.worker(i, name, token, callbacks[i]))
		if err != nil {
			return err
		}
		f.workers = append(f.workers, proc)
	}
	return nil
}

// connectWorker starts the proxies of the next worker.
func (f *Fleet) connectWorker(name string) error {
	listen, err := freePorts(1 + len(f.natsAddrs))
	if err != nil {
		return err
	}
	graph, err := StartProxy(name+"/graph", Leg{listen[0], f.simAddr})
	if err != nil {
		return err
	}
	f.workerGraph = append(f.workerGraph, graph)
	f.workerNATS = append(f.workerNATS, nil)
	for i, addr := range f.natsAddrs {
		p, err := StartProxy(name+"/"+f.nats[i].name, Leg{listen[1+i], addr})
		if err != nil {
			return err
		}
		last := len(f.workerNATS) - 1
		f.workerNATS[last] = append(f.workerNATS[last], p)
	}
	return nil
}

// worker is worker i, not started.
func (f *Fleet) worker(i int, name, token, callbackListen string) *Proc {
	special := f.opts.Worker(i)
	binary := special.Binary
	if binary == "" {
		binary = f.opts.Binaries.Worker
	}
	var nats []string
	for _, p := range f.workerNATS[i] {
		nats = append(nats, p.Addr())
	}
	graph := "http://" + f.workerGraph[i].Addr()
	args := []string{
		"serve", "--worker-name=" + name, fmt.Sprintf("--stream-replicas=%d", f.opts.NATSNodes),
		"--graph-url=" + graph + "/v1.0", "--graph-token-file=" + token, "--tenant=" + graphsim.DefaultTenantID,
		"--callback-url=http://" + f.callbacks.Addr(), "--callback-listen=" + callbackListen,
		"--callback-oidc-url=" + graph + "/oidc/.well-known/openidconfiguration",
		"--callback-issuer=" + graphsim.DefaultIssuer, "--callback-audience=" + graphsim.DefaultAppID,
		"--metrics-listen=" + f.metricsAddrs[i], "--log-format=text",
	}
	env := []string{
		"NATS_URL=" + commas("nats", nats),
		// More than any load here has at once: the slots are taken and given back all
		// the same. As variables, for an older worker does not know the flags.
		"CALLBUS_MAX_LIVE_CALLS=2000", "CALLBUS_MONTHLY_CALLS=0",
	}
	return &Proc{
		name: name, path: binary, args: append(args, special.Args...),
		env:   environment(append(env, special.Env...)...),
		probe: f.answers("http://" + f.metricsAddrs[i] + "/readyz"),
	}
}
