package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/producer"
)

// TestFullQueue: producers are refused in one clear line, what was taken is
// executed, and what was refused goes in when the workers have caught up.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	c, _ := openLogged(t, graphsim.Options{Faults: []graphsim.Fault{{Operation: "createCall", Delay: 50 * time.Millisecond}}})
	c.limit("CALL_COMMANDS", 4<<10, -1)
	p, err := producer.New(c.js.Conn(), "")
	if err != nil {
		t.Fatal(err)
	}
	const n = 60
	refusals := 0
	var keys []commands.Key
	for i := range n {
		k := key(numbered("full", i), "p")
		keys = append(keys, k)
		eventually(t, patience, "room for "+k.CallRef, func() (bool, string) {
			_, err := p.Send(t.Context(), k.Call(), commands.Place, body("p", toUser, nil))
			if err == nil {
				return true, ""
			}
			refused, ok := errors.AsType[*producer.RefusedError](err)
			if !ok || refused.Why != producer.Full || !strings.Contains(err.Error(), "CALL_COMMANDS is full (maximum bytes exceeded): nothing was stored") {
				t.Fatalf("Send() = %v; want a refusal because the queue is full", err)
			}
			refusals++
			return false, ""
		})
	}
	if refusals == 0 {
		t.Fatal("the queue was never full; the test proves nothing")
	}
	for _, k := range keys {
		if r := c.final(k); r.Status != commands.Succeeded {
			t.Errorf("%s ended %s %+v; want it to succeed", k.CallRef, r.Status, r.Error)
		}
	}
	c.idle()
	c.finals(keys...)
	c.dialledOnce(n)
}

// TestFullJournal: what cannot be journalled is not sent. Commands stay in the
// queue, the log says why, and everything goes on when there is room.
func TestFullJournal(t *testing.T) {
	t.Parallel()
	c, log := openLogged(t, graphsim.Options{AnswerAfter: 10 * time.Millisecond})
	c.want("live", "p", commands.Place, toGroup, nil)
	c.want("gone", "p", commands.Place, toUser, nil)
	c.idle()
	makeRoom := c.fill("CALL_RESULTS")
	keys := []commands.Key{key("new", "p"), key("live", "m"), key("gone", "bye")}
	c.send(keys[0].Call(), commands.Place, body("p", toUser, nil))
	c.send(keys[1].Call(), commands.Mute, body("m", "", nil))
	c.send(keys[2].Call(), commands.Hangup, body("bye", "", nil))
	log.wait("CALL_RESULTS is full (maximum bytes exceeded): until there is room, no command is sent to Graph; raise --results-max-bytes")
	c.still(3*time.Second, "the journal is full")
	if got := refusedCount(t, c.w, "RESULTS", "full"); got == 0 {
		t.Error("callbus_store_refused_total{stream=\"RESULTS\",reason=\"full\"} is 0; want it to count")
	}
	if n := c.count("CALL_COMMANDS"); n != 3 {
		t.Errorf("%d commands are queued; want all 3 to wait", n)
	}
	makeRoom()
	for _, k := range keys {
		if r := c.final(k); r.Status != commands.Succeeded {
			t.Errorf("%s %s ended %s %+v; want it to succeed", k.CallRef, k.ID, r.Status, r.Error)
		}
	}
	c.idle()
	c.finals(keys...)
	c.dialledOnce(3)
}

// TestJournalFillsUpDuringARequest: Graph has made the call, and there is no
// room to say so. It is not dialled again.
func TestJournalFillsUpDuringARequest(t *testing.T) {
	t.Parallel()
	c, log := openLogged(t, graphsim.Options{Faults: []graphsim.Fault{{Operation: "createCall", Delay: 500 * time.Millisecond}}})
	k := key("during", "p")
	c.send(k.Call(), commands.Place, body("p", toUser, nil))
	eventually(t, patience, "the request is with Graph", func() (bool, string) { n, _ := c.sent(); return n > 0, "" })
	makeRoom := c.fill("CALL_RESULTS")
	log.wait("CALL_RESULTS is full")
	eventually(t, patience, "the call is up", func() (bool, string) { _, n := c.sent(); return n > 0, "" })
	<-time.After(2 * time.Second)
	if n := c.count("CALL_COMMANDS"); n != 1 {
		t.Errorf("%d commands are queued; want the place to stay until its outcome is stored", n)
	}
	makeRoom()
	if r := c.final(k); r.Status != commands.Succeeded {
		t.Errorf("the place ended %s %+v; want it recognised by its notification", r.Status, r.Error)
	}
	c.idle()
	c.finals(k)
	c.dialledOnce(1)
}

// TestFullDeadLetters: no letter goes unseen. What needs one stays in the queue.
func TestFullDeadLetters(t *testing.T) {
	t.Parallel()
	c, log := openLogged(t, graphsim.Options{})
	wrong := func(id string) commands.Key {
		k := key("wrong", id)
		c.send(k.Call(), commands.Place, body(id, toUser, map[string]any{"surprise": 1}))
		return k
	}
	first := wrong("a")
	if r := c.final(first); r.Status != commands.Rejected {
		t.Fatalf("a command with an unknown member ended %s; want rejected", r.Status)
	}
	makeRoom := c.fill("CALL_DEAD")
	second := wrong("b")
	log.wait("CALL_DEAD is full (maximum bytes exceeded): until there is room, commands that need a look stay in the queue")
	if n := c.count("CALL_COMMANDS"); n != 1 {
		t.Errorf("%d commands are queued; want the one whose letter was refused", n)
	}
	if n := c.count("CALL_DEAD"); n != 1 {
		t.Errorf("%d dead letters are left; want the first one kept", n)
	}
	c.want("fine", "p", commands.Place, toUser, nil) // others go on
	makeRoom()
	if r := c.final(second); r.Status != commands.Rejected {
		t.Errorf("it ended %s; want rejected", r.Status)
	}
	if l := c.letter(second); l.Cause != commands.CauseInvalid {
		t.Errorf("its letter says %s", l.Cause)
	}
	c.idle()
	if n := c.count("CALL_DEAD"); n != 2 {
		t.Errorf("%d dead letters; want one each", n)
	}
}

// TestFullEvents: notifications are answered 503, Graph sends them again, and
// what was stored before is not evicted for them.
func TestFullEvents(t *testing.T) {
	t.Parallel()
	c, log := openLogged(t, graphsim.Options{NotifyAttempts: 50, NotifyBackoff: 100 * time.Millisecond})
	c.want("before", "p", commands.Place, toUser, nil)
	eventually(t, patience, "the first call's news are stored", func() (bool, string) {
		return c.sim.Sim.Stats().Notifications.Pending == 0, "" // the call is up before all of them are
	})
	stored := c.count("CALL_EVENTS")
	makeRoom := c.fill("CALL_EVENTS")
	k := key("during", "p")
	c.send(k.Call(), commands.Place, body("p", toUser, nil))
	log.wait("notification not stored")
	refused := false
	eventually(t, patience, "Graph is told to send it again", func() (bool, string) {
		for _, call := range c.sim.Sim.Calls() {
			for _, n := range call.Notifications {
				refused = refused || (n.Status == 503 && n.Attempts > 1)
			}
		}
		return refused, ""
	})
	if n := c.count("CALL_EVENTS"); n != stored {
		t.Errorf("CALL_EVENTS holds %d events; want the %d that were there", n, stored)
	}
	makeRoom()
	if r := c.final(k); r.Status != commands.Succeeded {
		t.Errorf("the place ended %s %+v; want it to succeed", r.Status, r.Error)
	}
	eventually(t, patience, "every notification stored", func() (bool, string) {
		s := c.sim.Sim.Stats().Notifications
		return s.Pending == 0 && s.Refused == 0 && s.Lost == 0, ""
	})
	c.idle()
	c.dialledOnce(2)
}

// TestRefusedTimersAndRegistry: Graph has taken the command and what is to look
// after the call cannot be stored. The command stays in the queue until it is,
// and nothing is sent twice.
func TestRefusedTimersAndRegistry(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		stream string
		// spoil makes the stream take nothing more, its result puts that right.
		spoil func(*counter) func()
	}{
		// A limit in bytes would evict timers; the server allows no other than
		// that beside message schedules, and provisioning refuses it.
		{"timers", "CALL_TIMERS", func(c *counter) func() {
			c.limit("CALL_TIMERS", -1, 1)
			return func() { c.limit("CALL_TIMERS", -1, -1) }
		}},
		{"the registry", "CALLS", func(c *counter) func() { return c.fill("KV_CALLS") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, log := openLogged(t, graphsim.Options{AnswerAfter: 6 * time.Second}) // it rings meanwhile
			restore := row.spoil(c)
			k := key("during", "p")
			c.send(k.Call(), commands.Place, body("p", toUser, nil))
			log.wait("command put off")
			eventually(t, patience, "the call is up", func() (bool, string) { _, n := c.sent(); return n == 1, "" })
			<-time.After(3 * time.Second) // it comes back meanwhile
			if n := c.count("CALL_COMMANDS"); n != 1 {
				t.Errorf("%d commands are queued; want the place to stay until everything of it is stored", n)
			}
			restore()
			if r := c.final(k); r.Status != commands.Succeeded {
				t.Errorf("the place ended %s %+v; want it to succeed", r.Status, r.Error)
			}
			c.idle()
			c.finals(k)
			c.dialledOnce(1)
			c.want("during", "bye", commands.Hangup, "", nil)
		})
	}
}

// TestFullGates: a worker whose gate cannot be shared keeps it for itself.
func TestFullGates(t *testing.T) {
	t.Parallel()
	c, log := openLogged(t, graphsim.Options{})
	c.want("before", "p", commands.Place, toUser, nil)
	makeRoom := c.fill("KV_CALL_GATES")
	defer makeRoom()
	if err := c.sim.Sim.SetFaults(graphsim.Fault{Operation: "createCall", Count: 1, Status: 429, RetryAfter: "1"}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	c.want("during", "p", commands.Place, toUser, nil)
	if took := time.Since(begun); took < time.Second {
		t.Errorf("it was sent again after %s; want Graph's pause of 1s kept", took)
	}
	log.wait("gate is shut here alone")
	c.dialledOnce(2)
}

// refusedCount reads callbus_store_refused_total.
func refusedCount(t *testing.T, w *Worker, stream, reason string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			l := m.GetLabel() // sorted by name: reason, stream
			if f.GetName() == "callbus_store_refused_total" && l[0].GetValue() == reason && l[1].GetValue() == stream {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no callbus_store_refused_total of %s, %s", stream, reason)
	return 0
}
