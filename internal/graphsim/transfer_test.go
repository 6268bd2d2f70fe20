package graphsim

import (
	"testing"
	"time"
)

func transferTo(id string) object { return object{"transferTarget": target("user", id)} }

func TestTransferSucceeds(t *testing.T) {
	tests := []struct {
		name string
		from object
		body object
	}{
		{"from a peer-to-peer call", userCall("alice"), nil},
		{"from a telephone call to a telephone", phoneCall("+12345678901"), object{"transferTarget": target("phone", "+12345678902")}},
		{"from a group call", userCall("alice", "bob"), nil},
	}
	samples := map[string]string{"from a peer-to-peer call": "call-transfer.1", "from a group call": "call-transfer.5"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				id := w.placed(tt.from)
				body := tt.body
				if body == nil {
					body = sample(t, samples[tt.name]+".request")
				}
				w.post(id, "transfer", body, 202)
				w.pass(0)
				if c, _ := w.Call(id); c.State != "transferring" {
					t.Errorf("state %s; want transferring", c.State)
				}
				w.pass(w.opts.AnswerAfter + w.opts.StepDuration)
				got := w.read()
				want := []string{"updated transferring", "updated transferAccepted", "updated transferAccepted audio inactive", "deleted terminated 0/7015"}
				for i, n := range got {
					if i >= len(want) || n.short() != want[i] {
						t.Fatalf("told %q at %d; want %q", n.short(), i, want)
					}
				}
				if name := samples[tt.name]; name != "" {
					contains(t, "transferring", sample(t, "notification."+name+".transferring"), got[0].body)
					contains(t, "accepted", sample(t, "notification."+name+".transferAccepted"), got[1].body)
					contains(t, "terminated", sample(t, "notification."+name+".terminated"), got[3].body)
				}
			})
		})
	}
}

func TestTransferFails(t *testing.T) {
	for _, to := range []string{"bob-486", "bob-603", "bob-480", "bob-487", "bob-500"} {
		story(t, nil, func(w *world) {
			id := w.placed(userCall("alice"))
			w.post(id, "transfer", transferTo(to), 202)
			w.pass(w.opts.RingTimeout)
			got := w.read()
			if len(got) != 2 || got[1].short() != "updated established 500/7000 subCode" {
				t.Fatalf("%s: told %v; want transferring and established 500/7000", to, got)
			}
			contains(t, "failed", sample(t, "notification.call-transfer.1.transfer-failed"), got[1].body)
			if res := w.do("GET", calls+"/"+id, nil); resultText(res.body["resultInfo"].(object)) != "500/7000" || res.body["state"] != "established" {
				t.Errorf("the call reads %s; want it established with 500/7000", res.text)
			}
			// It lives on and can be transferred again.
			w.post(id, "playPrompt", prompts("https://cdn.example/a.wav"), 200)
			w.post(id, "transfer", transferTo("carol"), 202)
			w.pass(time.Second)
			if c, _ := w.Call(id); c.State != "terminated" {
				t.Errorf("state %s; want terminated", c.State)
			}
		})
	}
}

func TestConsultativeTransfer(t *testing.T) {
	replacing := func(callID, targetID string) object {
		to := target("user", targetID)
		to["replacesCallId"] = callID
		return object{"transferTarget": to}
	}
	story(t, nil, func(w *world) {
		original, consultation := w.placed(userCall("alice")), w.placed(userCall("bob"))
		w.post(original, "transfer", replacing(consultation, "bob"), 202)
		w.pass(time.Minute)
		got := w.told()
		ended := 0
		for _, line := range got {
			if line == "deleted terminated AppTransferred" {
				ended++
			}
		}
		if ended != 2 || len(got) != 5 {
			t.Errorf("told %v; want both legs terminated, AppTransferred", got)
		}
		for _, id := range []string{original, consultation} {
			if c, _ := w.Call(id); c.ResultInfo != nil || c.TerminationReason != "AppTransferred" {
				t.Errorf("call ended %v %q; want AppTransferred alone", c.ResultInfo, c.TerminationReason)
			}
		}
	})
	story(t, nil, func(w *world) {
		id, other := w.placed(userCall("alice")), w.placed(userCall("bob"))
		for name, body := range map[string]object{
			"a call that never was": replacing("57DAB8B1894C409AB240BD8BEAE78896", "bob"),
			"itself":                replacing(id, "bob"),
			"a target that is busy": replacing(other, "bob-486"),
		} {
			w.post(id, "transfer", body, 202)
			w.pass(time.Second)
			if got := w.told(); len(got) != 2 || got[1] != "updated established 500/7700 subCode" {
				t.Errorf("%s: told %v; want 500/7700", name, got)
			}
		}
	})
}

func TestTransferRefuses(t *testing.T) {
	up := func(body object) func(w *world) string { return func(w *world) string { return w.placed(body) } }
	tests := []struct {
		name   string
		call   func(w *world) string
		body   any
		status int
		code   string
	}{
		{"a meeting", up(meetingCall("o")), transferTo("bob"), 400, "8523"},
		{"a group call without a transferee", up(userCall("a", "b")), transferTo("bob"), 400, "8523"},
		{"a ringing call", func(w *world) string { return w.place(userCall("a")) }, transferTo("bob"), 400, "8501"},
		{"a call that is being transferred", func(w *world) string {
			id := w.placed(userCall("a"))
			w.post(id, "transfer", transferTo("bob"), 202)
			return id
		}, transferTo("carol"), 409, "8607"},
		{"nobody", up(userCall("a")), object{}, 400, "8523"},
		{"a target without identity", up(userCall("a")), object{"transferTarget": object{}}, 400, "8523"},
		{"a target that is no object", up(userCall("a")), object{"transferTarget": "bob"}, 400, "BadRequest"},
		{"a telephone from a user's call", up(userCall("a")), object{"transferTarget": target("phone", "+12345678901")}, 400, "8523"},
		{"a telephone that cannot be bound", up(userCall("a")), object{"transferTarget": object{"identity": object{"phone": object{"id": "+1"}}}}, 500, "9999"},
		{"no body", up(userCall("a")), "", 400, "BadRequest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				if res := w.post(tt.call(w), "transfer", tt.body, tt.status); res.code() != tt.code {
					t.Errorf("answered %s; want %s", res.text, tt.code)
				}
			})
		})
	}
}

func incoming(w *world) string {
	w.t.Helper()
	id, err := w.Incoming(IncomingCall{CallbackURI: "https://bot.example/v1/notifications", Source: []byte(`{"user":"carol"}`), TenantID: tenantA})
	if err != nil {
		w.t.Fatal(err)
	}
	w.pass(0)
	return id
}

func TestIncomingCalls(t *testing.T) {
	story(t, nil, func(w *world) {
		id := incoming(w)
		got := w.read()
		if len(got) != 1 {
			t.Fatalf("told %v; want an incoming call", got)
		}
		contains(t, "incoming", sample(t, "notification.call-redirect.1.incoming"), got[0].body)
		w.post(id, "redirect", sample(t, "call-redirect.1.request"), 202)
		if res := w.do("GET", calls+"/"+id, nil); res.body["state"] != "redirecting" {
			t.Errorf("state %v; want redirecting", res.body["state"])
		}
		w.pass(w.opts.AnswerAfter)
		got = w.read()
		if len(got) != 1 || got[0].short() != "deleted terminated" {
			t.Fatalf("told %v; want terminated without a result", got)
		}
		contains(t, "terminated", sample(t, "notification.call-redirect.1.terminated"), got[0].body)
		if want := "https://bot.contoso.com/api/calls/24701998-1a73-4d42-8085-bf46ed0ae039"; got[0].url != want {
			t.Errorf("sent to %s; want the new callbackUri", got[0].url)
		}
	})
	tests := []struct {
		name string
		do   func(w *world, id string)
		want []string
	}{
		{"nobody decides", func(w *world, _ string) { w.pass(14 * time.Second) }, []string{"deleted terminated 487/10004"}},
		{"the caller gives up", func(w *world, id string) { w.Hangup(id) }, []string{"deleted terminated 487/0"}},
		{"the bot rejects", func(w *world, id string) { w.do("DELETE", calls+"/"+id, nil) }, []string{"updated terminating", "deleted terminated 200/7000"}},
		{"redirected to the busy", func(w *world, id string) {
			w.post(id, "redirect", object{"targets": []any{target("user", "b-486"), target("user", "c-603")}}, 202)
		}, []string{"deleted terminated 486/0"}},
		{"redirected to one of several", func(w *world, id string) {
			w.post(id, "redirect", object{"targets": []any{target("user", "b-486"), target("user", "c")}, "timeout": 15}, 202)
		}, []string{"deleted terminated"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				id := incoming(w)
				w.wantTold("created incoming")
				tt.do(w, id)
				w.pass(time.Second)
				w.wantTold(tt.want...)
			})
		})
	}
	story(t, func(o *Options) { o.RingTimeout = time.Hour }, func(w *world) {
		w.post(incoming(w), "redirect", object{"targets": []any{target("user", "b-487")}, "timeout": 15}, 202)
		w.read()
		w.pass(15 * time.Second)
		w.wantTold("deleted terminated 487/10004")
	})
}

func TestRedirectRefuses(t *testing.T) {
	to := []any{target("user", "bob")}
	many := []any{}
	for range 26 {
		many = append(many, target("user", "bob"))
	}
	tests := []struct {
		name string
		call func(w *world) string
		body any
		code string
	}{
		{"an outgoing call", func(w *world) string { return w.placed(userCall("a")) }, object{"targets": to}, "8585"},
		{"a call that is being redirected", func(w *world) string {
			id := incoming(w)
			w.post(id, "redirect", object{"targets": to}, 202)
			return id
		}, object{"targets": to}, "8585"},
		{"no targets", incoming, object{}, "8523"},
		{"26 targets", incoming, object{"targets": many}, "8523"},
		{"a short timeout", incoming, object{"targets": to, "timeout": 14}, "8523"},
		{"a long timeout", incoming, object{"targets": to, "timeout": 91}, "8523"},
		{"a timeout that is no number", incoming, object{"targets": to, "timeout": "15"}, "BadRequest"},
		{"a callbackUri over http", incoming, object{"targets": to, "callbackUri": "http://bot.example"}, "8523"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				if res := w.post(tt.call(w), "redirect", tt.body, 400); res.code() != tt.code {
					t.Errorf("answered %s; want %s", res.text, tt.code)
				}
			})
		})
	}
	story(t, nil, func(w *world) {
		w.post(incoming(w), "redirect", object{"targets": many[:25], "timeout": 90}, 202)
		if res := w.post(incoming(w), "transfer", transferTo("bob"), 400); res.code() != "8501" {
			t.Errorf("transfer of an incoming call: %s; want 8501", res.code())
		}
	})
}

func TestIncomingRefuses(t *testing.T) {
	w := newWorld(t, nil)
	for name, in := range map[string]IncomingCall{
		"no callbackUri":     {Source: []byte(`{"user":"a"}`)},
		"no source":          {CallbackURI: webhook},
		"an empty source":    {CallbackURI: webhook, Source: []byte(`{}`)},
		"a source of a kind": {CallbackURI: webhook, Source: []byte(`{"dog":"rex"}`)},
		"a target of a kind": {CallbackURI: webhook, Source: []byte(`{"user":"a"}`), Target: []byte(`{"user":{}}`)},
	} {
		if id, err := w.Incoming(in); err == nil {
			t.Errorf("%s: Incoming() = %s; want an error", name, id)
		}
	}
}
