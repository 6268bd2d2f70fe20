package main

import (
	"time"

	"github.com/alecthomas/kong"
)

// cli is the whole command line. Every flag has an environment variable
// CALLBUS_<FLAG> unless its tag names another.
type cli struct {
	globals
	Version kong.VersionFlag `env:"-" help:"Print the version and exit."`

	Place                      placeCmd    `cmd:"" group:"actions" help:"Place a call: to people and phones, or into a meeting."`
	Hangup                     hangupCmd   `cmd:"" group:"actions" help:"Hang up a call, or keep it from being placed; --all of them is the emergency stop."`
	GetCall                    bareCmd     `cmd:"" name:"getCall" aliases:"get-call" group:"actions" help:"Read a call from Graph."`
	ListParticipants           listCmd     `cmd:"" name:"listParticipants" aliases:"list-participants" group:"actions" help:"Read the participants of a call."`
	ListContentSharingSessions bareCmd     `cmd:"" name:"listContentSharingSessions" aliases:"list-content-sharing-sessions" group:"actions" help:"Read the content sharing sessions of a call."`
	GetContentSharingSession   sessionCmd  `cmd:"" name:"getContentSharingSession" aliases:"get-content-sharing-session" group:"actions" help:"Read one content sharing session of a call."`
	Mute                       bareCmd     `cmd:"" group:"actions" help:"Mute the application in a group call."`
	Unmute                     bareCmd     `cmd:"" group:"actions" help:"Unmute the application in a group call."`
	PlayPrompt                 promptCmd   `cmd:"" name:"playPrompt" aliases:"play-prompt" group:"actions" help:"Play sound files into a call."`
	CancelMediaProcessing      bareCmd     `cmd:"" name:"cancelMediaProcessing" aliases:"cancel-media-processing" group:"actions" help:"Stop the prompts that play and those that wait."`
	Transfer                   transferCmd `cmd:"" group:"actions" help:"Transfer a call to someone else."`
	Redirect                   redirectCmd `cmd:"" group:"actions" help:"Redirect an incoming call before it is answered."`
	KeepAlive                  bareCmd     `cmd:"" name:"keepAlive" aliases:"keep-alive" group:"actions" help:"Keep a call alive (workers also do this by themselves)."`

	Send  sendCmd  `cmd:"" help:"Publish the commands of an NDJSON file, or of standard input."`
	Watch watchCmd `cmd:"" help:"Show results and events as they come."`

	Calls   callsCmd   `cmd:"" help:"Show the calls that live."`
	History historyCmd `cmd:"" help:"Show all about one call in order of time."`
	Dead    deadCmd    `cmd:"" help:"Work on dead letters: list, show, replay and drop them."`

	Budget budgetCmd `cmd:"" help:"Show what is used of the budgets of calls, which gates are shut, what is paused."`
	Pause  pauseCmd  `cmd:"" help:"Hold places back, or all but hang-ups and keep-alives, on all workers."`
	Resume resumeCmd `cmd:"" help:"Take a pause back."`

	Explain explainCmd `cmd:"" help:"Say what a code of a result or event means; asks no server."`
}

// globals may stand anywhere on the command line. The variables that begin
// with NATS_ are the nats command line tool's own.
type globals struct {
	NATSURL         string `name:"nats-url" env:"NATS_URL" default:"nats://127.0.0.1:4222" group:"nats" help:"NATS server, or several separated by commas."`
	NATSCreds       string `name:"nats-creds" env:"NATS_CREDS" group:"nats" placeholder:"FILE" help:"Credentials file."`
	NATSNKey        string `name:"nats-nkey" env:"NATS_NKEY" group:"nats" placeholder:"FILE" help:"NKey seed file."`
	NATSUser        string `name:"nats-user" env:"NATS_USER" group:"nats" help:"User name (or token, without a password)."`
	NATSPassword    string `name:"nats-password" env:"NATS_PASSWORD" group:"nats" help:"Password."`
	NATSCA          string `name:"nats-ca" env:"NATS_CA" group:"nats" placeholder:"FILE" help:"CA certificates to trust, PEM file."`
	NATSCert        string `name:"nats-cert" env:"NATS_CERT" group:"nats" placeholder:"FILE" help:"Client certificate, PEM file."`
	NATSKey         string `name:"nats-key" env:"NATS_KEY" group:"nats" placeholder:"FILE" help:"Key of the client certificate, PEM file."`
	NATSInboxPrefix string `name:"nats-inbox-prefix" env:"NATS_INBOX_PREFIX" group:"nats" help:"Subjects that answers come back on; _INBOX_<producer> by default."`

	Prefix   string `default:"calls" help:"First token of every subject."`
	Producer string `default:"cli" help:"Name of the producer whose calls are commanded."`
	Output   string `short:"o" enum:"table,json" default:"table" help:"table or json (one object a line)."`
}

var flagGroups = []kong.Group{
	{Key: "actions", Title: "Actions, each publishes one command:"},
	{Key: "nats", Title: "Connection:"},
	{Key: "command", Title: "Command:"},
	{Key: "wait", Title: "Outcome:"},
	{Key: "stop", Title: "Emergency stop:"},
}

// commandFlags are the members every command may have, and what is done after
// it is stored.
type commandFlags struct {
	CallRef string `arg:"" optional:"" name:"callref" help:"Your name for the call."`

	Parameters string            `group:"command" placeholder:"JSON|@FILE|-" help:"Graph's request body: JSON, a file, or - for standard input."`
	ID         string            `name:"id" group:"command" help:"Id of the command; a new ULID by default. The same id is never executed twice."`
	Tenant     string            `group:"command" help:"Tenant of the call."`
	CallID     string            `name:"call-id" group:"command" help:"Bind CALLREF to this Graph call, which was not placed here."`
	KeepAlive  bool              `name:"keep-alive" group:"command" help:"Keep the call of --call-id alive."`
	NotBefore  moment            `group:"command" placeholder:"TIME" help:"Do not send before: RFC 3339, or a duration from now."`
	ExpiresAt  moment            `group:"command" placeholder:"TIME" xor:"expiry" help:"Do not send after: RFC 3339, or a duration from now."`
	TTL        time.Duration     `name:"ttl" group:"command" xor:"expiry" help:"The same as a duration from now."`
	WaitMode   string            `group:"command" enum:",ready,none,turn" default:"" help:"What the command waits for: ready (the call is ready for it), none (send at once), turn (every earlier command has ended)."`
	OnUnknown  string            `group:"command" enum:",fail,retry" default:"" help:"What becomes of it if nobody can know whether it was done: fail, or retry (may dial or play twice)."`
	ReplyTo    string            `group:"command" placeholder:"SUBJECT" help:"Subject that gets a copy of each result."`
	Metadata   map[string]string `group:"command" mapsep:"none" placeholder:"KEY=VALUE" help:"Comes back in every result (repeatable)."`
	NoCheck    bool              `group:"command" help:"Publish without looking whether the command is right."`

	Wait    waitFlag      `group:"wait" help:"Wait until the command has ended; with --wait=accepted, until Graph has taken it."`
	Timeout time.Duration `group:"wait" default:"2m" help:"Longest wait of --wait."`
}
