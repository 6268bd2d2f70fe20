// Package natsconn opens the connection to NATS the way every program of
// callbus does: the same settings, the same patience, and one clear line when
// it does not work.
package natsconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ConnOptions says where the server is and who we are. The zero value of every
// field but URL works; the fields are the nats command line tool's own.
type ConnOptions struct {
	URL      string // one server, or several separated by commas; empty: nats://127.0.0.1:4222
	Creds    string // file with a JWT and its NKey seed
	NKey     string // file with an NKey seed
	CA       string // PEM file of the certificates to trust
	Cert     string // PEM file of the client certificate; needs Key
	Key      string // PEM file of the client certificate's key; needs Cert
	User     string // user name; without a Password it is a token
	Password string
	Name     string // what the server's monitoring shows

	// InboxPrefix begins the subjects that answers come back on; empty means
	// "_INBOX". Servers that keep producers apart allow only a private one.
	InboxPrefix string
	// NoBuffer makes publishing fail at once while the connection is down. By
	// default up to 8 MiB are held and sent after the reconnect, which may be
	// after the publisher gave up waiting.
	NoBuffer bool
	// Timeout is for dialling and for authentication, each; zero means 5 s.
	Timeout time.Duration
	// Wait is how long a server that is not reachable is tried again before
	// [Connect] gives up: it may be starting, and its name not be known yet. Zero
	// means not at all. Settings that cannot be used, a refusal, and a
	// disagreement on TLS are told at once.
	Wait time.Duration
	// Logger hears of lost and regained connections and of what the server
	// reports out of turn; nil is silent.
	Logger *slog.Logger
}

// Connect is [ConnectContext] without a context.
func Connect(o ConnOptions) (*nats.Conn, error) { return ConnectContext(context.Background(), o) }

// ConnectContext opens a connection, or says in one line why there is none: an
// *[Error]. It blocks for [ConnOptions.Timeout] a server at most, and while none
// is reachable for [ConnOptions.Wait] more, or until ctx ends; that it waits is
// logged once. Once open the connection is regained for ever (the handlers log
// it); the caller closes it.
func ConnectContext(ctx context.Context, o ConnOptions) (*nats.Conn, error) {
	if o.URL == "" {
		o.URL = nats.DefaultURL
	}
	options, err := o.natsOptions()
	if err != nil {
		return nil, err
	}
	giveUp, told := time.Now().Add(o.Wait), false
	for {
		nc, err := nats.Connect(o.URL, options...)
		if err == nil {
			return nc, nil
		}
		why := explain(o, err)
		left := time.Until(giveUp)
		if why.Reason != Unreachable || left <= 0 || ctx.Err() != nil {
			return nil, why
		}
		if !told && o.Logger != nil {
			o.Logger.With("component", "nats").Warn("waiting for a server", "for", o.Wait, "err", why)
		}
		told = true
		pause(ctx, min(left, betweenDials))
	}
}

// betweenDials is the pause before a server is tried again that was not there.
const betweenDials = 500 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (o ConnOptions) natsOptions() ([]nats.Option, error) {
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Second
	}
	options := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 500*time.Millisecond),
		// A dead server is noticed after 40 s at the latest; two minutes, the
		// client's default, is longer than a command's lease.
		nats.PingInterval(20 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.PermissionErrOnSubscribe(true),
		// A wrong password does not become right, but servers that are being
		// configured anew refuse everyone for a moment.
		nats.IgnoreAuthErrorAbort(),
	}
	if o.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	if o.NoBuffer {
		options = append(options, nats.ReconnectBufSize(-1))
	}
	options = append(options, o.logOptions()...)
	credentials, err := o.credentialOptions()
	return append(options, credentials...), err
}

// credentialOptions looks into every file, so that a wrong path or the wrong
// file is told apart from a server that refuses us.
func (o ConnOptions) credentialOptions() ([]nats.Option, error) {
	for _, file := range []struct{ what, path string }{
		{"credentials file", o.Creds}, {"NKey seed file", o.NKey}, {"CA file", o.CA},
		{"client certificate", o.Cert}, {"client certificate's key", o.Key},
	} {
		if err := readable(file.what, file.path); err != nil {
			return nil, err
		}
	}
	var options []nats.Option
	switch {
	case o.Creds != "" && o.NKey != "":
		return nil, &Error{Reason: Settings, Problem: "both a credentials file and an NKey seed file are given: want one of them"}
	case o.Password != "" && o.User == "":
		return nil, &Error{Reason: Settings, Problem: "a password is given without a user"}
	case (o.Cert == "") != (o.Key == ""):
		return nil, &Error{Reason: Settings, Problem: "a client certificate and its key belong together: only one of them is given"}
	}
	if o.Creds != "" {
		options = append(options, nats.UserCredentials(o.Creds))
	}
	if o.NKey != "" {
		nkey, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, &Error{Reason: Settings, Problem: fmt.Sprintf("NKey seed file %s cannot be used: %v", o.NKey, err), err: err}
		}
		options = append(options, nkey)
	}
	if o.User != "" && o.Password == "" {
		options = append(options, nats.Token(o.User))
	} else if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password))
	}
	if o.CA != "" {
		text, err := os.ReadFile(o.CA)
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(text) {
			return nil, &Error{Reason: Settings, Problem: fmt.Sprintf("CA file %s holds no certificate: want PEM", o.CA), err: err}
		}
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		if _, err := tls.LoadX509KeyPair(o.Cert, o.Key); err != nil {
			return nil, &Error{Reason: Settings, Problem: fmt.Sprintf("client certificate %s cannot be used with the key %s: %s", o.Cert, o.Key, strings.TrimPrefix(err.Error(), "tls: ")), err: err}
		}
		options = append(options, nats.ClientCert(o.Cert, o.Key))
	}
	return options, nil
}

func (o ConnOptions) logOptions() []nats.Option {
	if o.Logger == nil {
		// Without a handler of ours the client would print to standard error.
		return []nats.Option{nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
	}
	log := o.Logger.With("component", "nats")
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: closed by us
				log.Warn("connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Warn("connection regained", "server", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if sub != nil {
				log.Warn("server or client error", "subject", sub.Subject, "err", err)
				return
			}
			log.Warn("server or client error", "err", err)
		}),
	}
}

func readable(what, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err == nil {
		return f.Close()
	}
	why := err.Error()
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		why = pathErr.Err.Error()
	}
	return &Error{Reason: Settings, Problem: fmt.Sprintf("%s %s cannot be read: %s", what, path, why), err: err}
}

// servers is the address for people: no user, no password.
func servers(urls string) string {
	list := strings.Split(urls, ",")
	for i, u := range list {
		u = strings.TrimSpace(u)
		scheme, rest, found := strings.Cut(u, "://")
		if !found {
			scheme, rest = "nats", u
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = rest[at+1:]
		}
		list[i] = scheme + "://" + rest
	}
	return strings.Join(list, ", ")
}
