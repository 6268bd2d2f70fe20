package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bus is a server with the streams of the contract and someone who plays the
// worker.
type bus struct {
	t      *testing.T
	server *server.Server
	nc     *nats.Conn
	js     jetstream.JetStream
}

func newBus(t *testing.T) *bus {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &bus{t: t, server: s, nc: nc, js: js}
}

// withStreams makes the streams; maxMsgs bounds the queue, 0 does not.
func (b *bus) withStreams(maxMsgs int64) *bus {
	b.t.Helper()
	if maxMsgs == 0 {
		maxMsgs = -1
	}
	var subjects []string
	for _, a := range commands.Actions {
		subjects = append(subjects, "calls.commands.*.*."+string(a))
	}
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "CALL_COMMANDS", Subjects: subjects, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: maxMsgs, AllowDirect: true},
		{Name: "CALL_RESULTS", Subjects: []string{"calls.results.*.*.*"}, AllowDirect: true},
		{Name: "CALL_EVENTS", Subjects: []string{"calls.events.*.*.*"}, AllowDirect: true},
	} {
		if _, err := b.js.CreateStream(b.t.Context(), cfg); err != nil {
			b.t.Fatal(err)
		}
	}
	return b
}

// work plays the worker: play says by action and id what is recorded.
func (b *bus) work(play func(commands.Action, string) []commands.Result) *bus {
	b.t.Helper()
	return b.workOn(nil, play)
}

// workOn is work on the commands of some subjects; none: all.
func (b *bus) workOn(filters []string, play func(commands.Action, string) []commands.Result) *bus {
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
			meta, metaErr := msg.Metadata()
			if err != nil || metaErr != nil {
				b.t.Error(err, metaErr)
				return
			}
			id := producer.BodyID(msg.Data())
			if id == "" {
				id = producer.SequenceID(producer.Ack{Sequence: meta.Sequence.Stream})
			}
			for _, r := range play(action, id) {
				r.Producer, r.CallRef, r.CommandID, r.Action = call.Producer, call.CallRef, id, action
				b.record(r)
			}
			_ = msg.Ack() // a test that ends drops it
		}
	}()
	return b
}

func (b *bus) record(r commands.Result) {
	if r.Time.IsZero() {
		r.Time = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	}
	r.Final = r.Status.Final()
	body, err := json.Marshal(r)
	if err != nil {
		b.t.Error(err)
		return
	}
	if _, err := b.js.Publish(context.Background(), commands.DefaultPrefix.Result(r.Key()), body); err != nil {
		b.t.Error(err)
	}
}

// tells is a worker that says the same of every command.
func tells(results ...commands.Result) func(commands.Action, string) []commands.Result {
	return func(commands.Action, string) []commands.Result { return results }
}

var (
	succeeded = commands.Result{Status: commands.Succeeded}
	busy      = commands.Result{Status: commands.Failed, Error: &commands.Error{Class: commands.ClassCallee, Reason: "busy", Code: "486", Message: "the callee is busy", Hint: "try later"}}
)

// ran is what one run of the program left behind.
type ran struct {
	code     int
	out, err string
}

// run runs the program against the server.
func (b *bus) run(stdin string, args ...string) ran {
	b.t.Helper()
	return runWith(b.t.Context(), stdin, append([]string{"--nats-url", b.server.ClientURL()}, args...)...)
}

func runWith(ctx context.Context, stdin string, args ...string) ran {
	var out, errs lockedBuffer
	err := run(ctx, args, stdio{strings.NewReader(stdin), &out, &errs})
	code := exitCode(err, &errs)
	return ran{code, out.String(), errs.String()}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// queued reads the commands that were published, as subject and body.
func (b *bus) queued() (subjects []string, bodies []map[string]any) {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), "CALL_COMMANDS")
	if err != nil {
		b.t.Fatal(err)
	}
	info, err := stream.Info(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
		msg, err := stream.GetMsg(b.t.Context(), seq)
		if err != nil {
			b.t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(msg.Data, &body); err != nil {
			b.t.Fatal(err)
		}
		subjects, bodies = append(subjects, strings.TrimPrefix(msg.Subject, "calls.commands.")), append(bodies, body)
	}
	return subjects, bodies
}
