package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"callbus/internal/graphsim"
)

// cli is the command line. Every flag has an environment variable CALLBUS_SIM_<FLAG>.
type cli struct {
	Listen    string `default:"127.0.0.1:8070" help:"Address of Graph, the control API (/_sim) and the notification keys (/oidc)."`
	TLSListen string `name:"tls-listen" placeholder:"ADDRESS" help:"Address of the token endpoint, over TLS; none by default."`
	CAOut     string `name:"ca-out" placeholder:"FILE" help:"Write the certificate authority of --tls-listen here, PEM."`

	Token             string   `help:"Accept this bearer token, besides those issued; it fits every tenant."`
	AppID             string   `name:"app-id" help:"The only app that gets tokens. Any does by default, and ${app} stands for the app behind --token."`
	ClientSecret      string   `help:"The only client secret accepted; any is by default."`
	ClientCertificate string   `placeholder:"FILE" help:"PEM file with the only client certificate whose assertions are accepted."`
	Tenant            string   `default:"${tenant}" help:"Tenant of calls with --token that name none."`
	Role              []string `help:"Application permission in issued tokens (repeatable); all that calls need by default."`
	TokenAudience     string   `help:"Audience of issued tokens; the resource asked for by default."`
	Issuer            string   `default:"${issuer}" help:"Issuer of the tokens on notifications."`

	AnswerAfter      time.Duration `default:"300ms" help:"Until a callee answers or refuses."`
	RingTimeout      time.Duration `default:"5s" help:"Until a callee …487 has not answered."`
	StepDuration     time.Duration `default:"50ms" help:"Short steps: audio becomes active, terminating until terminated."`
	HangupAfter      time.Duration `default:"1s" help:"Until a callee …333 hangs up."`
	PromptDuration   time.Duration `default:"500ms" help:"Length of one prompt."`
	IncomingTimeout  time.Duration `default:"15s" help:"How long an incoming call waits for a decision."`
	KeepAliveTimeout time.Duration `default:"45m" help:"How long a call lives without keepAlive."`
	TokenLifetime    time.Duration `default:"1h" help:"Lifetime of access tokens."`
	TokenRefreshIn   time.Duration `help:"Sent as refresh_in; not sent by default."`

	Limits     limitsFlag `placeholder:"LIST" help:"Any of rate=50,burst=100,retry-after=2s,count-rejected,concurrent=100,monthly=10000,per-tenant. None by default."`
	Faults     string     `placeholder:"FILE" help:"Faults to begin with: JSON as for PUT /_sim/faults."`
	Seed       uint64     `help:"Makes the probabilities of faults repeatable."`
	ErrorShape string     `enum:",textual,numeric,wrapped" default:"" help:"Shape of every error of the calling service: textual, numeric or wrapped. As documented by default."`
	PageSize   int        `default:"100" help:"Participants in one page."`

	NotifyTimeout  time.Duration `default:"10s" help:"Longest wait for the answer to a notification."`
	NotifyAttempts int           `default:"5" help:"Deliveries of a notification that is answered 5xx or by nobody."`
	NotifyBackoff  time.Duration `default:"200ms" help:"Pause before the second delivery, then doubled."`
	NotifyCA       string        `name:"notify-ca" placeholder:"FILE" help:"Certificate authorities to trust when notifying, PEM; the system's by default."`
	LogSize        int           `default:"10000" help:"Requests and ended calls remembered."`

	LogLevel slog.Level       `default:"info" help:"debug, info, warn or error."`
	Version  kong.VersionFlag `env:"-" help:"Print the version and exit."`
}

// limitsFlag is Limits as --limits writes them.
type limitsFlag struct{ graphsim.Limits }

// UnmarshalText is how kong reads the flag.
func (f *limitsFlag) UnmarshalText(text []byte) (err error) {
	f.Limits, err = graphsim.ParseLimits(string(text))
	return err
}

// options turns the flags into the simulator's options. A duration of 0 means at
// once here.
func (c cli) options(stderr io.Writer) (graphsim.Options, error) {
	opts := graphsim.Options{
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.LogLevel})),
		Token:  c.Token, AppID: c.AppID, ClientSecret: c.ClientSecret, TenantID: c.Tenant, Roles: c.Role, TokenAudience: c.TokenAudience, Issuer: c.Issuer,
		AnswerAfter: atOnce(c.AnswerAfter), RingTimeout: atOnce(c.RingTimeout), StepDuration: atOnce(c.StepDuration),
		HangupAfter: atOnce(c.HangupAfter), PromptDuration: atOnce(c.PromptDuration), IncomingTimeout: atOnce(c.IncomingTimeout),
		KeepAliveTimeout: atOnce(c.KeepAliveTimeout), TokenLifetime: atOnce(c.TokenLifetime), TokenRefreshIn: c.TokenRefreshIn,
		Limits: c.Limits.Limits, Seed: c.Seed, ErrorShape: graphsim.Shape(c.ErrorShape), PageSize: c.PageSize,
		NotifyTimeout: c.NotifyTimeout, NotifyAttempts: c.NotifyAttempts, NotifyBackoff: atOnce(c.NotifyBackoff), LogSize: c.LogSize,
	}
	if c.CAOut != "" && c.TLSListen == "" {
		return opts, fmt.Errorf("--ca-out: needs --tls-listen")
	}
	if c.ClientCertificate != "" {
		certificate, err := readCertificate(c.ClientCertificate)
		if err != nil {
			return opts, fmt.Errorf("--client-certificate: %w", err)
		}
		opts.ClientCertificate = certificate
	}
	if c.NotifyCA != "" {
		data, err := os.ReadFile(c.NotifyCA)
		pool := x509.NewCertPool()
		if err != nil {
			return opts, fmt.Errorf("--notify-ca: %w", err)
		} else if !pool.AppendCertsFromPEM(data) {
			return opts, fmt.Errorf("--notify-ca: no certificate in %s", c.NotifyCA)
		}
		opts.NotifyClient = graphsim.NewNotifyClient(pool)
	}
	if c.Faults != "" {
		data, err := os.ReadFile(c.Faults)
		if err == nil {
			opts.Faults, err = graphsim.ParseFaults(data)
		}
		if err != nil {
			return opts, fmt.Errorf("--faults: %w", err)
		}
	}
	return opts, nil
}

func atOnce(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func readCertificate(file string) (*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, fmt.Errorf("no certificate in %s", file)
}
