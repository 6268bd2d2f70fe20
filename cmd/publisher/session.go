package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/natsconn"
	"callbus/internal/producer"
	"callbus/internal/traces"
)

// tracesWait is how long the spans of what was sent may take to leave.
const tracesWait = 3 * time.Second

// session is one run of the program: what the commands of [cli] run in.
type session struct {
	ctx   context.Context
	std   stdio
	flags *globals
}

func (s *session) json() bool { return s.flags.Output == "json" }

// connect opens the connection; end closes it.
func (s *session) connect() (client *producer.Client, end func(), err error) {
	return s.connectAs(s.flags.Producer)
}

// connectAs is connect with what a producer of that name may use; a name that
// is none's has an operator's rights.
func (s *session) connectAs(name string) (client *producer.Client, end func(), err error) {
	return s.connectLogging(name, s.std.err)
}

// connectQuiet is connectAs that writes nothing of what the connection goes
// through.
func (s *session) connectQuiet(name string) (client *producer.Client, end func(), err error) {
	return s.connectLogging(name, io.Discard)
}

func (s *session) connectLogging(name string, log io.Writer) (client *producer.Client, end func(), err error) {
	nc, err := s.dial(name, log)
	if err != nil {
		return nil, nil, err
	}
	client, err = producer.New(nc, commands.Prefix(s.flags.Prefix))
	if err != nil {
		nc.Close()
		return nil, nil, usage(err)
	}
	spans, err := traces.FromEnv(s.ctx, os.Getenv, "callbus-publisher", version())
	if err != nil {
		nc.Close()
		return nil, nil, usage(err)
	}
	client.TraceWith(spans)
	return client, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), tracesWait)
		defer cancel()
		_ = spans.Close(ctx) // a trace that is lost is no reason to fail
		nc.Close()
	}, nil
}

// operator is a connection with an operator's rights.
type operator struct {
	js     jetstream.JetStream
	prefix commands.Prefix
}

func (s *session) dialOperator(prefix commands.Prefix) (*operator, func(), error) {
	nc, err := s.dial(producer.Everyone, s.std.err)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("open JetStream: %w", err)
	}
	return &operator{js, prefix}, nc.Close, nil
}

// dial opens a connection for a producer, or for an operator.
func (s *session) dial(name string, log io.Writer) (*nats.Conn, error) {
	inbox := s.flags.NATSInboxPrefix
	if inbox == "" && commands.CheckProducer(name) == nil {
		inbox = "_INBOX_" + name
	}
	return natsconn.Connect(natsconn.ConnOptions{
		URL: s.flags.NATSURL, Creds: s.flags.NATSCreds, NKey: s.flags.NATSNKey,
		CA: s.flags.NATSCA, Cert: s.flags.NATSCert, Key: s.flags.NATSKey,
		User: s.flags.NATSUser, Password: s.flags.NATSPassword,
		Name: "callbus publisher " + name, InboxPrefix: inbox,
		// "Not stored" must be true: nothing is sent behind our back later.
		NoBuffer: true,
		Logger:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}
