package graphsim

import (
	"testing"
	"time"
)

func TestACallIsAnswered(t *testing.T) {
	for _, id := range []string{"alice", "voicemail-660"} {
		story(t, nil, func(w *world) {
			body := sample(t, "application-post-calls.1.request")
			body["targets"].([]any)[0].(object)["identity"].(object)["user"].(object)["id"] = id
			call := w.place(body)
			w.pass(0)
			w.wantTold("updated establishing")
			w.pass(w.opts.AnswerAfter)
			w.wantTold("updated established")
			if res := w.do("GET", calls+"/"+call, nil); res.body["mediaState"].(object)["audio"] != "inactive" {
				t.Errorf("mediaState %v; want inactive right after the answer", res.body["mediaState"])
			}
			w.pass(w.opts.StepDuration)
			w.wantTold("updated established audio active")
			read := sample(t, "call-get.1.response")
			delete(read["mediaConfig"].(object), "preFetchMedia") // which the request did not have
			contains(t, "call", read, w.do("GET", calls+"/"+call, nil).body)
			if res := w.do("GET", calls+"/"+call+"/participants", nil); len(res.body["value"].([]any)) != 0 {
				t.Errorf("participants %v; want none of a peer-to-peer call", res.body["value"])
			}
			w.pass(44 * time.Minute)
			w.wantTold()
		})
	}
}

func TestCalleesThatDoNotAnswer(t *testing.T) {
	user, phone := func(s string) object { return userCall("alice-" + s) }, func(s string) object { return phoneCall("+12345678" + s) }
	tests := []struct {
		name  string
		body  object
		after time.Duration
		want  string
	}{
		{"a busy user", user("486"), 300 * time.Millisecond, "deleted terminated 486/0"},
		{"a busy phone", phone("486"), 300 * time.Millisecond, "deleted terminated 486/560486"},
		{"a user who declines", user("603"), 300 * time.Millisecond, "deleted terminated 487/10024"},
		{"a phone that declines", phone("603"), 300 * time.Millisecond, "deleted terminated 603/0"},
		{"a user who does not answer", user("487"), 5 * time.Second, "deleted terminated 487/10004"},
		{"an unreachable user", user("480"), 0, "deleted terminated 480/10037"},
		{"media that fails", phone("500"), 300 * time.Millisecond, "deleted terminated 500/1005"},
		{"a group that declines", userCall("a-486", "b-603"), 300 * time.Millisecond, "deleted terminated 200/5003"},
		{"a group that does not answer", userCall("a-486", "b-487"), 5 * time.Second, "deleted terminated 200/5012"},
		{"a meeting with failing media", meetingCall("o-500"), 300 * time.Millisecond, "deleted terminated 500/1005"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				id := w.place(tt.body)
				if tt.after > 0 {
					w.pass(tt.after - time.Millisecond)
					w.wantTold("updated establishing")
					w.pass(time.Millisecond)
					w.wantTold(tt.want)
				} else {
					w.pass(0)
					w.wantTold("updated establishing", tt.want)
				}
				if res := w.do("GET", calls+"/"+id, nil); res.status != 404 || res.code() != "8522" {
					t.Errorf("an ended call answers %d %s; want 404 8522", res.status, res.code())
				}
				if c, ok := w.Call(id); !ok || c.State != "terminated" || c.Ended.IsZero() {
					t.Errorf("Call() = %+v, %v; want it terminated", c, ok)
				}
				w.pass(time.Hour)
				w.wantTold()
			})
		})
	}
}

func TestEndsOfACall(t *testing.T) {
	tests := []struct {
		name string
		body object
		end  func(w *world, id string)
		want []string
	}{
		{"the bot hangs up", userCall("a"), func(w *world, id string) {
			if res := w.do("DELETE", calls+"/"+id, nil); res.status != 204 {
				w.t.Errorf("delete answered %d; want 204", res.status)
			}
			if res := w.do("DELETE", calls+"/"+id, nil); res.status != 204 {
				w.t.Errorf("delete while terminating answered %d; want 204", res.status)
			}
		}, []string{"updated terminating", "deleted terminated 200/7000"}},
		{"the user hangs up", userCall("a"), func(w *world, id string) { w.Hangup(id) }, []string{"deleted terminated 200/18503"}},
		{"the phone hangs up", phoneCall("+12345678901"), func(w *world, id string) { w.Hangup(id) }, []string{"deleted terminated 200/540000"}},
		{"everybody leaves the group", userCall("a", "b"), func(w *world, id string) { w.Hangup(id) }, []string{"deleted terminated 200/5010"}},
		{"nobody keeps it alive", userCall("a"), func(w *world, _ string) { w.pass(45 * time.Minute) }, []string{"deleted terminated 408/8537"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				id := w.placed(tt.body)
				tt.end(w, id)
				w.pass(w.opts.StepDuration)
				w.wantTold(tt.want...)
				for _, method := range []string{"GET", "DELETE"} {
					if res := w.do(method, calls+"/"+id, nil); res.status != 404 || res.code() != "8522" {
						t.Errorf("%s answers %d %s; want 404 8522", method, res.status, res.code())
					}
				}
				if w.Hangup(id) {
					t.Error("Hangup() of an ended call = true; want false")
				}
			})
		})
	}
}

func TestACallIsHungUpWhileItRings(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.place(userCall("alice"))
		w.do("DELETE", calls+"/"+id, nil)
		w.pass(time.Minute)
		w.wantTold("updated establishing", "updated terminating", "deleted terminated 200/7000")
	})
}

func TestACalleeHangsUpOrSharesContent(t *testing.T) {
	story(t, nil, func(w *world) {
		w.placed(userCall("alice-333"))
		w.pass(w.opts.HangupAfter)
		w.wantTold("deleted terminated 200/18503")
	})
	for name, enabled := range map[string]bool{"asked for": true, "not asked for": false} {
		t.Run(name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				id := w.placed(with(userCall("alice-777"), "callOptions", typed("outgoingCallOptions", object{"isContentSharingNotificationEnabled": enabled})))
				w.pass(w.opts.StepDuration)
				for _, action := range []string{ShareUpdate, ShareStop} {
					if err := w.ShareContent(id, action); err != nil {
						t.Error(err)
					}
				}
				w.pass(0)
				got := w.read()
				if !enabled {
					if len(got) > 0 {
						t.Errorf("told %v; want nothing", got)
					}
					return
				}
				if len(got) != 3 {
					t.Fatalf("%d notifications; want 3", len(got))
				}
				for i, changeType := range []string{"created", "updated", "deleted"} {
					contains(t, changeType, sample(t, "notification.application-post-calls.1.contentsharing-"+changeType), got[i].body)
				}
			})
		})
	}
}

func TestContentSharingSessions(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("alice"))
		list := func() []any {
			return w.do("GET", calls+"/"+id+"/contentSharingSessions", nil).body["value"].([]any)
		}
		if got := list(); len(got) != 0 {
			t.Errorf("sessions %v; want none", got)
		}
		if err := w.ShareContent(id, ShareStart); err != nil {
			t.Fatal(err)
		}
		sessions := list()
		if len(sessions) != 1 {
			t.Fatalf("sessions %v; want one", sessions)
		}
		session := sessions[0].(object)["id"].(string)
		res := w.do("GET", calls+"/"+id+"/contentSharingSessions/"+session, nil)
		contains(t, "session", sample(t, "contentsharingsession-get.1.response"), res.body)
		if len(session) != 64 || res.id() != session {
			t.Errorf("session %q read as %q; want 64 digits, the same", session, res.id())
		}
		if res := w.do("GET", calls+"/"+id+"/contentSharingSessions/other", nil); res.status != 404 {
			t.Errorf("another session answers %d; want 404", res.status)
		}
		for name, err := range map[string]error{
			"another action": w.ShareContent(id, "dance"), "no such call": w.ShareContent("x", ShareStart),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		ringing := w.place(userCall("bob"))
		if w.ShareContent(ringing, ShareStart) == nil {
			t.Error("a ringing call shares content")
		}
	})
}

func TestKeepAliveKeepsACallAlive(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("alice"))
		for range 4 {
			w.pass(44 * time.Minute)
			w.post(id, "keepAlive", nil, 200)
		}
		w.wantTold()
		w.pass(45*time.Minute - time.Millisecond)
		w.wantTold()
		w.pass(time.Millisecond)
		w.wantTold("deleted terminated 408/8537")
		w.post(id, "keepAlive", nil, 404)
	})
}

func TestGroupCallsAndMeetingsHaveARoster(t *testing.T) {
	tests := []struct {
		name string
		body object
		n    int
	}{
		{"a group, of which one declines", userCall("a", "b", "c-603"), 3},
		{"a meeting", meetingCall("organizer"), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				id := w.place(tt.body)
				w.pass(w.opts.AnswerAfter)
				got := w.read()
				if len(got) != 3 || got[2].short() != "updated participants" {
					t.Fatalf("told %v; want establishing, established and a roster", got)
				}
				roster := got[2].value()["resourceData"].([]any)
				if contains(t, "roster", rosterOf(sample(t, "notification.call-mute.1.roster"))[0], roster[1]); len(roster) != tt.n {
					t.Errorf("roster of %d; want %d", len(roster), tt.n)
				}
				res := w.do("GET", calls+"/"+id+"/participants", nil)
				contains(t, "participants", sample(t, "call-list-participants.1.response")["value"].([]any)[0], res.body["value"].([]any)[0])

				// Page by page.
				next, ids := "http://graph.test"+calls+"/"+id+"/participants?$top=1", map[string]bool{}
				for range tt.n {
					res := w.do("GET", next[len("http://graph.test"):], nil)
					page := res.body["value"].([]any)
					if len(page) != 1 {
						t.Fatalf("page %v; want one participant", page)
					}
					ids[page[0].(object)["id"].(string)] = true
					next, _ = res.body["@odata.nextLink"].(string)
				}
				if len(ids) != tt.n || next != "" {
					t.Errorf("%d participants by pages, then %q; want %d and no more", len(ids), next, tt.n)
				}
				for _, query := range []string{"$top=0", "$top=x", "$skiptoken=-1"} {
					if res := w.do("GET", calls+"/"+id+"/participants?"+query, nil); res.status != 400 {
						t.Errorf("%s answers %d; want 400", query, res.status)
					}
				}
			})
		})
	}
}

func TestMute(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("a", "b"))
		for i, action := range []string{"mute", "mute", "unmute"} {
			res := w.post(id, action, object{"clientContext": "ctx"}, 200)
			contains(t, action, sample(t, "call-"+action+".1.response"), res.body)
			w.pass(0)
			got := w.read()
			if i == 1 { // already muted
				if len(got) != 0 {
					t.Errorf("told %v; want nothing new", got)
				}
				continue
			}
			if len(got) != 1 {
				t.Fatalf("told %v; want a roster", got)
			}
			roster := rosterOf(got[0].body)
			contains(t, action, rosterOf(sample(t, "notification.call-"+action+".1.roster"))[0], roster[1])
			if bot := roster[0].(object); bot["isMuted"] != (action == "mute") {
				t.Errorf("bot %v; want it muted: %v", bot, action == "mute")
			}
		}
	})
	story(t, nil, func(w *world) {
		group := w.placed(with(userCall("a", "b"), "callOptions", typed("outgoingCallOptions", object{"isDeltaRosterEnabled": true})))
		w.post(group, "mute", nil, 200)
		w.pass(0)
		delta := w.read()[0].value()["resourceData"].(object)
		if delta["@odata.type"] != "#microsoft.graph.deltaParticipants" || delta["sequenceNumber"] != 2.0 || len(delta["participants"].([]any)) != 1 {
			t.Errorf("delta roster %v; want the bot alone with sequence number 2", delta)
		}

		p2p := w.placed(userCall("a"))
		if res := w.post(p2p, "mute", nil, 400); res.code() != "8548" {
			t.Errorf("mute of a peer-to-peer call: %s; want 8548", res.code())
		}
		ringing := w.place(userCall("a", "b"))
		if res := w.post(ringing, "unmute", nil, 400); res.code() != "8501" {
			t.Errorf("unmute of a ringing call: %s; want 8501", res.code())
		}
	})
}

// rosterOf is the array of participants in a notification; the bot comes first.
func rosterOf(notification object) []any {
	return notification["value"].([]any)[0].(object)["resourceData"].([]any)
}
