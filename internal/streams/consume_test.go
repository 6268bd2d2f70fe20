package streams

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/embednats"
	"callbus/internal/natstest"
	"callbus/internal/ports"
)

// records is a log that a test reads.
type records struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *records) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// collector notes what was handled, and how often.
type collector struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *collector) handle(msg jetstream.Msg) {
	c.mu.Lock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[string(msg.Data())]++
	c.mu.Unlock()
	_ = msg.Ack()
}

func (c *collector) has(text string) bool { return c.times(text) > 0 }

func (c *collector) times(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[text]
}

func TestConsumeGoesOnWhenWhatIsMissingExistsAgain(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		remove func(*post) error
		says   string
	}{
		{"the consumer was deleted", func(p *post) error { return p.js.DeleteConsumer(p.t.Context(), p.name, durableName) }, "consumer POST%/workers does not exist"},
		{"the server lost the whole stream", func(p *post) error { return p.js.DeleteStream(p.t.Context(), p.name) }, "stream POST% does not exist"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			var c collector
			var log records
			p.run(dial(t, serverURL), &log, c.handle)
			p.send("before")
			until(t, "the first message", func() bool { return c.has("before") })
			until(t, "its acknowledgement is stored", func() bool { i := p.info(); return i.NumPending == 0 && i.NumAckPending == 0 })
			if err := row.remove(p); err != nil {
				t.Fatal(err)
			}
			says := strings.ReplaceAll(row.says, "POST%", p.name)
			until(t, "the log says what is missing", func() bool { return strings.Contains(log.String(), says) })
			<-time.After(2500 * time.Millisecond) // two more tries, which say the same
			if text := log.String(); strings.Count(text, says) > 1 || !strings.Contains(text, "worker provision") {
				t.Errorf("log = %s; want what is missing and what to do, once", text)
			}
			p.make()
			p.send("after")
			until(t, "a message after it was made anew", func() bool { return c.has("after") })
			if c.times("before") != 1 || c.times("after") != 1 {
				t.Errorf("handled %v; want each once", c.seen)
			}
			if !strings.Contains(log.String(), "fetching goes on") {
				t.Errorf("log = %s; want it to say that it is over", log.String())
			}
		})
	}
}

// TestAMissingConsumerIsNoticedWithoutBeingTold: no request of ours stood when it
// was deleted, so that the server had nobody to tell.
func TestAMissingConsumerIsNoticedWithoutBeingTold(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	proxy := natstest.StartProxy(t, serverURL)
	proxy.Judge(func(subject string) natstest.Fate {
		if subject == p.requestFor() {
			return natstest.Swallow
		}
		return natstest.Pass
	})
	it := p.open(proxy.URL(), Asking{Expiry: time.Minute, LookEvery: brisk.LookEvery})
	answer := p.ask(it)
	if err := p.js.DeleteConsumer(t.Context(), p.name, durableName); err != nil {
		t.Fatal(err)
	}
	g := p.within(soon, answer)
	if gone, ok := errors.AsType[*MissingError](g.err); !ok || gone.What != "consumer "+p.name+"/"+durableName {
		t.Fatalf("Next() = %v; want *MissingError", g.err)
	}
}

// TestALostConnectionEndsTheIterator: at once, so that the next one asks afresh
// when there is a connection again; nobody is alarmed by that.
func TestALostConnectionEndsTheIterator(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	proxy := natstest.StartProxy(t, serverURL)
	js := dial(t, proxy.URL())
	answer := p.ask(p.openOn(js, Asking{}))
	until(t, "the request stands", func() bool { return p.info().NumWaiting == 1 })
	proxy.Hold()
	proxy.Cut()
	if g := p.within(soon, answer); !errors.Is(g.err, ErrConnectionLost) {
		t.Fatalf("Next() = %v; want ErrConnectionLost", g.err)
	}
	opened := make(chan *Iterator, 1)
	go func() {
		it, err := Open(t.Context(), js, p.name, durableName, Asking{})
		if err != nil {
			t.Error(err)
		}
		opened <- it
	}()
	select {
	case <-opened:
		t.Fatal("Open() returned without a connection")
	case <-time.After(200 * time.Millisecond):
	}
	proxy.Resume()
	it := <-opened
	if it == nil {
		return
	}
	defer it.Close()
	p.send("after")
	if text := p.text(it); text != "after" {
		t.Errorf("Next() brought %q", text)
	}
}

// TestConsumeOutlivesADeadNetwork: for a while nothing that the server says
// arrives; then all of it does, or the connection is cut.
func TestConsumeOutlivesADeadNetwork(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut %t", cut), func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			proxy := natstest.StartProxy(t, serverURL)
			var c collector
			var log records
			p.run(dial(t, proxy.URL()), &log, c.handle)
			p.send("before")
			until(t, "the first message", func() bool { return c.has("before") })
			proxy.Hold()
			<-time.After(2 * brisk.Expiry)
			if cut {
				proxy.Cut()
			}
			proxy.Resume()
			p.send("after")
			until(t, "a message after it", func() bool { return c.has("after") })
		})
	}
}

// TestConsumeOutlivesItsServer restarts the server several times, with messages
// before and after. None of them is dropped on the way, to come again only when
// its lease has ended.
func TestConsumeOutlivesItsServer(t *testing.T) {
	t.Parallel()
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	dir := t.TempDir()
	srv, err := embednats.Start(embednats.Options{Listen: addr, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	p := &post{t: t, js: dial(t, srv.URL()), name: "POST"}
	p.make()
	var c collector
	var log records
	mine := dial(t, srv.URL())
	mine.Conn().SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrSlowConsumer) {
			t.Errorf("client error %v: a message had no room", err)
		}
	})
	p.run(mine, &log, c.handle)
	for i := range 5 {
		before := fmt.Sprintf("before %d", i)
		p.send(before)
		until(t, before, func() bool { return c.has(before) })
		srv.Close()
		if srv, err = embednats.Start(embednats.Options{Listen: addr, DataDir: dir}); err != nil {
			t.Fatal(err)
		}
		for j := range 10 {
			after := fmt.Sprintf("after %d.%d", i, j)
			until(t, "stored after the restart", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				_, err := p.js.Publish(ctx, strings.ToLower(p.name), []byte(after), jetstream.WithMsgID(after))
				return err == nil
			})
		}
		for j := range 10 {
			after := fmt.Sprintf("after %d.%d", i, j)
			until(t, after, func() bool { return c.has(after) })
		}
	}
	if text := log.String(); text != "" {
		t.Errorf("log = %s; want nothing, for the connection's own log says it", text)
	}
}
