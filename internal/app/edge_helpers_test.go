package app

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
)

// Bodies of commands that the simulated Graph carries out.
const (
	toUser  = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`
	toGroup = `{"targets":[{"identity":{"user":{"id":"98da8a1a-1b87-452c-a713-65d3f10b5001"}}},{"identity":{"user":{"id":"bf5aae9a-d11d-47a8-93b1-782504c95002"}}}]}`
	toPhone = `{"source":{"identity":{"applicationInstance":{"id":"3d913abb-aec0-4964-8fa6-3c6850c4f278"}}},"targets":[{"identity":{"phone":{"id":"+12345678001"}}}]}`
	aPrompt = `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/beep.wav"}}]}`
)

// patience bounds every wait for what must come.
const patience = 30 * time.Second

// counter is a producer's counter in front of one worker: what it publishes and
// what it can read of the outcome.
type counter struct {
	t   *testing.T
	js  jetstream.JetStream
	sim *graphsim.Server
	w   *Worker
}

// openCounter starts a NATS server, a simulated Graph that answers at once and a
// worker, each for this test alone.
func openCounter(t *testing.T, o graphsim.Options, change func(*Options)) *counter {
	t.Helper()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	if o.AnswerAfter == 0 {
		o.AnswerAfter = 20 * time.Millisecond
	}
	sim := startSim(t, o)
	w, _ := startWorker(t, "edge", srv.URL(), sim, change)
	return &counter{t: t, js: connect(t, srv.URL()), sim: sim, w: w}
}

func key(callRef, id string) commands.Key {
	return commands.Key{Producer: "crm", CallRef: callRef, ID: id}
}

// send publishes a body as it is and returns its place in the queue.
func (c *counter) send(call commands.CallKey, action commands.Action, body []byte) uint64 {
	c.t.Helper()
	ack, err := c.js.Publish(c.t.Context(), commands.DefaultPrefix.Command(call, action), body)
	if err != nil {
		c.t.Fatal(err)
	}
	return ack.Sequence
}

// ask publishes a well-formed command and returns its final record.
func (c *counter) ask(callRef, id string, action commands.Action, parameters string, more map[string]any) commands.Result {
	c.t.Helper()
	k := key(callRef, id)
	c.send(k.Call(), action, body(id, parameters, more))
	return c.final(k)
}

// want is ask for a command that must succeed.
func (c *counter) want(callRef, id string, action commands.Action, parameters string, more map[string]any) commands.Result {
	c.t.Helper()
	r := c.ask(callRef, id, action, parameters, more)
	if r.Status != commands.Succeeded {
		c.t.Fatalf("%s %s ended %s: %+v; want it to succeed", callRef, action, r.Status, r.Error)
	}
	return r
}

// final waits for a command's final record.
func (c *counter) final(k commands.Key) (r commands.Result) {
	c.t.Helper()
	eventually(c.t, patience, "an outcome of "+k.CallRef+" "+k.ID, func() (bool, string) {
		ok := c.last("CALL_RESULTS", commands.DefaultPrefix.Result(k), &r)
		return ok && r.Final, string(r.Status)
	})
	return r
}

// letter returns a command's latest dead letter.
func (c *counter) letter(k commands.Key) (l commands.DeadLetter) {
	c.t.Helper()
	eventually(c.t, patience, "a dead letter of "+k.CallRef+" "+k.ID, func() (bool, string) {
		return c.last("CALL_DEAD", commands.DefaultPrefix.Dead(k), &l), ""
	})
	return l
}

// last reads the latest message of one subject.
func (c *counter) last(stream, subject string, into any) bool {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	msg, err := s.GetLastMsgForSubject(c.t.Context(), subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false
	}
	if err == nil {
		err = json.Unmarshal(msg.Data, into)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return true
}

// count is the number of messages in a stream.
func (c *counter) count(stream string) uint64 {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// idle waits until no command is left in the queue.
func (c *counter) idle() {
	c.t.Helper()
	eventually(c.t, patience, "an empty queue", func() (bool, string) { return queueEmpty(c.t, c.js) })
}

// assertOneLine holds a message for people to the house's rule: one line that
// says something, without a trace of the program's insides.
func assertOneLine(t *testing.T, what, text string) {
	t.Helper()
	if strings.TrimSpace(text) == "" || strings.ContainsAny(strings.TrimSuffix(text, "\n"), "\n\r") || len(text) > 1000 {
		t.Errorf("%s = %q; want one line", what, text)
	}
	for _, inside := range []string{"goroutine ", "panic", ".go:", "0xc0"} {
		if strings.Contains(text, inside) {
			t.Errorf("%s = %q; shows %q", what, text, inside)
		}
	}
}
