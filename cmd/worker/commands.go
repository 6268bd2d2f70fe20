package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"callbus/internal/app"
	"callbus/internal/callbacks"
	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
	"callbus/internal/streams"
	"callbus/internal/traces"
)

// session is what a command runs with.
type session struct {
	stdio
	ctx     context.Context
	running string // whose flags were added to ours, for people
}

// tracesWait is how long the last spans may take to leave when the worker stops.
const tracesWait = 3 * time.Second

// Run runs the worker until the program is told to stop.
func (f *serveFlags) Run(s *session) error {
	o := f.options(f.logger(s.err))
	spans, err := traces.FromEnv(s.ctx, os.Getenv, "callbus-worker", programVersion())
	if err != nil {
		return fmt.Errorf("%w (%w)", err, errUsage)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), tracesWait)
		defer cancel()
		if err := spans.Close(ctx); err != nil {
			o.Logger.Warn("traces are lost", "err", err)
		}
	}()
	o.Traces = spans
	w, err := app.NewWorker(s.ctx, o)
	switch {
	case err != nil && s.ctx.Err() != nil:
		return nil // told to stop while it started
	case err != nil:
		return err
	}
	return w.Run(s.ctx)
}

// Run runs the development stack until the program is told to stop.
func (f *devFlags) Run(s *session) error {
	faults, err := readFaults(f.Faults)
	if err != nil {
		return err
	}
	return app.Dev(s.ctx, app.DevOptions{
		NATSListen: f.NATSListen, SimListen: f.SimListen, CallbackListen: f.CallbackListen, MetricsListen: f.MetricsListen,
		DataDir: f.DataDir, Faults: faults, Prefix: commands.Prefix(f.Prefix), Concurrency: f.Concurrency,
		Version: programVersion(), Logger: f.logger(s.err),
	}, s.out)
}

// Run runs a script on the development stack.
func (f *demoFlags) Run(s *session) error {
	if f.Print {
		_, err := s.out.Write(app.Sample)
		return err
	}
	faults, err := readFaults(f.Faults)
	if err != nil {
		return err
	}
	script, err := f.script(s.in)
	if err != nil {
		return err
	}
	return app.Demo(s.ctx, app.DemoOptions{
		Dev:    app.DevOptions{Faults: faults, Version: programVersion(), Logger: newLogger(s.err, f.LogLevel, f.LogFormat)},
		Script: script, Timeout: f.Timeout, JSON: f.Output == "json",
	}, s.out)
}

func (f *demoFlags) script(stdin io.Reader) (io.Reader, error) {
	switch f.File {
	case "":
		return nil, nil
	case "-":
		return stdin, nil
	}
	body, err := os.ReadFile(f.File)
	if err != nil {
		return nil, fmt.Errorf("read script: %w (%w)", err, errUsage)
	}
	return bytes.NewReader(body), nil
}

// Run creates or checks streams, consumers and buckets.
func (f *provisionFlags) Run(s *session) error {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	o := f.streamFlags.options(f.Prefix)
	o.AckWait = f.AckWait
	if err := app.Provision(ctx, f.natsFlags.options(), o, streams.Mode(f.Streams), f.DryRun, s.out); err != nil || !f.RebuildRegistry {
		return err
	}
	// How long that takes depends on what a week has left behind.
	return app.RebuildRegistry(s.ctx, f.natsFlags.options(), o.Prefix, f.DryRun, s.out)
}

func readFaults(file string) ([]graphsim.Fault, error) {
	if file == "" {
		return nil, nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read faults: %w (%w)", err, errUsage)
	}
	faults, err := graphsim.ParseFaults(body)
	if err != nil {
		return nil, fmt.Errorf("--faults %s: %w (%w)", file, err, errUsage)
	}
	return faults, nil
}

func (f *logFlags) logger(w io.Writer) *slog.Logger { return newLogger(w, f.LogLevel, f.LogFormat) }

func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		panic(err) // kong allows only the four
	}
	o := &slog.HandlerOptions{Level: l}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func (f *natsFlags) options() natsconn.ConnOptions {
	return natsconn.ConnOptions{
		URL: f.NATSURL, Creds: f.NATSCreds, NKey: f.NATSNKey, User: f.NATSUser, Password: f.NATSPassword,
		CA: f.NATSCA, Cert: f.NATSCert, Key: f.NATSKey, Name: "callbus worker", Wait: f.NATSWait,
	}
}

func (f *streamFlags) options(prefix string) streams.Options {
	o := streams.DefaultOptions()
	o.Prefix = commands.Prefix(prefix)
	o.Replicas, o.CommandsMaxBytes, o.ResultsMaxBytes = f.StreamReplicas, f.CommandsMaxBytes, f.ResultsMaxBytes
	o.ResultsMaxAge, o.EventsMaxAge, o.DeadMaxAge = f.ResultsMaxAge, f.EventsMaxAge, f.DeadMaxAge
	return o
}

func (f *serveFlags) options(log *slog.Logger) app.Options {
	o := app.DefaultOptions()
	o.Role = app.Role(f.Role)
	o.NATS = f.natsFlags.options()
	o.Streams = f.streamFlags.options(f.Prefix)
	o.Streams.AckWait = f.AckWait
	o.StreamsMode = streams.Mode(f.Streams)
	o.Cloud, o.GraphURL, o.GraphRoute, o.GraphTimeout = graph.Cloud(f.Cloud), f.GraphURL, graph.Family(f.GraphRoute), f.GraphTimeout
	o.GraphTokenFile, o.AzureCredential = f.GraphTokenFile, graph.CredentialKind(f.AzureCredential)
	o.Tenants, o.AllowPhone = orEnv(f.Tenant, "AZURE_TENANT_ID"), f.AllowPhone
	o.CallbackURL, o.CallbackListen, o.CallbackTID = f.CallbackURL, f.CallbackListen, callbacks.RequireTID(f.CallbackRequireTID)
	o.CallbackTLSCert, o.CallbackTLSKey, o.CallbackMaxConnections = f.CallbackTLSCert, f.CallbackTLSKey, f.CallbackMaxConnections
	if len(f.CallbackOIDCURL) > 0 {
		o.CallbackOIDCURLs = f.CallbackOIDCURL
	}
	if len(f.CallbackIssuer) > 0 {
		o.CallbackIssuers = f.CallbackIssuer
	}
	o.CallbackAudience = f.CallbackAudience
	if o.CallbackAudience == "" {
		o.CallbackAudience = os.Getenv("AZURE_CLIENT_ID")
	}
	o.IncomingRoute = f.IncomingRoute
	o.MetricsListen, o.PprofListen, o.Concurrency, o.QuotaRequests = f.MetricsListen, f.PprofListen, f.Concurrency, f.QuotaRequests
	o.Budget = app.BudgetOptions{
		MaxLiveCalls: f.MaxLiveCalls, MonthlyCalls: f.MonthlyCalls, MonthlyHard: f.MonthlyCallsHard,
		MonthlyReset: f.MonthlyReset, PerTenant: f.BudgetScope == "tenant", MonthlyProbe: f.MonthlyProbe,
	}
	o.TTL = commands.TTL{Place: f.DefaultTTLPlace, Other: f.DefaultTTL}
	o.ReconcileWait, o.OperationTimeout, o.KeepAliveInterval = f.ReconcileWait, f.OperationTimeout, f.KeepaliveInterval
	o.MaxCallDuration, o.GracePeriod, o.DrainDelay = f.MaxCallDuration, f.GracePeriod, f.DrainDelay
	if f.WorkerName != "" {
		o.WorkerName = f.WorkerName
	}
	o.Version, o.Logger = programVersion(), log
	return o
}

// orEnv is a list from flags, else one value from azidentity's own variable.
func orEnv(list []string, variable string) []string {
	if v := os.Getenv(variable); len(list) == 0 && v != "" {
		return []string{v}
	}
	return list
}
