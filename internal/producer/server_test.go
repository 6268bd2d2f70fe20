package producer

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bus is one installation: a server with the streams of the contract, a
// connection that may do everything (the worker's), and a producer's client.
type bus struct {
	t      *testing.T
	server *server.Server
	worker *nats.Conn
	js     jetstream.JetStream
	client *Client
}

func newBus(t *testing.T) *bus { return newBusWith(t, nil) }

// newBusWith lets a test change the server before it starts.
func newBusWith(t *testing.T, change func(*server.Options), connect ...nats.Option) *bus {
	t.Helper()
	b := newServer(t, change, connect...)
	b.createStreams(0)
	return b
}

func newServer(t *testing.T, change func(*server.Options), connect ...nats.Option) *bus {
	t.Helper()
	opts := &server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()}
	if change != nil {
		change(opts)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("server does not start")
	}
	b := &bus{t: t, server: s}
	b.worker = b.connect(connect...)
	b.js, err = jetstream.New(b.worker)
	if err != nil {
		t.Fatal(err)
	}
	b.client = b.newClient(b.worker)
	return b
}

func (b *bus) connect(options ...nats.Option) *nats.Conn {
	b.t.Helper()
	options = append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(20 * time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}, options...)
	nc, err := nats.Connect(b.server.ClientURL(), options...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	return nc
}

func (b *bus) newClient(nc *nats.Conn) *Client {
	b.t.Helper()
	c, err := New(nc, "")
	if err != nil {
		b.t.Fatal(err)
	}
	c.poll, c.electionWait = 50*time.Millisecond, time.Second
	return c
}

// createStreams makes the streams a producer meets; maxMsgs bounds the queue.
func (b *bus) createStreams(maxMsgs int64) {
	b.t.Helper()
	var subjects []string
	for _, a := range commands.Actions {
		subjects = append(subjects, "calls.commands.*.*."+string(a))
	}
	if maxMsgs == 0 {
		maxMsgs = -1
	}
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "CALL_COMMANDS", Subjects: subjects, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: maxMsgs, MaxMsgSize: commands.MaxBody + 8<<10, AllowDirect: true},
		{Name: "CALL_RESULTS", Subjects: []string{"calls.results.*.*.*"}, AllowDirect: true},
		{Name: "CALL_EVENTS", Subjects: []string{"calls.events.*.*.*"}, AllowDirect: true},
	} {
		if _, err := b.js.CreateStream(b.t.Context(), cfg); err != nil {
			b.t.Fatal(err)
		}
	}
}

// result stores a record as a worker does.
func (b *bus) result(r commands.Result, hash string) {
	b.t.Helper()
	if r.Time.IsZero() {
		r.Time = time.Now().UTC()
	}
	r.Final = r.Status.Final()
	body, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	msg := nats.NewMsg(commands.DefaultPrefix.Result(r.Key()))
	msg.Data = body
	if hash != "" {
		msg.Header.Set(commands.HeaderBody, hash)
	}
	if _, err := b.js.PublishMsg(b.t.Context(), msg); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bus) event(e commands.Event) {
	b.t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.Publish(b.t.Context(), commands.DefaultPrefix.Event(e.Call(), e.Kind), body); err != nil {
		b.t.Fatal(err)
	}
}

// delivered is a command as a worker sees it.
type delivered struct {
	key      commands.Key
	action   commands.Action
	body     []byte
	sequence uint64
}

// work takes commands from the queue until the test ends and records what
// statuses says of each; an empty list records nothing.
func (b *bus) work(statuses func(delivered) []commands.Result) {
	b.t.Helper()
	b.workOn(nil, statuses)
}

// workOn is work for the commands of some subjects; none: all.
func (b *bus) workOn(filters []string, statuses func(delivered) []commands.Result) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	consumer, err := b.js.CreateConsumer(ctx, "CALL_COMMANDS", jetstream.ConsumerConfig{Durable: "worker", FilterSubjects: filters, AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		b.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	b.t.Cleanup(func() { cancel(); messages.Stop(); <-done })
	go func() {
		defer close(done)
		for {
			msg, err := messages.Next()
			if err != nil {
				return
			}
			call, action, err := commands.DefaultPrefix.CommandSubject(msg.Subject())
			if err != nil {
				b.t.Error(err)
				continue
			}
			meta, err := msg.Metadata()
			if err != nil {
				b.t.Error(err)
				continue
			}
			d := delivered{commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: BodyID(msg.Data())}, action, msg.Data(), meta.Sequence.Stream}
			if d.key.ID == "" {
				d.key.ID = SequenceID(Ack{Sequence: d.sequence})
			}
			for _, r := range statuses(d) {
				r.Producer, r.CallRef, r.CommandID, r.Action = d.key.Producer, d.key.CallRef, d.key.ID, d.action
				r.Final, r.Time = r.Status.Final(), time.Now().UTC()
				body, _ := json.Marshal(r)
				record := nats.NewMsg(commands.DefaultPrefix.Result(d.key))
				record.Data = body
				record.Header.Set(commands.HeaderBody, commands.BodyHash(d.action, d.body))
				if _, err := b.js.PublishMsg(ctx, record); err != nil && ctx.Err() == nil {
					b.t.Error(err)
				}
			}
			_ = msg.Ack() // a test that ends drops it
		}
	}()
}

// ends is a worker's story that ends every command with one status.
func ends(status commands.Status) func(delivered) []commands.Result {
	return func(delivered) []commands.Result { return []commands.Result{{Status: status}} }
}

// within is a context for what must not take long.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func key(producer, callRef, id string) commands.Key {
	return commands.Key{Producer: producer, CallRef: callRef, ID: id}
}
