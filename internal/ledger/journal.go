// Package ledger is the journal of what became of every command. It is the
// results stream itself: each record is written by one function, with a
// compare-and-swap over all records of the call, so that of any number of
// writers only one can take each step. Acks, leases and message ids are no
// fence; this is.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// ErrMoved says that the journal of the call has moved since it was read:
// nothing was written; read again and decide again.
var ErrMoved = errors.New("the call's journal has moved")

// Record is one stored record: the public result and what the protocol keeps
// beside it in headers.
type Record struct {
	commands.Result
	Seq    uint64    // stream sequence, the next compare-and-swap value
	Stored time.Time // server time

	Attempt       string // nonce of the delivery that wrote it
	Body          string // identity of the command, commands.BodyHash
	PlaceID       string // the place command that the call's name stood for
	ReplyTo       string // where a copy of the final record goes
	TraceParent   string // W3C trace context
	ClientContext string // what correlates Graph's operation

	Terms commands.CallTerms // what the command said of its call
}

// View is a consistent picture of one call's journal, as one command sees it.
type View struct {
	Key  commands.Key
	Last uint64 // sequence of the call's last record, 0 when there is none
	// LastAt is when that record was stored, zero when there is none.
	LastAt time.Time
	// Own is the command's last record, Place the last record of the place
	// command the call's name stands for; nil when there is none.
	Own, Place *Record
	PlaceID    string
}

// Journal reads and writes the results stream. Make it with New.
type Journal struct {
	prefix  commands.Prefix
	js      jetstream.JetStream
	nc      *nats.Conn
	stream  jetstream.Stream
	name    string
	maxSize int
	// onStored is told of every record this process stored.
	onStored func(Record)

	dead struct {
		sync.Mutex
		counts     map[commands.Cause]int
		last, msgs uint64
	}
}

// New opens the journal; the results stream must exist. onStored, which may be
// nil, is called after each record that this journal stored, once for each, and
// must not block.
func New(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, onStored func(Record)) (*Journal, error) {
	name := prefix.Stream(streams.Results)
	var s jetstream.Stream
	err := streams.AwaitLeader(ctx, nil, func(ctx context.Context) (err error) {
		s, err = js.Stream(ctx, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", name, err)
	}
	if onStored == nil {
		onStored = func(Record) {}
	}
	return &Journal{
		prefix: prefix, js: js, nc: js.Conn(), stream: s, name: name, onStored: onStored,
		// No record exceeds three quarters of what the server takes.
		maxSize: int(js.Conn().MaxPayload() / 4 * 3),
	}, nil
}

func decodeRecord(msg *jetstream.RawStreamMsg) (*Record, error) {
	r := &Record{Seq: msg.Sequence, Stored: msg.Time}
	if err := json.Unmarshal(msg.Data, &r.Result); err != nil {
		return nil, fmt.Errorf("record %d on %s: %w", msg.Sequence, msg.Subject, err)
	}
	h := msg.Header
	r.Attempt = h.Get(commands.HeaderAttempt)
	r.Body = h.Get(commands.HeaderBody)
	r.PlaceID = h.Get(commands.HeaderPlace)
	r.ReplyTo = h.Get(commands.HeaderReplyTo)
	r.TraceParent = h.Get(commands.HeaderTraceParent)
	r.ClientContext = h.Get(commands.HeaderClientContext)
	if text := h.Get(commands.HeaderCall); text != "" {
		if err := json.Unmarshal([]byte(text), &r.Terms); err != nil {
			return nil, fmt.Errorf("record %d on %s: header %s: %w", msg.Sequence, msg.Subject, commands.HeaderCall, err)
		}
	}
	return r, nil
}

func (r *Record) header() nats.Header {
	h := nats.Header{}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set(commands.HeaderAttempt, r.Attempt)
	set(commands.HeaderBody, r.Body)
	set(commands.HeaderPlace, r.PlaceID)
	set(commands.HeaderReplyTo, r.ReplyTo)
	set(commands.HeaderTraceParent, r.TraceParent)
	set(commands.HeaderClientContext, r.ClientContext)
	if r.Terms != (commands.CallTerms{}) {
		text, err := json.Marshal(r.Terms)
		if err != nil {
			panic(err) // numbers and booleans always marshal
		}
		set(commands.HeaderCall, string(text))
	}
	return h
}
