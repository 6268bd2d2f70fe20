package executor

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/pacing"
)

func TestRequest(t *testing.T) {
	for _, row := range []struct {
		name       string
		action     commands.Action
		parameters string
		want       graph.Request
	}{
		{"place: callbackUri names producer, callRef, command and attempt", commands.Place, `{"@odata.type":"#microsoft.graph.call","targets":[]}`,
			graph.Request{Operation: graph.CreateCall, Body: []byte(`{"@odata.type":"#microsoft.graph.call","callbackUri":"https://bot.example/[\"crm\",\"order-1\",\"k1\",2]","targets":[]}`)}},
		{"hangup: no body", commands.Hangup, "", graph.Request{Operation: graph.DeleteCall, CallID: "c1"}},
		{"getCall: no body", commands.GetCall, "", graph.Request{Operation: graph.GetCall, CallID: "c1"}},
		{"listParticipants: everything", commands.ListParticipants, "", graph.Request{Operation: graph.ListParticipants, CallID: "c1"}},
		{"listParticipants: a page", commands.ListParticipants, `{"top":20,"skipToken":"s"}`, graph.Request{Operation: graph.ListParticipants, CallID: "c1", Top: 20, SkipToken: "s"}},
		{"listContentSharingSessions: no body", commands.ListContentSharingSessions, "", graph.Request{Operation: graph.ListContentSharingSessions, CallID: "c1"}},
		{"getContentSharingSession: the id goes into the path", commands.GetContentSharingSession, `{"contentSharingSessionId":"s1"}`,
			graph.Request{Operation: graph.GetContentSharingSession, CallID: "c1", SessionID: "s1"}},
		{"mute: the context is the command's id", commands.Mute, "", graph.Request{Operation: graph.Mute, CallID: "c1", Body: []byte(`{"clientContext":"k1"}`)}},
		{"unmute: the context is the command's id", commands.Unmute, `{}`, graph.Request{Operation: graph.Unmute, CallID: "c1", Body: []byte(`{"clientContext":"k1"}`)}},
		{"playPrompt: the context is the command's id", commands.PlayPrompt, `{"prompts":[]}`, graph.Request{Operation: graph.PlayPrompt, CallID: "c1", Body: []byte(`{"clientContext":"k1","prompts":[]}`)}},
		{"playPrompt: the producer's own context is kept", commands.PlayPrompt, `{"prompts":[],"clientContext":"mine"}`,
			graph.Request{Operation: graph.PlayPrompt, CallID: "c1", Body: []byte(`{"clientContext":"mine","prompts":[]}`)}},
		{"cancelMediaProcessing: the context is the command's id", commands.CancelMediaProcessing, "", graph.Request{Operation: graph.CancelMediaProcessing, CallID: "c1", Body: []byte(`{"clientContext":"k1"}`)}},
		{"transfer: the parameters as they are", commands.Transfer, `{"transferTarget":{}}`, graph.Request{Operation: graph.Transfer, CallID: "c1", Body: []byte(`{"transferTarget":{}}`)}},
		{"redirect: the parameters as they are", commands.Redirect, `{"targets":[]}`, graph.Request{Operation: graph.Redirect, CallID: "c1", Body: []byte(`{"targets":[]}`)}},
		{"keepAlive: no body", commands.KeepAlive, "", graph.Request{Operation: graph.KeepAlive, CallID: "c1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := newTestJob(row.action, row.parameters).request()
			if err != nil {
				t.Fatal(err)
			}
			if got.Guard == nil {
				t.Error("the request has no guard: it could be sent by a worker that has lost it")
			}
			got.Guard = nil
			row.want.TenantID = "home"
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("request() (-want +got)\n%s", diff)
			}
		})
	}
}

func TestRequestOfEveryActionHasAnOperation(t *testing.T) {
	seen := map[graph.Operation]commands.Action{}
	for _, a := range commands.Actions {
		op := operationOf(a)
		if other, ok := seen[op]; ok {
			t.Errorf("%s and %s are both %s", a, other, op)
		}
		seen[op] = a
		// The client looks closer at cancelMediaProcessing than the contract does.
		if a != commands.CancelMediaProcessing && op.Idempotent() != a.Idempotent() {
			t.Errorf("%s may be repeated: %t; its operation: %t", a, a.Idempotent(), op.Idempotent())
		}
	}
}

func TestWithRefusesWhatIsNoObject(t *testing.T) {
	if _, err := with(json.RawMessage(`[]`), "callbackUri", "x"); err == nil {
		t.Error("with() of a list = nil; want an error")
	}
}

func TestGuard(t *testing.T) {
	j := newTestJob(commands.Place, "{}")
	if err := j.guard(); !errors.Is(err, errLeaseLost) {
		t.Errorf("guard() of a message whose lease is over = %v; want errLeaseLost", err)
	}
	j.x.opts.Stopping = func() bool { return true }
	if err := j.guard(); !errors.Is(err, errStopping) {
		t.Errorf("guard() of a worker that stops = %v; want errStopping", err)
	}
}

func TestLineAsksNothingOnceStopping(t *testing.T) {
	client, err := graph.New(graph.Options{BaseURL: "http://127.0.0.1:1/v1.0", StaticToken: "fixed"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := Line(client, pacing.NewAdmission(), func() bool { return false }).ReadCall(t.Context(), "home", "c1"); asGraphError(err).Reason != graph.ConnectFailed {
		t.Errorf("ReadCall() with nobody there = %v; want connectFailed", err)
	}
	if e := asGraphError(errors.New("odd")); e.Reason != graph.Lost || e.Definite() {
		t.Errorf("asGraphError() of any error = %+v; want lost, which proves nothing", e)
	}
}

func TestPeek(t *testing.T) {
	due := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		body, id string
		due      time.Time
	}{
		{`{"id":"a1","notBefore":"2026-11-24T10:00:00Z"}`, "a1", due},
		{`{"id":"a1","unknown":true}`, "a1", time.Time{}},
		{`{"id":"_no","notBefore":"2026-11-24T10:00:00Z"}`, "_7", time.Time{}},
		{`{"id":"a1","notBefore":"tomorrow"}`, "_7", time.Time{}},
		{`no JSON`, "_7", time.Time{}},
		{``, "_7", time.Time{}},
	} {
		if id, notBefore := peek(queued(7, row.body)); id != row.id || !notBefore.Equal(row.due) {
			t.Errorf("peek(%s) = %q, %v; want %q, %v", row.body, id, notBefore, row.id, row.due)
		}
	}
}
