package streams

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/natstest"
)

// serverURL is one server for the whole package; tests that need streams on it
// make their own, under a name of their own.
var serverURL string

func TestMain(m *testing.M) { natstest.Main(m, &serverURL) }

// soon bounds every wait for what must come.
const soon = 20 * time.Second

// brisk are settings with which everything happens within a second or two.
var brisk = Asking{Batch: 1, Expiry: 2 * time.Second, LookEvery: 250 * time.Millisecond}

var names atomic.Int64

// post is a work queue with one durable consumer.
type post struct {
	t    *testing.T
	js   jetstream.JetStream // past any proxy
	name string
}

const durableName = "workers"

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{t: t, js: dial(t, serverURL), name: fmt.Sprintf("POST%d", names.Add(1))}
	p.make()
	return p
}

func dial(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// make makes the queue and its consumer, if they are missing.
func (p *post) make() {
	p.t.Helper()
	_, err := p.js.CreateOrUpdateStream(p.t.Context(), jetstream.StreamConfig{
		Name: p.name, Subjects: []string{strings.ToLower(p.name)}, Retention: jetstream.WorkQueuePolicy,
	})
	if err == nil {
		_, err = p.js.CreateOrUpdateConsumer(p.t.Context(), p.name, durable(durableName, 30*time.Second))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) send(text string) {
	p.t.Helper()
	if _, err := p.js.Publish(p.t.Context(), strings.ToLower(p.name), []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) info() *jetstream.ConsumerInfo {
	p.t.Helper()
	cons, err := p.js.Consumer(p.t.Context(), p.name, durableName)
	if err != nil {
		p.t.Fatal(err)
	}
	return cons.CachedInfo()
}

// open opens an iterator over a connection of its own to url.
func (p *post) open(url string, a Asking) *Iterator {
	p.t.Helper()
	return p.openOn(dial(p.t, url), a)
}

func (p *post) openOn(js jetstream.JetStream, a Asking) *Iterator {
	p.t.Helper()
	it, err := Open(p.t.Context(), js, p.name, durableName, a)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(it.Close)
	return it
}

// got is what one Next brought.
type got struct {
	msg jetstream.Msg
	err error
}

// ask calls Next in a goroutine that ends with the test.
func (p *post) ask(it *Iterator) <-chan got {
	answer := make(chan got, 1)
	go func() {
		msg, err := it.Next()
		answer <- got{msg, err}
	}()
	return answer
}

// within is the answer to ask.
func (p *post) within(d time.Duration, answer <-chan got) got {
	p.t.Helper()
	select {
	case g := <-answer:
		return g
	case <-time.After(d):
		p.t.Fatalf("Next() did not return within %s", d)
		return got{}
	}
}

// text is the body of what the next Next brings.
func (p *post) text(it *Iterator) string {
	p.t.Helper()
	g := p.within(soon, p.ask(it))
	if g.err != nil {
		p.t.Fatalf("Next() = %v; want a message", g.err)
	}
	if err := g.msg.Ack(); err != nil {
		p.t.Fatal(err)
	}
	return string(g.msg.Data())
}

// until polls for what comes of itself.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", soon, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// run is Consume with brisk settings; the returned function stops it.
func (p *post) run(js jetstream.JetStream, log *records, handle func(jetstream.Msg)) (stop func()) {
	take, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		consumption{js: js, stream: p.name, durable: durableName, asking: brisk, log: log.logger()}.run(take, handle)
	}()
	stop = func() { cancel(); <-done }
	p.t.Cleanup(stop)
	return stop
}
