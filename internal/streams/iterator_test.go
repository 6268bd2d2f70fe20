package streams

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/natstest"
)

// requestFor is the subject on which messages are asked for.
func (p *post) requestFor() string {
	return "$JS.API.CONSUMER.MSG.NEXT." + p.name + "." + durableName
}

// TestALostRequestIsNoticed: the request never reached the server, and so there
// is nothing from which heartbeats could be missing at first.
func TestALostRequestIsNoticed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		// before is done before the request is lost.
		before func(*post)
	}{
		{"new messages are pending", func(p *post) { p.send("a") }},
		{"nothing is there yet", func(*post) {}},
		{"a parked message is due", func(p *post) {
			p.send("a")
			it := p.open(serverURL, Asking{})
			if err := p.within(soon, p.ask(it)).msg.NakWithDelay(50 * time.Millisecond); err != nil {
				p.t.Fatal(err)
			}
			it.Close()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			row.before(p)
			proxy := natstest.StartProxy(t, serverURL)
			var swallowed atomic.Int64
			proxy.Judge(func(subject string) natstest.Fate {
				if subject == p.requestFor() {
					swallowed.Add(1)
					return natstest.Swallow
				}
				return natstest.Pass
			})
			js := dial(t, proxy.URL())
			a := brisk
			a.Expiry = time.Minute // no heartbeat is missed meanwhile
			begun := time.Now()
			g := p.within(soon, p.ask(p.openOn(js, a)))
			if !errors.Is(g.err, ErrStalled) || !strings.Contains(g.err.Error(), "the server knows of no request") {
				t.Fatalf("Next() = %v; want ErrStalled saying why", g.err)
			}
			if took := time.Since(begun); took < a.LookEvery || took > 20*a.LookEvery {
				t.Errorf("noticed after %s; want not before %s and soon after", took, a.LookEvery)
			}
			if swallowed.Load() == 0 {
				t.Fatal("no request was lost; the test proves nothing")
			}
			proxy.Judge(nil)
			p.send("z")
			if text := p.text(p.openOn(js, brisk)); text != "a" && text != "z" {
				t.Errorf("the next iterator brought %q", text)
			}
		})
	}
}

func TestOwed(t *testing.T) {
	t.Parallel()
	info := func(waiting int, pending uint64, unacked, limit int, paused bool) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{NumWaiting: waiting, NumPending: pending, NumAckPending: unacked, Paused: paused, Config: jetstream.ConsumerConfig{MaxAckPending: limit}}
	}
	for _, row := range []struct {
		name string
		info *jetstream.ConsumerInfo
		says string
	}{
		{"an empty queue owes nothing", info(1, 0, 0, -1, false), ""},
		{"parked and leased messages are not owed", info(1, 0, 50_000, -1, false), ""},
		{"pending messages are owed", info(1, 3, 50_000, -1, false), "3 messages are pending"},
		{"a request that does not stand is owed whatever is due", info(0, 0, 7, -1, false), "no request"},
		{"a paused consumer owes nothing", info(1, 3, 0, -1, true), ""},
		{"a consumer at its limit of unacknowledged messages owes nothing", info(1, 3, 1000, 1000, false), ""},
		{"a consumer below its limit owes what is pending", info(1, 3, 999, 1000, false), "3 messages are pending"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := owed(row.info); (row.says == "") != (got == "") || !strings.Contains(got, row.says) {
				t.Errorf("owed() = %q; want %q", got, row.says)
			}
		})
	}
}

// TestNormalWaitsAreLeftAlone: requests expire and are renewed several times
// while nothing is there to hand out, and the server is asked no more than said.
func TestNormalWaitsAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		before func(*post)
	}{
		{"an empty queue", func(*post) {}},
		{"everything is parked", func(p *post) {
			it := p.open(serverURL, Asking{})
			for range 3 {
				p.send("parked")
				if err := p.within(soon, p.ask(it)).msg.NakWithDelay(time.Hour); err != nil {
					p.t.Fatal(err)
				}
			}
			it.Close()
		}},
		{"the operator has paused the consumer", func(p *post) {
			if _, err := p.js.PauseConsumer(p.t.Context(), p.name, durableName, time.Now().Add(time.Hour)); err != nil {
				p.t.Fatal(err)
			}
			p.send("held back")
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t)
			row.before(p)
			proxy := natstest.StartProxy(t, serverURL)
			var looks atomic.Int64
			proxy.Judge(func(subject string) natstest.Fate {
				if strings.HasPrefix(subject, "$JS.API.CONSUMER.INFO.") {
					looks.Add(1)
				}
				return natstest.Pass
			})
			a := Asking{Batch: 1, Expiry: time.Second, LookEvery: 100 * time.Millisecond}
			it := p.open(proxy.URL(), a)
			const watched = 3500 * time.Millisecond
			select {
			case g := <-p.ask(it):
				t.Fatalf("Next() = %v, %v; want it to wait", g.msg, g.err)
			case <-time.After(watched):
			}
			// One for opening, one for each period, and one more where a renewal
			// of the request was met.
			if n := looks.Load(); n < 10 || n > 1+int64(watched/a.LookEvery)+10 {
				t.Errorf("the server was asked %d times within %s; want about one in %s", n, watched, a.LookEvery)
			}
		})
	}
}

// TestBusyConsumersAreLeftAlone: several workers share a consumer that is
// looked into all the time while messages come one by one.
func TestBusyConsumersAreLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	const workers, messages = 4, 200
	failed, served := make(chan error, workers), make(chan struct{}, messages)
	for range workers {
		it := p.open(serverURL, Asking{Batch: 1, Expiry: time.Second, LookEvery: 100 * time.Millisecond})
		go func() {
			for {
				msg, err := it.Next()
				if err != nil {
					failed <- err
					return
				}
				_ = msg.Ack()
				served <- struct{}{}
			}
		}()
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range messages {
		<-tick.C
		p.send("x")
	}
	for range messages {
		select {
		case <-served:
		case err := <-failed:
			t.Fatalf("Next() = %v; want nothing but messages", err)
		case <-time.After(soon):
			t.Fatal("a message did not come")
		}
	}
}
