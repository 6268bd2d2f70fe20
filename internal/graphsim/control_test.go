package graphsim

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestControlAPI(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.do("POST", calls, userCall("alice"), "client-request-id", "request-1", "User-Agent", "tester").id()
		w.pass(time.Second)
		w.do("POST", "/v1.0/app/calls/"+strings.ToUpper(normalID(id))+"/playPrompt", prompts("https://cdn.example/a.wav"))
		w.do("DELETE", calls+"/"+id, nil)
		w.pass(time.Second)

		var list struct{ Calls []Call }
		read(t, w.do("GET", "/_sim/calls", nil, "Authorization", ""), &list)
		if len(list.Calls) != 1 {
			t.Fatalf("calls %+v; want one", list.Calls)
		}
		c := list.Calls[0]
		if c.ID != id || c.CallbackURI != webhook || c.CallRef != "order-1" || c.State != "terminated" || c.CreatedBy != "request-1" || c.Creates != 1 ||
			c.Ended.IsZero() || *c.ResultInfo != (ResultInfo{200, 7000, "The call was ended by the bot."}) || c.Group || c.TenantID != DefaultTenantID {
			t.Errorf("call %+v", c)
		}
		if len(c.Requests) != 3 || len(c.Notifications) != 5 || c.Notifications[4].Kind != "terminated" || c.Notifications[4].Outcome != "sent" {
			t.Errorf("requests %+v, notifications %+v; want 3 and 5", c.Requests, c.Notifications)
		}

		var log struct{ Requests []Request }
		read(t, w.do("GET", "/_sim/requests", nil), &log)
		want := []struct {
			operation, route string
			status           int
		}{
			{"createCall", "/v1.0/communications/calls", 201},
			{"playPrompt", "/v1.0/app/calls/{id}/playPrompt", 200},
			{"deleteCall", "/v1.0/communications/calls/{id}", 204},
		}
		for i, r := range log.Requests {
			if r.Seq != i+1 || r.Operation != want[i].operation || r.Route != want[i].route || r.Status != want[i].status ||
				r.CallID != id || r.CallRef != "order-1" || !r.Executed || r.Start.IsZero() || r.End.Before(r.Start) {
				t.Errorf("request %d: %+v; want %+v", i, r, want[i])
			}
		}
		if first := log.Requests[0]; first.ClientRequestID != "request-1" || first.UserAgent != "tester" || !json.Valid(first.Body) || !strings.Contains(string(first.Body), "alice") {
			t.Errorf("request %+v; want its headers and body", first)
		}

		var stats Stats
		read(t, w.do("GET", "/_sim/stats", nil), &stats)
		if stats.Total != 3 || len(stats.Requests) != 3 || stats.PeakPerSecond != 2 || stats.Calls.Created != 1 || stats.Calls.Live != 0 || stats.Notifications.Sent != 5 {
			t.Errorf("stats %+v", stats)
		}

		if res := w.do("DELETE", "/_sim/calls", nil); res.status != 204 || len(w.Calls()) != 0 || len(w.Requests()) != 0 || w.Stats().Total != 0 {
			t.Errorf("reset answered %d and left %+v", res.status, w.Calls())
		}
	})
}

func read(t *testing.T, res response, into any) {
	t.Helper()
	if res.status != 200 {
		t.Fatalf("answered %d %s; want 200", res.status, res.text)
	}
	if err := json.Unmarshal([]byte(res.text), into); err != nil {
		t.Fatal(err)
	}
}

func TestControlAPIChangesThings(t *testing.T) {
	story(t, nil, func(w *world) {
		read(t, w.do("PUT", "/_sim/faults", `{"faults":[{"operation":"getCall","status":503}]}`), new(any))
		if res := w.do("GET", calls+"/x", nil); res.status != 503 {
			t.Errorf("with a fault: %d; want 503", res.status)
		}
		var faults struct{ Faults []Fault }
		if read(t, w.do("GET", "/_sim/faults", nil), &faults); len(faults.Faults) != 1 || faults.Faults[0].Status != 503 {
			t.Errorf("faults %+v", faults)
		}
		if res := w.do("DELETE", "/_sim/faults", nil); res.status != 204 {
			t.Errorf("delete faults: %d; want 204", res.status)
		}
		if res := w.do("GET", calls+"/x", nil); res.status != 404 {
			t.Errorf("without faults: %d; want 404", res.status)
		}

		var limits Limits
		if read(t, w.do("PUT", "/_sim/limits", `{"concurrent":1,"retryAfter":"2s"}`), &limits); limits != (Limits{Concurrent: 1, RetryAfter: 2 * time.Second}) {
			t.Errorf("limits %+v", limits)
		}
		read(t, w.do("GET", "/_sim/limits", nil), &limits)
		id := w.place(userCall("a"))
		if res := w.do("POST", calls, userCall("b")); res.status != 429 {
			t.Errorf("over the limit: %d; want 429", res.status)
		}
		w.pass(time.Second)
		w.read()

		if res := w.do("POST", "/_sim/calls/"+id+"/content-sharing", nil); res.status != 204 {
			t.Errorf("content sharing: %d %s; want 204", res.status, res.text)
		}
		if c, _ := w.Call(id); len(c.ContentSharingSessions) != 1 {
			t.Errorf("sessions %v; want one", c.ContentSharingSessions)
		}
		w.do("POST", "/_sim/calls/"+id+"/content-sharing", `{"action":"stop"}`)
		var call Call
		if read(t, w.do("GET", "/_sim/calls/"+id, nil), &call); len(call.ContentSharingSessions) != 0 {
			t.Errorf("sessions %v; want none", call.ContentSharingSessions)
		}
		if res := w.do("POST", "/_sim/calls/"+id+"/hangup", nil); res.status != 204 {
			t.Errorf("hangup: %d %s; want 204", res.status, res.text)
		}
		w.pass(0)
		w.wantTold("deleted terminated 200/18503")

		var created struct{ ID string }
		read(t, w.do("POST", "/_sim/incoming", `{"callbackUri":"https://bot.example/v1/notifications","source":{"phone":"+12345678901"},"tenantId":"`+tenantA+`"}`), &created)
		w.pass(0)
		w.wantTold("created incoming")
		if c, ok := w.Call(created.ID); !ok || c.TenantID != tenantA || c.Direction != "incoming" {
			t.Errorf("incoming call %+v", c)
		}
		var rotated struct{ Kid string }
		if read(t, w.do("POST", "/_sim/keys/rotate", nil), &rotated); rotated.Kid == "" {
			t.Error("no kid after a rotation")
		}
	})
}

func TestControlAPIRefuses(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct {
		method, path, body string
		want               int
		message            string
	}{
		{"PUT", "/_sim/faults", `[{"operation":"x","status":500}]`, 400, `operation \"x\"`},
		{"PUT", "/_sim/faults", ``, 400, "nothing there"},
		{"PUT", "/_sim/limits", `{"speed":1}`, 400, "unknown field"},
		{"POST", "/_sim/incoming", `{"callbackUri":"http://bot.example","source":{"user":"a"}}`, 400, "callbackUri"},
		{"POST", "/_sim/incoming", `{"uri":"x"}`, 400, "unknown field"},
		{"POST", "/_sim/calls/x/hangup", ``, 404, "no such live call"},
		{"GET", "/_sim/calls/x", ``, 404, "no such live call"},
		{"POST", "/_sim/calls/x/content-sharing", `{"action":"stop"}`, 404, "no such live call"},
		{"GET", "/_sim/nonsense", ``, 400, "the control API has"},
	}
	for _, tt := range tests {
		if res := w.do(tt.method, tt.path, tt.body); res.status != tt.want || !strings.Contains(res.text, tt.message) {
			t.Errorf("%s %s %s: %d %s; want %d with %q", tt.method, tt.path, tt.body, res.status, res.text, tt.want, tt.message)
		}
	}
	req := httptest.NewRequest("GET", "/_sim/calls", nil) // from 192.0.2.1
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	if rec.Code != 403 {
		t.Errorf("from another host: %d; want 403", rec.Code)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	story(t, func(o *Options) { o.LogSize = 10; o.AnswerAfter = -1; o.StepDuration = -1 }, func(w *world) {
		live := w.place(userCall("alice"))
		for range 50 {
			id := w.place(userCall("alice-480"))
			w.pass(0)
			w.do("GET", calls+"/"+id, nil)
		}
		if n := len(w.Requests()); n != 10 {
			t.Errorf("%d requests remembered; want 10", n)
		}
		if last := w.Requests()[9]; last.Seq != 101 {
			t.Errorf("the last is number %d; want 101", last.Seq)
		}
		if n := len(w.Calls()); n > 21 {
			t.Errorf("%d calls remembered; want at most about 20", n)
		}
		if _, ok := w.Call(live); !ok {
			t.Error("a live call was forgotten")
		}
		for range 1200 {
			w.post(live, "keepAlive", nil, 200)
		}
		if c, _ := w.Call(live); len(c.Requests) != maxCallHistory {
			t.Errorf("%d requests of one call; want %d", len(c.Requests), maxCallHistory)
		}
	})
}
