package producer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

var call = commands.CallKey{Producer: "crm", CallRef: "order-1"}

func TestSendStoresOneMessage(t *testing.T) {
	b := newBus(t)
	ack, err := b.client.Send(t.Context(), call, commands.Hangup, []byte(`{"id":"h1"}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Ack{Stream: "CALL_COMMANDS", Sequence: 1}, ack); diff != "" {
		t.Errorf("Send() (-want +got):\n%s", diff)
	}
	stream, err := b.js.Stream(t.Context(), "CALL_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if msg.Subject != "calls.commands.crm.order-1.hangup" || string(msg.Data) != `{"id":"h1"}` || msg.Header.Get("Nats-Msg-Id") != "crm.order-1.h1" {
		t.Errorf("stored %s %s %s; want hangup of order-1 with the id crm.order-1.h1", msg.Subject, msg.Data, msg.Header)
	}

	again, err := b.client.Send(t.Context(), call, commands.Hangup, []byte(`{"id":"h1"}`))
	if err != nil || !again.Duplicate || again.Sequence != 1 {
		t.Errorf("Send() of the same again = %+v, %v; want the duplicate of 1", again, err)
	}
}

func TestRefusedCommandsSayWhyInOneLine(t *testing.T) {
	full := func(t *testing.T) *bus {
		b := newServer(t, nil)
		b.createStreams(1)
		if _, err := b.client.Send(t.Context(), call, commands.Place, []byte(`{"id":"first"}`)); err != nil {
			t.Fatal(err)
		}
		return b
	}
	restricted := func(t *testing.T) *bus {
		return newBusWith(t, producersApart, nats.UserInfo("worker", "w"))
	}
	down := func(t *testing.T) *bus {
		b := newBus(t)
		b.server.Shutdown()
		b.server.WaitForShutdown()
		waitFor(t, func() bool { return !b.worker.IsConnected() })
		return b
	}
	tests := []struct {
		name string
		bus  func(*testing.T) *bus
		as   string // user; empty: the worker
		call commands.CallKey
		body string
		why  Refusal
		says string
	}{
		{"a full queue refuses and drops nothing", full, "", call, `{"id":"b"}`, Full, "CALL_COMMANDS is full (maximum messages exceeded): nothing was stored"},
		{"no stream", func(t *testing.T) *bus { return newServer(t, nil) }, "", call, `{"id":"b"}`, NoStream, "no stream takes calls.commands.crm.order-1.hangup: is CALL_COMMANDS there"},
		{"no JetStream", func(t *testing.T) *bus { return newServer(t, func(o *server.Options) { o.JetStream = false }) }, "", call, `{"id":"b"}`, NoStream, "no stream takes"},
		{"a body beyond the contract", newBus, "", call, `{"id":"b","x":"` + strings.Repeat("x", commands.MaxBody) + `"}`, TooLarge, "a body may have 65536"},
		{"a body beyond max_payload", func(t *testing.T) *bus {
			return newBusWith(t, func(o *server.Options) { o.MaxPayload = 1024 })
		}, "", call, `{"id":"b","x":"` + strings.Repeat("x", 2000) + `"}`, TooLarge, "more than the server's max_payload of 1024"},
		{"another's call", restricted, "crm", commands.CallKey{Producer: "shop", CallRef: "order-1"}, `{"id":"b"}`, NotPermitted, "not permitted to use calls.commands.shop.order-1.hangup"},
		{"a connection that is down", down, "", call, `{"id":"b"}`, NoAnswer, "the connection to NATS is down"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.bus(t)
			client := b.client
			if tt.as != "" {
				client = b.newClient(b.connect(nats.UserInfo(tt.as, tt.as), nats.CustomInboxPrefix("_INBOX_"+tt.as)))
			}
			_, err := client.Send(t.Context(), tt.call, commands.Hangup, []byte(tt.body))
			refused, ok := errors.AsType[*RefusedError](err)
			if !ok {
				t.Fatalf("Send() = %v; want a *RefusedError", err)
			}
			if refused.Why != tt.why || !strings.Contains(refused.Error(), tt.says) || strings.Contains(refused.Error(), "\n") {
				t.Errorf("Send() = %s: %s; want %s: …%s…", refused.Why, refused, tt.why, tt.says)
			}
		})
	}
}

func TestNobodyAcknowledges(t *testing.T) {
	b := newServer(t, nil)
	sub, err := b.worker.SubscribeSync("calls.commands.>") // takes it and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // the connection ends with the test
	b.client.ackWait = 50 * time.Millisecond
	_, err = b.client.Send(t.Context(), call, commands.Hangup, []byte(`{"id":"a"}`))
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || refused.Why != NoAnswer || !strings.Contains(err.Error(), "may or may not be stored") {
		t.Errorf("Send() = %v; want: may or may not be stored", err)
	}
}

func TestSendRefusesNamesThatAreNoTokens(t *testing.T) {
	b := newBus(t)
	for _, c := range []commands.CallKey{{Producer: "a.b", CallRef: "x"}, {Producer: "a", CallRef: "*"}, {Producer: "a", CallRef: ""}, {Producer: "_incoming", CallRef: "x"}} {
		if _, err := b.client.Send(t.Context(), c, commands.Hangup, []byte(`{"id":"a"}`)); err == nil {
			t.Errorf("Send(%v) = nil; want an error", c)
		} else if _, ok := errors.AsType[*commands.DecodeError](err); !ok {
			t.Errorf("Send(%v) = %T; want a *commands.DecodeError", c, err)
		}
	}
	if _, err := b.client.Send(t.Context(), call, "hangUp", nil); err == nil || !strings.Contains(err.Error(), "hangup") {
		t.Errorf("Send(hangUp) = %v; want an error that lists the actions", err)
	}
	if _, err := New(b.worker, "a.b"); err == nil {
		t.Error("New() with the prefix a.b = nil; want an error")
	}
}

func TestBodyIDIsEmptyUnlessUsable(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"a-1_B"}`:             "a-1_B",
		`{"id":"_a"}`:                "",
		`{"id":"a b"}`:               "",
		`{"id":""}`:                  "",
		`{"id":null}`:                "",
		`{"id":7}`:                   "",
		`{"ID":"a"}`:                 "",
		`{"id":"a","id":"b"}`:        "",
		`{"x":{"id":"a"}}`:           "",
		`{`:                          "",
		`[]`:                         "",
		``:                           "",
		`{"id":"` + repeat129 + `"}`: "",
	} {
		if got := BodyID([]byte(body)); got != want {
			t.Errorf("BodyID(%s) = %q; want %q", body, got, want)
		}
	}
}

var repeat129 = strings.Repeat("a", 129)

// producersApart gives two producers exactly what the contract lets producers
// do, and the worker everything.
func producersApart(o *server.Options) {
	o.Users = []*server.User{{Username: "worker", Password: "w"}}
	for _, p := range []string{"crm", "shop"} {
		var publish []string
		publish = append(publish, fmt.Sprintf("calls.commands.%s.*.*", p))
		for stream, kind := range map[string]string{"CALL_RESULTS": "results", "CALL_EVENTS": "events"} {
			publish = append(publish,
				fmt.Sprintf("$JS.API.DIRECT.GET.%s.calls.%s.%s.>", stream, kind, p),
				fmt.Sprintf("$JS.API.CONSUMER.CREATE.%s.%s.calls.%s.%s.>", stream, p, kind, p),
				fmt.Sprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", stream, p))
		}
		o.Users = append(o.Users, &server.User{Username: p, Password: p, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: []string{
				"calls.results." + p + ".>", "calls.events." + p + ".>", "calls.replies." + p + ".>", "_INBOX_" + p + ".>"}},
		}})
	}
}

// producerClient is a client with a producer's rights and nothing more.
func (b *bus) producerClient(name string) *Client {
	b.t.Helper()
	return b.newClient(b.connect(nats.UserInfo(name, name), nats.CustomInboxPrefix("_INBOX_"+name)))
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !what() {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen in 20 s")
		}
		time.Sleep(2 * time.Millisecond)
	}
}
