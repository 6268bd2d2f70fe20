package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graph"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
)

// devToken is what the worker and the simulated Graph of one process share. It
// opens nothing else: both listen on loopback only.
const devToken = "callbus-development"

// DevOptions shape the embedded stack. Empty addresses are free loopback ports.
type DevOptions struct {
	NATSListen, SimListen         string
	CallbackListen, MetricsListen string
	DataDir                       string // kept when set
	Faults                        []graphsim.Fault
	Prefix                        commands.Prefix
	Concurrency                   int
	Sim                           graphsim.Options
	Version                       string
	Logger                        *slog.Logger
}

// Stack is NATS, the simulated Graph and a worker in one process.
type Stack struct {
	NATS   *embednats.Server
	Sim    *graphsim.Server
	Worker *Worker

	dir       string
	callbacks net.Listener
	stop      context.CancelFunc
	result    chan error
}

// StartStack starts everything and returns when the worker takes commands.
func StartStack(ctx context.Context, o DevOptions) (*Stack, error) {
	s := &Stack{result: make(chan error, 1)}
	if err := s.start(ctx, o); err != nil {
		_ = s.Close() // the first error is the one that tells
		return nil, err
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, o DevOptions) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "callbus-dev-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	if s.NATS, err = embednats.Start(embednats.Options{Listen: o.NATSListen, DataDir: o.DataDir}); err != nil {
		return err
	}
	sim := o.Sim
	sim.Token, sim.Faults, sim.Logger = devToken, o.Faults, o.Logger
	if s.Sim, err = graphsim.Start(ctx, sim, orFree(o.SimListen), ""); err != nil {
		return err
	}
	// Before there is a worker, because Graph is told the address.
	var lc net.ListenConfig
	if s.callbacks, err = lc.Listen(ctx, "tcp", orFree(o.CallbackListen)); err != nil {
		return fmt.Errorf("--callback-listen: %w", err)
	}
	opts, err := s.workerOptions(o)
	if err != nil {
		return err
	}
	if s.Worker, err = NewWorker(ctx, opts); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() { s.result <- s.Worker.Run(run) }()
	return s.ready(ctx)
}

func (s *Stack) workerOptions(o DevOptions) (Options, error) {
	token := filepath.Join(s.dir, "token")
	if err := os.WriteFile(token, []byte(devToken), 0o600); err != nil {
		return Options{}, fmt.Errorf("write token: %w", err)
	}
	w := DefaultOptions()
	w.NATS = natsconn.ConnOptions{URL: s.NATS.URL(), Name: "callbus dev worker"}
	if o.Prefix != "" {
		w.Streams.Prefix = o.Prefix
	}
	w.GraphURL, w.GraphTokenFile, w.Cloud = s.Sim.GraphURL(), token, graph.PublicCloud
	w.Tenants = []string{graphsim.DefaultTenantID}
	w.CallbackListener, w.CallbackURL = s.callbacks, "http://"+s.callbacks.Addr().String()
	w.CallbackOIDCURLs, w.CallbackIssuers, w.CallbackAudience = []string{s.Sim.OIDCURL()}, []string{s.Sim.Issuer()}, s.Sim.AppID()
	w.MetricsListen = orFree(o.MetricsListen)
	w.GracePeriod = 10 * time.Second
	w.WorkerName, w.Version = "dev", o.Version
	if o.Concurrency > 0 {
		w.Concurrency = o.Concurrency
	}
	if o.Logger != nil {
		w.Logger = o.Logger
	}
	return w, nil
}

// validate keeps on loopback what has no authentication, or a known token.
func (o DevOptions) validate() error {
	if o.Prefix != "" {
		if err := o.Prefix.Check(); err != nil {
			return fmt.Errorf("%w: --%w", ErrOptions, err)
		}
	}
	for _, a := range []struct{ flag, listen string }{
		{"nats-listen", o.NATSListen}, {"sim-listen", o.SimListen}, {"callback-listen", o.CallbackListen},
	} {
		host, _, err := net.SplitHostPort(orFree(a.listen))
		switch {
		case err != nil:
			return fmt.Errorf("%w: --%s %q: want host:port", ErrOptions, a.flag, a.listen)
		case !loopback(host):
			return fmt.Errorf("%w: --%s %q: the development stack listens on loopback only", ErrOptions, a.flag, a.listen)
		}
	}
	return nil
}

func orFree(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}

// ready waits until the worker would be put into rotation.
func (s *Stack) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for !s.Worker.health.Ready() {
		select {
		case err := <-s.result:
			s.result <- err
			return errors.Join(errors.New("the worker ended at once"), err)
		default:
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return errors.New("the worker is not ready after 15 s")
		}
	}
	return nil
}

// Wait blocks until ctx ends or the worker fails.
func (s *Stack) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.result:
		s.result <- err
		return err
	}
}

// Close stops the worker, then the rest, and removes what it made.
func (s *Stack) Close() error {
	var err error
	if s.stop != nil {
		s.stop()
		err = <-s.result
	}
	if s.callbacks != nil {
		_ = s.callbacks.Close() // a worker has done so
	}
	if s.Sim != nil {
		s.Sim.Close()
	}
	if s.NATS != nil {
		s.NATS.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
	return err
}

// Dev runs the stack until ctx ends, telling its addresses and then "ready".
func Dev(ctx context.Context, o DevOptions, out io.Writer) error {
	s, err := StartStack(ctx, o)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to stop while it started
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "nats       %s\ngraph      %s\nsimulator  %s/_sim/calls\ncallbacks  http://%s\nmetrics    http://%s/metrics\nready\n",
		s.NATS.URL(), s.Sim.GraphURL(), s.Sim.URL(), s.Worker.CallbackAddr(), s.Worker.MetricsAddr())
	err = s.Wait(ctx)
	return errors.Join(err, s.Close())
}
