package main

import (
	"time"

	"github.com/alecthomas/kong"
)

// cli is the whole command line. Every flag has an environment variable
// CALLBUS_<FLAG> unless its tag names another.
type cli struct {
	Version kong.VersionFlag `env:"-" help:"Print the version and exit."`

	Serve     serveFlags     `cmd:"" default:"withargs" help:"Run the worker (the default command)."`
	Dev       devFlags       `cmd:"" help:"Run embedded NATS, the simulated Graph and a worker on loopback, for development."`
	Demo      demoFlags      `cmd:"" help:"Run an NDJSON file of commands (a built-in sample by default) on the embedded stack; exit 0 only when every command ended as the file expects."`
	Provision provisionFlags `cmd:"" help:"Create or check streams, consumers and buckets and show differences."`
	Doctor    doctorFlags    `cmd:"" help:"Check everything that a worker with these settings needs around it, and say what to do; changes nothing."`
}

// natsFlags reach the server; the variables are the nats CLI's own.
type natsFlags struct {
	NATSURL      string        `name:"nats-url" env:"NATS_URL" default:"nats://127.0.0.1:4222" help:"NATS server, or several separated by commas."`
	NATSCreds    string        `name:"nats-creds" env:"NATS_CREDS" help:"Credentials file."`
	NATSNKey     string        `name:"nats-nkey" env:"NATS_NKEY" help:"NKey seed file."`
	NATSUser     string        `name:"nats-user" env:"NATS_USER" help:"User name (or token, without a password)."`
	NATSPassword string        `name:"nats-password" env:"NATS_PASSWORD" help:"Password."`
	NATSCA       string        `name:"nats-ca" env:"NATS_CA" help:"CA certificates to trust, PEM file."`
	NATSCert     string        `name:"nats-cert" env:"NATS_CERT" help:"Client certificate, PEM file."`
	NATSKey      string        `name:"nats-key" env:"NATS_KEY" help:"Key of the client certificate, PEM file."`
	NATSWait     time.Duration `name:"nats-wait" env:"NATS_WAIT" default:"0s" help:"How long a NATS server that is not reachable at the start is tried again; 0: not at all."`
	Prefix       string        `default:"calls" help:"First token of every subject; also names streams and buckets."`
}

// streamFlags shape what is created in JetStream.
type streamFlags struct {
	Streams          string        `enum:"create,verify,reconcile" default:"create" help:"create: make what is missing, refuse on a difference; verify: refuse when anything is missing or differs; reconcile: update what differs."`
	StreamReplicas   int           `default:"1" help:"Replicas of streams and buckets (3 in production)."`
	CommandsMaxBytes int64         `default:"1073741824" help:"Size limit of the command queue in bytes; a full queue refuses producers."`
	ResultsMaxBytes  int64         `default:"-1" help:"Size limit of the results in bytes; a full stream stops sending. -1: none."`
	ResultsMaxAge    time.Duration `default:"168h" help:"How long results, the ledger, are kept."`
	EventsMaxAge     time.Duration `default:"168h" help:"How long events are kept."`
	DeadMaxAge       time.Duration `default:"720h" help:"How long dead letters are kept."`
}

// logFlags are the same for all commands.
type logFlags struct {
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat string `enum:"json,text" default:"json" help:"json or text."`
}

// graphFlags reach Microsoft Graph.
type graphFlags struct {
	Cloud           string        `enum:"public,usgov,usgovdod" default:"public" help:"National cloud: public, usgov or usgovdod."`
	GraphURL        string        `help:"Graph's base URL with version; the cloud's own by default. Plain http only to loopback."`
	GraphRoute      string        `enum:"communications,app" default:"communications" help:"Route family: communications or app."`
	GraphTimeout    time.Duration `default:"10s" help:"Longest time one request may take."`
	GraphTokenFile  string        `help:"File with a fixed bearer token instead of Azure credentials; only with a loopback Graph."`
	AzureCredential string        `enum:"default,environment,workload,managed,cli,chain" default:"default" help:"Where tokens come from: default, environment, workload, managed, cli or chain (the ones without a secret); reads AZURE_*."`
	Tenant          []string      `sep:"," help:"Tenant served (repeatable, the first is the default)."`
	AllowPhone      []string      `sep:"," help:"Prefix of phone numbers that may be dialled, e.g. +49 (repeatable; all by default)."`
}

// callbackFlags receive Graph's notifications.
type callbackFlags struct {
	CallbackURL            string            `help:"Public https base of the notification endpoint, may carry a path; what Graph is told to call."`
	CallbackListen         string            `default:":8080" help:"Address the notification endpoint listens on."`
	CallbackOIDCURL        []string          `name:"callback-oidc-url" sep:"," help:"OpenID configuration whose keys sign notifications (repeatable; Microsoft's two by default)."`
	CallbackIssuer         []string          `sep:"," help:"Accepted issuer (repeatable; Microsoft's two by default)."`
	CallbackAudience       string            `help:"Audience of notifications, the app's client id (AZURE_CLIENT_ID by default)."`
	CallbackTLSCert        string            `name:"callback-tls-cert" help:"Certificate of the notification endpoint with its intermediates, PEM file, read again when it changes; plain http behind a proxy by default."`
	CallbackTLSKey         string            `name:"callback-tls-key" help:"Key of that certificate, PEM file."`
	CallbackMaxConnections int               `default:"1024" help:"Open connections of the notification endpoint; for one more the longest idle one is closed."`
	CallbackRequireTID     string            `name:"callback-require-tid" enum:"auto,always,never" default:"auto" help:"Whether a notification's token must name its tenant: auto (on per-call URLs), always or never."`
	IncomingRoute          map[string]string `help:"Producer that gets incoming calls of a tenant or instance, TENANT=PRODUCER (repeatable with ;)."`
}

// budgetFlags are how many calls may be placed.
type budgetFlags struct {
	MaxLiveCalls     int           `default:"100" help:"Calls placed that may live at once, on all workers together. 0: no limit."`
	BudgetScope      string        `enum:"app,tenant" default:"app" help:"Whether the limits of live and monthly calls are the app's, or each tenant has its own: app or tenant."`
	MonthlyCalls     int           `default:"10000" help:"Calls placed in a month; an operator is warned at 80 and 95 %. 0: no limit."`
	MonthlyCallsHard bool          `help:"Place no more than --monthly-calls; without it only Graph's refusal (8529) holds places back."`
	MonthlyReset     string        `default:"1" help:"When the month begins: a day from 1 to 31, with a time in UTC if it is not midnight, such as 15T08:30."`
	MonthlyProbe     time.Duration `hidden:"" default:"1h" help:"How often one place asks Graph whether the month's calls are used up."`
}

// serveFlags run the worker.
type serveFlags struct {
	natsFlags     `embed:""`
	streamFlags   `embed:""`
	graphFlags    `embed:""`
	callbackFlags `embed:""`
	logFlags      `embed:""`

	Role              string        `enum:"all,worker,receiver" default:"all" help:"all; worker: everything but receive notifications; receiver: notifications only, which needs no Azure credential."`
	MetricsListen     string        `default:":9464" help:"Address of /metrics, /healthz and /readyz."`
	PprofListen       string        `help:"Address of /debug/pprof, loopback only; none by default."`
	Concurrency       int           `default:"64" help:"Commands in work at once, for each of the lanes control and place; urgent has as many of its own."`
	QuotaRequests     string        `default:"learn" help:"Request rate for each tenant that all workers together keep to, such as 50/1s. learn: found out from Graph's 429s. off: nothing but a 429 holds."`
	DefaultTTLPlace   time.Duration `name:"default-ttl-place" default:"10m" help:"expiresAt of a place command that has none, from publishing."`
	DefaultTTL        time.Duration `name:"default-ttl" default:"24h" help:"expiresAt of every other command that has none, from publishing."`
	AckWait           time.Duration `default:"15s" help:"Lease of a fetched command; a dead worker's commands are with another one after it."`
	ReconcileWait     time.Duration `default:"90s" help:"How long a request whose answer was lost is waited for before its outcome is unknown; not less than the ring time."`
	OperationTimeout  time.Duration `default:"10m" help:"How long an accepted operation is waited for before the call is read."`
	KeepaliveInterval time.Duration `default:"15m" help:"How often each established call is kept alive (Graph ends calls after 45 minutes without)."`
	MaxCallDuration   time.Duration `default:"4h" help:"Longest life of a call; it is hung up then. 0: no limit."`
	budgetFlags       `embed:""`
	GracePeriod       time.Duration `default:"30s" help:"Longest time a stop may take after SIGTERM."`
	DrainDelay        time.Duration `default:"0s" help:"How long notifications are still answered after SIGTERM, until the endpoint is out of rotation."`
	WorkerName        string        `help:"Name in results and logs; the host name by default."`
}

// devFlags run the embedded stack.
type devFlags struct {
	logFlags `embed:""`

	NATSListen     string `name:"nats-listen" default:"127.0.0.1:4222" help:"Address of the embedded NATS server, loopback only."`
	SimListen      string `default:"127.0.0.1:8090" help:"Address of the simulated Graph, loopback only."`
	CallbackListen string `default:"127.0.0.1:8080" help:"Address of the notification endpoint, loopback only."`
	MetricsListen  string `default:"127.0.0.1:9464" help:"Address of /metrics, /healthz and /readyz."`
	DataDir        string `help:"Where JetStream keeps its files; a directory removed at the end by default."`
	Faults         string `type:"existingfile" help:"Faults of the simulated Graph, JSON."`
	Prefix         string `default:"calls" help:"First token of every subject."`
	Concurrency    int    `default:"64" help:"Commands in work at once, for each lane."`
}

// demoFlags run a script on the embedded stack.
type demoFlags struct {
	File          string        `arg:"" optional:"" type:"path" help:"NDJSON file of commands, - for standard input; the built-in sample by default."`
	Faults        string        `type:"existingfile" help:"Faults of the simulated Graph, JSON."`
	Timeout       time.Duration `default:"2m" help:"Longest time all commands may take."`
	Output        string        `short:"o" enum:"table,json" default:"table" help:"table or json."`
	Print         bool          `help:"Print the built-in sample and exit."`
	logFlagsQuiet `embed:""`
}

// logFlagsQuiet are logFlags for a command whose output is for people.
type logFlagsQuiet struct {
	LogLevel  string `enum:"debug,info,warn,error" default:"error" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat string `enum:"json,text" default:"text" help:"json or text."`
}

// provisionFlags create or check what is in JetStream.
type provisionFlags struct {
	natsFlags   `embed:""`
	streamFlags `embed:""`
	logFlags    `embed:""`

	AckWait time.Duration `default:"15s" help:"Lease of a fetched command, part of the consumers."`
	DryRun  bool          `help:"Show what would be done and change nothing."`
	// RebuildRegistry is for a registry that was lost or is not believed.
	RebuildRegistry bool `help:"Then make the registry of calls anew from results and events; workers may be running."`
}
