package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"callbus/internal/callbacks"
	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/executor"
	"callbus/internal/graph"
	"callbus/internal/ledger"
	"callbus/internal/metrics"
	"callbus/internal/natsconn"
	"callbus/internal/pacing"
	"callbus/internal/queue"
	"callbus/internal/streams"
	"callbus/internal/timers"
)

// Slots of the worker's own consumers.
const (
	foldSlots  = 64
	timerSlots = 32
)

// sweepEvery is how often the registry is swept for calls that nothing looks
// after. The first sweep comes with the start.
const sweepEvery = 10 * time.Minute

// Worker is one running worker. Make it with NewWorker, which connects and
// provisions, then call Run.
type Worker struct {
	opts Options
	log  *slog.Logger

	nc      *nats.Conn
	js      jetstream.JetStream
	reg     *prometheus.Registry
	metrics *metrics.Metrics
	health  *metrics.Health

	graph     *graph.Client
	journal   *ledger.Journal
	queue     *queue.Queue
	gates     *pacing.Gates
	breaker   *pacing.Breaker
	pacer     *pacing.Pacer
	admission *pacing.Admission
	pauses    *pacing.Pauses
	budget    *pacing.Budget
	timers    *timers.Timers
	calls     *calls.Calls
	executor  *executor.Executor
	auth      *callbacks.Auth
	receiver  *callbacks.Receiver
	callbacks *callbacks.Server

	stopping         atomic.Bool
	metricsListener  net.Listener
	pprofListener    net.Listener // nil: no profiles
	callbackListener net.Listener
}

// NewWorker checks the settings, connects to NATS, makes or checks the streams,
// loads the keys of notifications and opens both listeners. It blocks for all
// that; every error is one line for the operator.
func NewWorker(ctx context.Context, o Options) (*Worker, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	w := &Worker{opts: o, log: o.Logger.With("worker", o.WorkerName)}
	w.warn()
	w.reg = metrics.NewRegistry()
	w.metrics = metrics.New(w.reg, metrics.Options{Tenants: o.Tenants, Version: o.Version})
	w.health = metrics.NewHealth(o.Role.healthChecks()...)
	for _, open := range []func(context.Context) error{w.openGraph, w.openNATS, w.openRooms, w.listen} {
		if err := open(ctx); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

// warn says once what an operator should know about the settings.
func (w *Worker) warn() {
	for _, text := range w.opts.warnings() {
		w.log.Warn(text)
	}
}

// warnings are what an operator should know about settings that will do.
func (o *Options) warnings() (all []string) {
	if !o.Role.works() {
		return nil
	}
	if len(o.AllowPhone) == 0 {
		all = append(all, "every phone number may be dialled; --allow-phone narrows that")
	}
	if len(o.Tenants) == 0 {
		all = append(all, "no --tenant is set; every tenant is accepted")
	}
	return all
}

func (w *Worker) openGraph(context.Context) error {
	if !w.opts.Role.works() {
		return nil
	}
	g, err := w.opts.graphOptions()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	g.Logger, g.OnRequest, g.OnToken = w.log, w.requested, w.metrics.TokenFetched
	if w.graph, err = graph.New(g); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return nil
}

// graphOptions is how Graph's client is made, without those who are told of what
// it does.
func (o *Options) graphOptions() (graph.Options, error) {
	g := graph.Options{
		Cloud: o.Cloud, BaseURL: o.GraphURL, Route: o.GraphRoute, DefaultTenant: first(o.Tenants), Timeout: o.GraphTimeout,
		UserAgent: "callbus/" + o.Version,
	}
	if o.GraphTokenFile != "" {
		g.TokenFile = o.GraphTokenFile
		return g, nil
	}
	c := credentialOptions(*o)
	if _, err := graph.NewCredential(c); err != nil {
		return g, fmt.Errorf("--azure-credential=%s: %w", o.AzureCredential, err)
	}
	g.NewCredential = graph.CredentialFactory(c)
	return g, nil
}

func (w *Worker) openNATS(ctx context.Context) error {
	o := w.opts.NATS
	o.Logger = w.log
	var err error
	if w.nc, err = natsconn.ConnectContext(ctx, o); err != nil {
		return err
	}
	if w.js, err = jetstream.New(w.nc); err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	w.js = streams.Told(w.js, w.opts.Streams.Prefix, w.log, func(stream string, why streams.Refusal) { w.metrics.StoreRefused(stream, string(why)) })
	plan, err := streams.Provision(ctx, w.js, w.opts.Streams, w.opts.StreamsMode, false, streams.Waiting(func(why error) {
		w.log.Warn("waiting for JetStream", "for", streams.LeaderWait, "err", why)
	}))
	if err != nil {
		return err
	}
	if len(plan.Created)+len(plan.Updated) > 0 {
		w.log.Info("streams provisioned", "created", plan.Created, "updated", plan.Updated)
	}
	w.health.Set("nats", nil)
	w.health.Set("streams", nil)
	return nil
}

func (w *Worker) openRooms(ctx context.Context) error {
	o, prefix := w.opts, w.opts.Streams.Prefix
	if !o.Role.works() {
		return w.openReceiver(ctx)
	}
	var err error
	if w.journal, err = ledger.New(ctx, w.js, prefix, w.recorded); err != nil {
		return err
	}
	if w.queue, err = queue.New(ctx, w.js, prefix, o.Streams.AckWait, w.log); err != nil {
		return err
	}
	if w.gates, err = pacing.New(ctx, w.js, prefix, w.metrics, w.log); err != nil {
		return err
	}
	if err = w.openBudget(ctx); err != nil {
		return err
	}
	w.openPacing()
	w.timers = timers.New(w.js, prefix, w.log)
	w.timers.Stalled = w.metrics.ConsumerStalled
	stopping := w.stopping.Load
	w.calls = calls.New(calls.Deps{
		Registry: calls.NewRegistry(w.js, prefix), Events: calls.NewEvents(w.js, prefix), Journal: w.journal, Timers: w.timers,
		Graph: executor.Line(w.graph, w.admission, stopping), Hint: w.queue.Hint, Over: w.budget.Slots.Ended, Observer: w.metrics, Stalled: w.metrics.ConsumerStalled, Logger: w.log,
	}, calls.Options{KeepAliveInterval: o.KeepAliveInterval, OperationTimeout: o.OperationTimeout, MaxCallDuration: o.MaxCallDuration})
	base := strings.TrimRight(o.CallbackURL, "/")
	w.executor = executor.New(executor.Deps{
		Graph: w.graph, Queue: w.queue, Journal: w.journal, Calls: w.calls, Gates: w.gates, Admission: w.admission, Down: w.breaker.Open, Observer: w.metrics, Traces: o.Traces, Logger: w.log,
	}, executor.Options{
		Prefix: prefix, Worker: o.WorkerName, Tenants: o.Tenants, AllowPhone: o.AllowPhone, TTL: o.TTL,
		AckWait: o.Streams.AckWait, GraphTimeout: o.GraphTimeout, ReconcileWait: o.ReconcileWait, Stopping: stopping,
		LiveBudget: o.Budget.MaxLiveCalls > 0, MonthLook: o.Budget.probe(),
		CallbackURI: func(place commands.Key, attempt int) string { return base + callbacks.CallPath(place, attempt) },
	})
	if !o.Role.receives() {
		return nil
	}
	return w.openReceiver(ctx)
}

// Run works until ctx ends, then stops cleanly: not ready, nothing new is
// fetched or sent, what is in flight is finished and recorded within the grace
// period, what is unstarted is handed back, and notifications are answered for
// the drain delay. It returns nil after a clean stop.
func (w *Worker) Run(ctx context.Context) error {
	take, stopTaking := context.WithCancel(context.WithoutCancel(ctx))
	work, stopWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopTaking()
	defer stopWork(nil)

	var failed sync.Once
	failure := make(chan error, 1)
	fail := func(err error) {
		if err != nil {
			failed.Do(func() { failure <- err })
		}
	}
	var servers, parts sync.WaitGroup
	stopServers := w.serve(&servers, fail)
	for _, run := range w.parts(take, work) {
		parts.Go(func() { fail(run()) })
	}
	w.log.Info("worker started", "version", w.opts.Version, "role", cmp.Or(w.opts.Role, RoleAll), "callbacks", w.CallbackAddr(), "metrics", w.MetricsAddr())

	var err error
	select {
	case <-ctx.Done():
	case err = <-failure:
	}
	w.health.Stopping()
	w.stopping.Store(true)
	drained := time.Now().Add(w.opts.DrainDelay)
	stopTaking()
	w.log.Info("stopping")
	err = errors.Join(err, w.drain(&parts, stopWork))
	if wait := time.Until(drained); wait > 0 {
		time.Sleep(wait)
	}
	stopServers()
	servers.Wait()
	w.close()
	w.log.Info("stopped")
	return err
}

// parts are the loops of the worker; a receiver has hardly any. Each returns when take has ended and its
// work is done.
func (w *Worker) parts(take, work context.Context) []func() error {
	if !w.opts.Role.works() {
		return []func() error{func() error { return w.watchHealth(take) }}
	}
	parts := []func() error{
		func() error { w.calls.Run(take, work, foldSlots); return nil },
		func() error { w.timers.Run(take, work, timerSlots, w.calls.Fire); return nil },
		func() error { w.calls.KeepSwept(take, sweepEvery); return nil },
		func() error { return w.gates.Run(take) },
		func() error { return w.breaker.Run(take) },
		func() error { return w.admission.Run(take, w.queue.Wake) },
		func() error { return w.pauses.Run(take) },
		func() error { return w.keepBudget(take) },
		func() error { return w.watchBacklog(take) },
		func() error { return w.watchStreams(take) },
		func() error { return w.watchCalls(take) },
		func() error { return w.checkToken(take) },
		func() error { return w.watchHealth(take) },
	}
	if w.pacer != nil {
		parts = append(parts, func() error { return w.pacer.Run(take) })
	}
	for _, lane := range commands.Lanes {
		l := queue.Lane{
			Name: lane, Slots: w.opts.Concurrency,
			Held:    w.held(lane),
			Busy:    func(delta int) { w.metrics.InFlight(string(lane), delta) },
			Stalled: func(error) { w.metrics.FetchFailed(string(lane)) },
		}
		parts = append(parts, func() error { return w.queue.Run(take, work, l, w.executor.Handle) })
	}
	return parts
}

var errGrace = errors.New("the grace period has ended")

// drain waits for what is in flight, at most the grace period; then requests
// are cut, and their fate is in the ledger.
func (w *Worker) drain(parts *sync.WaitGroup, stopWork context.CancelCauseFunc) error {
	done := make(chan struct{})
	go func() { parts.Wait(); close(done) }()
	grace := time.NewTimer(w.opts.GracePeriod)
	defer grace.Stop()
	select {
	case <-done:
		return nil
	case <-grace.C:
	}
	stopWork(errGrace)
	<-done
	return errGrace
}

func (w *Worker) close() {
	if w.auth != nil {
		w.auth.Close()
	}
	if w.budget != nil {
		w.budget.Close()
	}
	if w.queue != nil {
		w.queue.Close()
	}
	for _, l := range []net.Listener{w.metricsListener, w.pprofListener, w.callbackListener} {
		if l != nil {
			_ = l.Close()
		}
	}
	if w.nc != nil {
		_ = w.nc.FlushTimeout(time.Second)
		w.nc.Close()
	}
	if w.graph != nil {
		w.graph.Close()
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
