package graph

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The 23 pairs, written out: the permission table of Calls.Initiate.All.
var allRoutes = []struct {
	family   Family
	op       Operation
	request  string // method and path below the version, for call c1 and session s1
	body     string
	status   int
	answer   string
	location string
}{
	{Communications, CreateCall, "POST /communications/calls", `{"callbackUri":"https://x"}`, 201, `{"id":"c1"}`, "https://x/calls/c1"},
	{Communications, GetCall, "GET /communications/calls/c1", "", 200, `{"id":"c1"}`, ""},
	{Communications, DeleteCall, "DELETE /communications/calls/c1", "", 204, "", ""},
	{Communications, ListParticipants, "GET /communications/calls/c1/participants", "", 200, `{"value":[]}`, ""},
	{Communications, ListContentSharingSessions, "GET /communications/calls/c1/contentSharingSessions", "", 200, `{"value":[{"id":"s1"}]}`, ""},
	{Communications, GetContentSharingSession, "GET /communications/calls/c1/contentSharingSessions/s1", "", 200, `{"id":"s1"}`, ""},
	{Communications, KeepAlive, "POST /communications/calls/c1/keepAlive", "", 200, "", ""},
	{Communications, Mute, "POST /communications/calls/c1/mute", `{"clientContext":"x"}`, 200, `{"id":"o1"}`, "https://x/operations/o1"},
	{Communications, Unmute, "POST /communications/calls/c1/unmute", `{}`, 200, `{"id":"o1"}`, ""},
	{Communications, PlayPrompt, "POST /communications/calls/c1/playPrompt", `{"prompts":[]}`, 200, `{"id":"o1"}`, ""},
	{Communications, CancelMediaProcessing, "POST /communications/calls/c1/cancelMediaProcessing", `{}`, 200, `{"id":"o1"}`, ""},
	{Communications, Redirect, "POST /communications/calls/c1/redirect", `{"targets":[]}`, 202, "", ""},
	{Communications, Transfer, "POST /communications/calls/c1/transfer", `{"transferTarget":{}}`, 202, "", ""},
	{App, CreateCall, "POST /app/calls", `{"callbackUri":"https://x"}`, 201, `{"id":"c1"}`, "https://x/calls/c1"},
	{App, GetCall, "GET /app/calls/c1", "", 200, `{"id":"c1"}`, ""},
	{App, DeleteCall, "DELETE /app/calls/c1", "", 204, "", ""},
	{App, ListParticipants, "GET /app/calls/c1/participants", "", 200, `{"value":[]}`, ""},
	{App, Mute, "POST /app/calls/c1/mute", `{}`, 200, `{"id":"o1"}`, ""},
	{App, Unmute, "POST /app/calls/c1/unmute", `{}`, 200, `{"id":"o1"}`, ""},
	{App, PlayPrompt, "POST /app/calls/c1/playPrompt", `{"prompts":[]}`, 200, `{"id":"o1"}`, ""},
	{App, CancelMediaProcessing, "POST /app/calls/c1/cancelMediaProcessing", `{}`, 200, `{"id":"o1"}`, ""},
	{App, Redirect, "POST /app/calls/c1/redirect", `{"targets":[]}`, 202, "", ""},
	{App, Transfer, "POST /app/calls/c1/transfer", `{"transferTarget":{}}`, 202, "", ""},
}

func TestRoutesAreExactlyThe23(t *testing.T) {
	var got, want []string
	for _, r := range Routes() {
		path := strings.NewReplacer("{call}", "c1", "{session}", "s1").Replace(r.Template)
		got = append(got, string(r.Family)+" "+string(r.Operation)+" "+r.Method+" "+path)
	}
	for _, r := range allRoutes {
		want = append(want, string(r.family)+" "+string(r.op)+" "+r.request)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 23 {
		t.Errorf("Routes() has %d (-want +got):\n%s", len(got), diff)
	}
}

func TestDoSendsEachRoute(t *testing.T) {
	for _, r := range allRoutes {
		t.Run(r.request, func(t *testing.T) {
			g := startGraph(t, answering(r.status, r.answer, "Location", r.location, "request-id", "rid-1"))
			c := newClient(t, g.base(), func(o *Options) { o.Route = r.family })
			req := Request{Operation: r.op, Body: []byte(r.body), ScenarioID: "scenario-1"}
			if r.op != CreateCall {
				req.CallID = "c1"
			}
			if r.op == GetContentSharingSession {
				req.SessionID = "s1"
			}
			resp, err := c.Do(context.Background(), req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Status != r.status || string(resp.Body) != r.answer || resp.Location != r.location || resp.RequestID != "rid-1" {
				t.Errorf("Do() = %+v; want status %d, body %s, location %s", resp, r.status, r.answer, r.location)
			}
			if r.answer == "" && resp.Body != nil {
				t.Errorf("Body = %q; want nil", resp.Body)
			}
			all := g.seen()
			if len(all) != 1 {
				t.Fatalf("Graph saw %d requests; want 1", len(all))
			}
			got := all[0]
			if line := got.Method + " " + strings.TrimPrefix(got.URI, "/v1.0"); line != r.request {
				t.Errorf("request = %s; want %s", line, r.request)
			}
			if got.Body != r.body || got.ContentLength != int64(len(r.body)) {
				t.Errorf("body = %q, length %d; want %q", got.Body, got.ContentLength, r.body)
			}
			wantType := ""
			if r.body != "" {
				wantType = "application/json"
			}
			wantHeader := map[string]string{
				"Authorization": "Bearer fixed-token", "Accept": "application/json", "Content-Type": wantType,
				"Scenario-Id": "scenario-1", "Client-Request-Id": resp.ClientRequestID,
			}
			for name, want := range wantHeader {
				if v := got.Header.Get(name); v != want {
					t.Errorf("%s = %q; want %q", name, v, want)
				}
			}
			if len(resp.ClientRequestID) != 36 {
				t.Errorf("client-request-id = %q; want a GUID", resp.ClientRequestID)
			}
			if ua := got.Header.Get("User-Agent"); !strings.HasPrefix(ua, "azsdk-go-callbus/1.2.3 ") {
				t.Errorf("User-Agent = %q", ua)
			}
		})
	}
}

func TestAliasFallsBackOnCommunications(t *testing.T) {
	g := startGraph(t, answering(200, `{"value":[],"id":"x"}`))
	c := newClient(t, g.base(), func(o *Options) { o.Route = App })
	for _, op := range []Operation{KeepAlive, ListContentSharingSessions, GetContentSharingSession} {
		if _, err := c.Do(t.Context(), Request{Operation: op, CallID: "c", SessionID: "s"}); err != nil {
			t.Errorf("Do(%s): %v", op, err)
		}
	}
	for _, s := range g.seen() {
		if !strings.HasPrefix(s.URI, "/v1.0/communications/calls/c/") {
			t.Errorf("request to %s; want it under /communications", s.URI)
		}
	}
}

func TestIdsCannotLeaveTheirPathSegment(t *testing.T) {
	g := startGraph(t, answering(200, `{"id":"x"}`))
	c := newClient(t, g.base())
	for id, want := range map[string]string{
		"a/b":            "/v1.0/communications/calls/a%2Fb",
		"a?b=c#d":        "/v1.0/communications/calls/a%3Fb=c%23d",
		"57DAB%2f..%2fx": "/v1.0/communications/calls/57DAB%252f..%252fx",
		"..;a":           "/v1.0/communications/calls/..%3Ba",
		"ü":              "/v1.0/communications/calls/%C3%BC",
	} {
		if _, err := c.Do(t.Context(), Request{Operation: GetCall, CallID: id}); err != nil {
			t.Fatal(err)
		}
		all := g.seen()
		if got := all[len(all)-1].URI; got != want {
			t.Errorf("id %q went to %s; want %s", id, got, want)
		}
	}
	before := len(g.seen())
	for _, id := range []string{"", ".", "..", "a b", "a\nb", strings.Repeat("x", maxID+1)} {
		_, err := c.Do(t.Context(), Request{Operation: GetCall, CallID: id})
		wantError(t, err, BadRequest)
	}
	if n := len(g.seen()); n != before {
		t.Errorf("Graph saw %d requests with bad ids", n-before)
	}
}

func TestUnusableRequestsAreNotSent(t *testing.T) {
	g := startGraph(t, answering(http.StatusOK, `{}`))
	c := newClient(t, g.base())
	for name, r := range map[string]Request{
		"an unknown operation":              {Operation: "answer", CallID: "c"},
		"a create without body":             {Operation: CreateCall},
		"a body that is no JSON":            {Operation: PlayPrompt, CallID: "c", Body: []byte(`{"a":`)},
		"a body that is no object":          {Operation: Redirect, CallID: "c", Body: []byte(`[]`)},
		"a read with a body":                {Operation: GetCall, CallID: "c", Body: []byte(`{}`)},
		"a keepAlive with a body":           {Operation: KeepAlive, CallID: "c", Body: []byte(`{}`)},
		"paging of a call":                  {Operation: GetCall, CallID: "c", Top: 5},
		"a negative top":                    {Operation: ListParticipants, CallID: "c", Top: -1},
		"a session without id":              {Operation: GetContentSharingSession, CallID: "c"},
		"a line break in client-request-id": {Operation: GetCall, CallID: "c", ClientRequestID: "a\r\nX: y"},
		"a line break in Scenario-Id":       {Operation: GetCall, CallID: "c", ScenarioID: "a\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Do(t.Context(), r)
			e := wantError(t, err, BadRequest)
			if e.Sent != NotSent || !e.Definite() || e.Err == nil {
				t.Errorf("error = %+v; want it not sent, definite and with a cause", e)
			}
		})
	}
	if n := len(g.seen()); n != 0 {
		t.Errorf("Graph saw %d requests; want none", n)
	}
}
