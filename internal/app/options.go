package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"time"

	"callbus/internal/callbacks"
	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/natsconn"
	"callbus/internal/pacing"
	"callbus/internal/streams"
	"callbus/internal/traces"
)

// ErrOptions is wrapped by the error of settings that make no sense or are not
// safe.
var ErrOptions = errors.New("settings")

// Options are a worker's settings. DefaultOptions fills them; Validate says
// what is wrong with them.
type Options struct {
	Role        Role
	NATS        natsconn.ConnOptions
	Streams     streams.Options
	StreamsMode streams.Mode

	Cloud           graph.Cloud
	GraphURL        string // empty: the cloud's own
	GraphRoute      graph.Family
	GraphTimeout    time.Duration
	GraphTokenFile  string
	AzureCredential graph.CredentialKind
	Tenants         []string
	AllowPhone      []string

	CallbackURL    string
	CallbackListen string
	// CallbackListener, if not nil, is what to listen on instead of opening
	// CallbackListen, so that its address is known before there is a worker. It is
	// the worker's, who closes it, once NewWorker has succeeded.
	CallbackListener net.Listener
	CallbackOIDCURLs []string
	CallbackIssuers  []string
	CallbackAudience string
	CallbackTID      callbacks.RequireTID
	CallbackTLSCert  string // PEM file; empty: plain HTTP behind a proxy
	CallbackTLSKey   string
	// CallbackMaxConnections bounds the endpoint's open connections; 0 means
	// callbacks.DefaultMaxConnections.
	CallbackMaxConnections int
	IncomingRoute          map[string]string

	MetricsListen     string
	PprofListen       string // loopback only; empty: no profiles
	Concurrency       int
	QuotaRequests     string // QuotaLearned, QuotaOff or a rate as of pacing.ParseQuota; empty is QuotaLearned
	TTL               commands.TTL
	ReconcileWait     time.Duration
	OperationTimeout  time.Duration
	KeepAliveInterval time.Duration
	MaxCallDuration   time.Duration
	Budget            BudgetOptions
	GracePeriod       time.Duration
	DrainDelay        time.Duration

	// Traces makes spans; nil: off. Whoever made it closes it after Run.
	Traces     *traces.Traces
	WorkerName string
	Version    string
	Logger     *slog.Logger
}

// DefaultOptions is what a worker runs with; only Tenants and the callback's
// URL and audience have no default.
func DefaultOptions() Options {
	name, err := os.Hostname()
	if err != nil {
		name = "worker"
	}
	return Options{
		NATS: natsconn.ConnOptions{Name: "callbus worker"}, Streams: streams.DefaultOptions(), StreamsMode: streams.ModeCreate,
		Cloud: graph.PublicCloud, GraphRoute: graph.Communications, GraphTimeout: graph.DefaultTimeout, AzureCredential: graph.DefaultCredential,
		CallbackListen: ":8080", CallbackOIDCURLs: callbacks.DefaultOIDCURLs, CallbackIssuers: callbacks.DefaultIssuers, CallbackTID: callbacks.TIDAuto, CallbackMaxConnections: callbacks.DefaultMaxConnections,
		MetricsListen: ":9464", Concurrency: 64, QuotaRequests: QuotaLearned, TTL: commands.DefaultTTL,
		ReconcileWait: 90 * time.Second, OperationTimeout: 10 * time.Minute, KeepAliveInterval: 15 * time.Minute,
		MaxCallDuration: 4 * time.Hour, Budget: BudgetOptions{MaxLiveCalls: 100, MonthlyCalls: 10_000}, GracePeriod: 30 * time.Second,
		WorkerName: name, Version: "devel", Logger: slog.Default(),
	}
}

const (
	graphKeepAliveLimit    = 45 * time.Minute
	maxCallbackConnections = 100_000
)

// Validate reports everything that is wrong at once, naming the flags.
func (o *Options) Validate() error {
	wrong := o.problems()
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrOptions, joinLine(wrong))
}

// problems are what Validate reports, one by one.
func (o *Options) problems() []error {
	return slices.Concat(o.validateQueue(), o.validateGraph(), o.validateCallbacks(), o.Budget.validate())
}

// joinLine is errors.Join on one line.
func joinLine(all []error) error {
	joined := all[0]
	for _, err := range all[1:] {
		joined = fmt.Errorf("%w; %w", joined, err)
	}
	return joined
}

func (o *Options) validateQueue() []error {
	var wrong []error
	no := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if err := o.Role.check(); err != nil {
		wrong = append(wrong, err)
	}
	if err := o.Streams.Prefix.Check(); err != nil {
		no("--%w", err)
	}
	if o.Streams.Replicas < 1 || o.Streams.Replicas > 5 {
		no("--stream-replicas is %d: want 1 to 5", o.Streams.Replicas)
	}
	if o.Concurrency < 1 || o.Concurrency > 4096 {
		no("--concurrency is %d: want 1 to 4096", o.Concurrency)
	}
	positive := func(flag string, d time.Duration) {
		if d <= 0 {
			no("--%s is %s: want more than 0", flag, d)
		}
	}
	if err := checkPprof(o.PprofListen); err != nil {
		wrong = append(wrong, err)
	}
	positive("ack-wait", o.Streams.AckWait)
	positive("graph-timeout", o.GraphTimeout)
	positive("reconcile-wait", o.ReconcileWait)
	positive("operation-timeout", o.OperationTimeout)
	positive("keepalive-interval", o.KeepAliveInterval)
	positive("grace-period", o.GracePeriod)
	if o.Streams.AckWait < o.GraphTimeout+time.Second {
		no("--ack-wait is %s: want more than --graph-timeout (%s) by a second, or a request outlives its lease", o.Streams.AckWait, o.GraphTimeout)
	}
	if o.KeepAliveInterval >= graphKeepAliveLimit {
		no("--keepalive-interval is %s: want less than %s, after which Graph ends a call", o.KeepAliveInterval, graphKeepAliveLimit)
	}
	if o.MaxCallDuration < 0 {
		no("--max-call-duration is %s: want 0 (no limit) or more", o.MaxCallDuration)
	}
	ttl := func(flag string, d time.Duration) {
		if d <= 0 || d > commands.MaxTTL {
			no("--%s is %s: want more than 0 and at most %s", flag, d, commands.MaxTTL)
		}
	}
	ttl("default-ttl-place", o.TTL.Place)
	ttl("default-ttl", o.TTL.Other)
	if o.Streams.ResultsMaxAge <= commands.MaxTTL {
		no("--results-max-age is %s: want more than %s, the longest life of a command; the results are the ledger", o.Streams.ResultsMaxAge, commands.MaxTTL)
	}
	return wrong
}

func (o *Options) validateGraph() []error {
	var wrong []error
	if o.GraphTokenFile == "" && len(o.Tenants) == 0 {
		wrong = append(wrong, errors.New("--tenant is missing: name the tenants to be served, the default one first"))
	}
	if _, err := pacing.ParseQuota(o.QuotaRequests); err != nil && o.QuotaRequests != QuotaLearned && o.QuotaRequests != QuotaOff {
		wrong = append(wrong, fmt.Errorf("--quota-requests is %w, or %s, or %s", err, QuotaLearned, QuotaOff))
	}
	if o.GraphURL != "" {
		if err := checkURL(o.GraphURL); err != nil {
			wrong = append(wrong, fmt.Errorf("--graph-url %w", err))
		}
	}
	return wrong
}

func (o *Options) validateCallbacks() []error {
	var wrong []error
	if o.CallbackURL == "" {
		wrong = append(wrong, errors.New("--callback-url is missing: the public https base that Graph sends notifications to"))
	} else if err := checkURL(o.CallbackURL); err != nil {
		wrong = append(wrong, fmt.Errorf("--callback-url %w", err))
	}
	for _, u := range o.CallbackOIDCURLs {
		if err := checkURL(u); err != nil {
			wrong = append(wrong, fmt.Errorf("--callback-oidc-url %w", err))
		}
	}
	if (o.CallbackTLSCert == "") != (o.CallbackTLSKey == "") {
		wrong = append(wrong, errors.New("--callback-tls-cert and --callback-tls-key go together: give both, or none behind a proxy that ends TLS"))
	}
	if n := o.CallbackMaxConnections; n < 0 || n > maxCallbackConnections {
		wrong = append(wrong, fmt.Errorf("--callback-max-connections is %d: want 1 to %d", n, maxCallbackConnections))
	}
	if o.CallbackAudience == "" && o.Role.receives() {
		wrong = append(wrong, errors.New("--callback-audience is missing: the client id of the app, which AZURE_CLIENT_ID gives too"))
	}
	return wrong
}

// checkURL accepts https anywhere and plain http on loopback only.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%q is no URL: want https://host[:port][/path]", text)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%q is plain http: want https, http is for loopback only", text)
	}
	return fmt.Errorf("%q has scheme %q: want https", text, u.Scheme)
}
