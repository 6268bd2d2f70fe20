// Package producer is the producer's side of callbus: it publishes commands,
// waits for what becomes of them, watches results and events, and reads the
// NDJSON lines in which commands are written down in bulk.
//
// It needs no more rights in NATS than a producer has: publishing its own
// commands, subscribing its own results and events, and reading them directly
// by subject. Only a watch from a time in the past and a history make consumers.
// What is an operator's tool and needs an operator's rights says so:
// [Client.Targets], [Client.HangUpAll], [Client.LiveCalls], [Client.Letters] and
// [Client.Replay].
package producer

import (
	"fmt"
	"strings"
	"time"

	"callbus/internal/commands"
	"callbus/internal/traces"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Client publishes commands and follows them. It is safe for concurrent use;
// make one with [New].
type Client struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	prefix commands.Prefix

	traces  *traces.Traces
	ackWait time.Duration // how long one publish waits for its acknowledgement
	poll    time.Duration // how often a wait looks into the stream by itself

	// electionWait is how long nobody may listen before that counts.
	electionWait   time.Duration
	queue, records absence // of CALL_COMMANDS and CALL_RESULTS
}

// New makes a client on an open connection, which stays the caller's to close.
// An empty prefix means [commands.DefaultPrefix].
func New(nc *nats.Conn, prefix commands.Prefix) (*Client, error) {
	if prefix == "" {
		prefix = commands.DefaultPrefix
	}
	if !commands.ValidID(string(prefix)) {
		return nil, fmt.Errorf("prefix %q cannot be used: want characters of A-Z a-z 0-9 _ -, not beginning with _", cut(string(prefix), 40))
	}
	c := &Client{nc: nc, prefix: prefix, ackWait: 10 * time.Second, poll: 5 * time.Second, electionWait: 10 * time.Second}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(c.ackWait))
	if err != nil {
		return nil, fmt.Errorf("JetStream: %w", err)
	}
	c.js = js
	return c, nil
}

// TraceWith makes every command that is sent begin a trace, or go on with the
// one in the context; nil is off. Call it before anything is sent.
func (c *Client) TraceWith(t *traces.Traces) { c.traces = t }

// checkCall holds the names to the contract's alphabet: they become parts of
// subjects.
func checkCall(call commands.CallKey) error {
	if err := commands.CheckProducer(call.Producer); err != nil {
		return err
	}
	return commands.CheckCallRef(call.CallRef)
}

func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return strings.ToValidUTF8(s[:max], "") + "…"
}

// violation is the server's latest word that we may not use a subject, if it
// was about this one; the server says so out of turn and answers nothing.
func (c *Client) violation(subject string) error {
	err := c.nc.LastError()
	if err != nil && strings.Contains(err.Error(), `"`+subject+`"`) && isViolation(err) {
		return &RefusedError{Why: NotPermitted, Problem: fmt.Sprintf("not permitted to use %s: ask for the producer's permissions on it", subject), err: err}
	}
	return nil
}
