package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// badCommands are published as they are by producers who do not use our client.
var badCommands = []struct {
	name   string
	call   commands.CallKey // empty: a good name of the row's own
	action commands.Action  // empty: place
	body   string
	id     string // of the rejection; empty: the sequence stands in
	cause  commands.Cause
	says   string
}{
	{name: "an empty body", body: "", cause: commands.CauseUnreadable, says: "body is empty"},
	{name: "blanks", body: " \n ", cause: commands.CauseUnreadable, says: "body is empty"},
	{name: "no JSON", body: "place a call, please", cause: commands.CauseUnreadable, says: "JSON"},
	{name: "half of a JSON object", body: `{"id":"half","parameters":`, cause: commands.CauseUnreadable, says: "JSON"},
	{name: "two JSON objects", body: `{"id":"a"}{"id":"b"}`, cause: commands.CauseUnreadable, says: "JSON"},
	{name: "JSON of another kind", body: `[{"id":"a"}]`, cause: commands.CauseUnreadable, says: "object"},
	{name: "bytes that are no text", body: "\xff\xfe\x00\x80", cause: commands.CauseUnreadable, says: "body"},
	{name: "ten thousand brackets", body: strings.Repeat("[", 10_000), cause: commands.CauseUnreadable, says: "body"},
	{name: "more than 64 KiB that still fit the stream", body: `{"id":"big","metadata":{"a":"` + strings.Repeat("x", commands.MaxBody) + `"}}`,
		id: "big", cause: commands.CauseTooLarge, says: "65536"},

	{name: "no id", body: `{"parameters":` + toUser + `}`, cause: commands.CauseInvalid, says: "id is missing"},
	{name: "an id with a dot", body: `{"id":"a.b","parameters":` + toUser + `}`, cause: commands.CauseInvalid, says: "id "},
	{name: "an id with a wildcard", body: `{"id":">","parameters":` + toUser + `}`, cause: commands.CauseInvalid, says: "id "},
	{name: "a reserved id", body: `{"id":"_1","parameters":` + toUser + `}`, cause: commands.CauseInvalid, says: "id "},
	{name: "an id of 129 characters", body: `{"id":"` + strings.Repeat("i", 129) + `","parameters":` + toUser + `}`, cause: commands.CauseInvalid, says: "128"},
	{name: "an id of the wrong type", body: `{"id":4711,"parameters":` + toUser + `}`, cause: commands.CauseInvalid, says: "id is a number"},

	{name: "an unknown member", body: `{"id":"bad","priority":1,"parameters":` + toUser + `}`, id: "bad", cause: commands.CauseInvalid, says: `priority`},
	{name: "an unknown member deep inside", body: `{"id":"bad","parameters":{"mediaConfig":{"colour":"red"},"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}}`,
		id: "bad", cause: commands.CauseInvalid, says: "parameters.mediaConfig.colour"},
	{name: "a member twice", body: `{"id":"bad","wait":"none","wait":"ready","parameters":` + toUser + `}`, id: "bad", cause: commands.CauseInvalid, says: "wait"},
	{name: "a member of the wrong type", body: `{"id":"bad","parameters":[1,2]}`, id: "bad", cause: commands.CauseInvalid, says: "parameters is a list"},
	{name: "a null", body: `{"id":"bad","tenantId":null,"parameters":` + toUser + `}`, id: "bad", cause: commands.CauseInvalid, says: "tenantId"},
	{name: "a place without a target", body: `{"id":"bad","parameters":{}}`, id: "bad", cause: commands.CauseInvalid, says: "targets"},
	{name: "the worker's own member", body: `{"id":"bad","parameters":{"callbackUri":"https://contoso.com/steal","targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}}`,
		id: "bad", cause: commands.CauseInvalid, says: "callbackUri"},
	{name: "a reply to somebody else's subject", body: `{"id":"bad","replyTo":"calls.commands.crm.x.hangup","parameters":` + toUser + `}`,
		id: "bad", cause: commands.CauseInvalid, says: "replyTo"},
	{name: "a life of a week", body: `{"id":"bad","expiresAt":"2999-01-01T00:00:00Z","parameters":` + toUser + `}`, id: "bad", cause: commands.CauseInvalid, says: "72 hours"},

	{name: "a tenant that is not served", body: `{"id":"bad","tenantId":"11111111-2222-3333-4444-555555555555","parameters":` + toUser + `}`,
		id: "bad", cause: commands.CauseTenantNotServed, says: "tenantId"},
	{name: "a phone number outside of --allow-phone", body: `{"id":"bad","parameters":` + toPhone + `}`,
		id: "bad", cause: commands.CausePhoneNotAllowed, says: "phone number"},
	{name: "a command for a call that was never placed", action: commands.Mute, body: `{"id":"bad"}`, id: "bad", cause: commands.CauseNoSuchCall, says: "no call"},

	{name: "a callRef outside of the alphabet", call: commands.CallKey{Producer: "crm", CallRef: "order!4711"}, body: `{"id":"bad","parameters":` + toUser + `}`,
		id: "bad", cause: commands.CauseInvalid, says: "callRef"},
	{name: "a callRef of 129 characters", call: commands.CallKey{Producer: "crm", CallRef: strings.Repeat("r", 129)}, body: `{"id":"bad","parameters":` + toUser + `}`,
		id: "bad", cause: commands.CauseInvalid, says: "128"},
	{name: "a callRef that is a filter for all calls", call: commands.CallKey{Producer: "crm", CallRef: "*"}, body: `{"id":"bad","parameters":` + toUser + `}`,
		id: "bad", cause: commands.CauseInvalid, says: "callRef"},
	{name: "a producer that is a filter for all", call: commands.CallKey{Producer: "*", CallRef: "row-1"}, body: `{"id":"bad","parameters":` + toUser + `}`,
		id: "bad", cause: commands.CauseInvalid, says: "producer"},
	{name: "a reserved producer", call: commands.CallKey{Producer: "_incoming", CallRef: "c"}, body: `{"id":"bad","parameters":` + toUser + `}`,
		id: "bad", cause: commands.CauseInvalid, says: "producer"},
}

// TestBadCommandsAreRejected: each gets one rejection that says what is wrong
// and one dead letter with the original in it; Graph hears nothing of it; and
// what comes after it, for its own call or another, is executed.
func TestBadCommandsAreRejected(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, func(o *Options) { o.AllowPhone = []string{"+49"} })
	for i, row := range badCommands {
		t.Run(row.name, func(t *testing.T) {
			c := *c
			c.t = t
			call, action := row.call, row.action
			if call == (commands.CallKey{}) {
				call = commands.CallKey{Producer: "crm", CallRef: fmt.Sprintf("row-%d", i)}
			}
			if action == "" {
				action = commands.Place
			}
			seq := c.send(call, action, []byte(row.body))
			safe := call.Literal()
			k := commands.Key{Producer: safe.Producer, CallRef: safe.CallRef, ID: row.id}
			if k.ID == "" {
				k.ID = fmt.Sprintf("_%d", seq)
			}

			r := c.final(k)
			if r.Status != commands.Rejected || r.Error == nil || r.Error.Code != string(row.cause) || !strings.Contains(r.Error.Message, row.says) {
				t.Fatalf("result = %s %+v; want rejected, %s, a message with %q", r.Status, r.Error, row.cause, row.says)
			}
			assertOneLine(t, "error.message", r.Error.Message)
			if strings.Contains(r.Error.Message, "2345678001") {
				t.Errorf("error.message = %q; repeats the phone number", r.Error.Message)
			}
			l := c.letter(k)
			original, err := l.OriginalBody()
			if l.Cause != row.cause || l.Sequence != seq || err != nil || string(original) != row.body {
				t.Errorf("dead letter = %s of %d, %q, %v; want %s of %d with the original", l.Cause, l.Sequence, clip(original), err, row.cause, seq)
			}
			if row.call == (commands.CallKey{}) {
				c.want(call.CallRef, "next", commands.Place, toUser, nil)
			}
		})
	}
	c.want("another", "p", commands.Place, strings.Replace(toPhone, "+1", "+49", 1), nil)
	c.idle()
	if got, want := c.count("CALL_DEAD"), uint64(len(badCommands)); got != want {
		t.Errorf("%d dead letters; want %d", got, want)
	}
	named := 0
	for _, row := range badCommands {
		if row.call == (commands.CallKey{}) {
			named++
		}
	}
	if got, want := c.sim.Sim.Stats().Calls.Created, named+1; got != want {
		t.Errorf("Graph saw %d calls; want %d, those of the good commands", got, want)
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 60)] }

// TestBadPublishing: what the server refuses, the producer hears at once, and
// nothing is stored.
func TestBadPublishing(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	tooBig := func(err error) bool {
		api, ok := errors.AsType[*jetstream.APIError](err)
		return ok && strings.Contains(api.Description, "message size exceeds maximum allowed")
	}
	noStream := func(err error) bool { return errors.Is(err, jetstream.ErrNoStreamResponse) }
	for _, row := range []struct {
		name    string
		subject string
		size    int
		want    func(error) bool
	}{
		{"10 MB are more than the server's max_payload", "calls.commands.crm.big.place", 10_000_000, func(err error) bool { return errors.Is(err, nats.ErrMaxPayload) }},
		{"1 MiB is more than the queue takes", "calls.commands.crm.big.place", 1 << 20, tooBig},
		{"a body and headers of 72 KiB and a byte are more than the queue takes", "calls.commands.crm.big.place", 72<<10 + 1, tooBig},
		{"an action in other letters has no stream", "calls.commands.crm.a.Place", 2, noStream},
		{"an action of Graph's name has no stream", "calls.commands.crm.a.createCall", 2, noStream},
		{"a subject without an action has no stream", "calls.commands.crm.a", 2, noStream},
		{"a callRef with a dot has no stream", "calls.commands.crm.a.b.place", 2, noStream},
		{"another prefix has no stream", "staging.commands.crm.a.place", 2, noStream},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := c.js.Publish(t.Context(), row.subject, bytes.Repeat([]byte("x"), row.size), jetstream.WithRetryAttempts(0))
			if err == nil || !row.want(err) {
				t.Fatalf("Publish() = %v", err)
			}
			assertOneLine(t, "error", err.Error())
		})
	}
	if got := c.count("CALL_COMMANDS") + c.count("CALL_RESULTS") + c.count("CALL_DEAD"); got != 0 {
		t.Errorf("%d messages stored; want none", got)
	}
	c.want("big", "p", commands.Place, toUser, nil)
}

// TestOneIDTwoCommands: the first stands, the second is a dead letter, and a
// producer that asked for copies is told.
func TestOneIDTwoCommands(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	first := c.want("a", "p", commands.Place, toUser, nil)

	inbox, err := c.js.Conn().SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	other := body("p", toGroup, map[string]any{"replyTo": inbox.Subject})
	k := key("a", "p")
	seq := c.send(k.Call(), commands.Place, other)
	l := c.letter(k)
	if original, err := l.OriginalBody(); l.Cause != commands.CauseIDConflict || l.Sequence != seq || err != nil || !bytes.Equal(original, other) {
		t.Errorf("dead letter = %+v, %v; want idConflict with the second body", l, err)
	}
	told, err := inbox.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	var copied commands.Result
	if err := json.Unmarshal(told.Data, &copied); err != nil || copied.Status != commands.Rejected || copied.Error == nil || copied.Error.Code != "idConflict" {
		t.Errorf("copy = %s, %v; want rejected, idConflict", told.Data, err)
	}
	assertOneLine(t, "error.message", copied.Error.Message)

	// The same id for another action of the call is as much a conflict.
	seq = c.send(k.Call(), commands.Hangup, body("p", "", nil))
	eventually(t, patience, "a second dead letter", func() (bool, string) { return c.letter(k).Sequence == seq, "" })

	if again := c.final(k); again.CallID != first.CallID || !again.Time.Equal(first.Time) {
		t.Errorf("the first outcome is now %+v; want it to stand: %+v", again, first)
	}
	c.idle()
	if s := c.sim.Sim.Stats().Calls; s.Created != 1 || s.Live != 1 {
		t.Errorf("calls = %+v; want the first one, alive", s)
	}
	c.want("a", "bye", commands.Hangup, "", nil)
}

// TestARepeatedPublishIsExecutedOnce, with and without the server's help.
func TestARepeatedPublishIsExecutedOnce(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	k := key("a", "p")
	same := body("p", toUser, nil)
	for range 5 { // while the first is in work
		c.send(k.Call(), commands.Place, same)
	}
	first := c.final(k)
	for range 5 { // and after it has ended
		c.send(k.Call(), commands.Place, same)
	}
	c.idle()
	if s := c.sim.Sim.Stats().Calls; s.Created != 1 {
		t.Errorf("Graph was asked for %d calls; want 1", s.Created)
	}
	finals := 0
	for _, r := range allResults(t, c.js) {
		if r.Final {
			finals++
		}
	}
	if again := c.final(k); finals != 1 || first.Status != commands.Succeeded || !again.Time.Equal(first.Time) || c.count("CALL_DEAD") != 0 {
		t.Errorf("%d final records, %s, %d dead letters; want one success and none", finals, first.Status, c.count("CALL_DEAD"))
	}

	stored := 0
	for range 3 {
		ack, err := c.js.Publish(t.Context(), "calls.commands.crm.b.place", same, jetstream.WithMsgID("crm.b.p"))
		if err != nil {
			t.Fatal(err)
		}
		if !ack.Duplicate {
			stored++
		}
	}
	if stored != 1 {
		t.Errorf("a Nats-Msg-Id was stored %d times; want once", stored)
	}
	c.final(key("b", "p"))
}
