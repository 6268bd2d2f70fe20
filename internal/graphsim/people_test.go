package graphsim

import (
	"encoding/json"
	"testing"
	"time"
)

func TestACalleeWithoutAudio(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.place(userCall("a-408"))
		w.pass(time.Hour / 2)
		w.wantTold("updated establishing", "updated established")
		if res := w.post(id, "playPrompt", prompts("https://cdn.contoso.com/hello.wav"), 400); res.code() != "8503" {
			t.Errorf("playPrompt without audio: %s; want 8503", res.code())
		}
	})
}

func TestACalleeWhoLeavesAtOnce(t *testing.T) {
	story(t, nil, func(w *world) {
		w.place(userCall("a-444"))
		w.pass(time.Minute)
		w.wantTold("updated establishing", "updated established", "deleted terminated 200/18503")
	})
}

func TestHold(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("a"))
		if err := w.Hold(id, HoldStart); err != nil {
			t.Fatal(err)
		}
		w.pass(0)
		w.wantTold("updated hold audio inactive")
		if res := w.post(id, "playPrompt", prompts("https://cdn.contoso.com/hello.wav"), 400); res.code() != "8503" {
			t.Errorf("playPrompt on hold: %s; want 8503", res.code())
		}
		if w.Hold(id, "") == nil || w.Hold(id, "dance") == nil || w.Hold("x", "") == nil {
			t.Error("Hold() twice, of no call, or to dance = nil; want errors")
		}
		if err := w.Hold(id, HoldStop); err != nil {
			t.Fatal(err)
		}
		w.pass(0)
		w.wantTold("updated established audio active")
		w.post(id, "playPrompt", prompts("https://cdn.contoso.com/hello.wav"), 200)
		if err := w.Hold(id, HoldStart); err != nil {
			t.Fatal(err)
		}
		w.Hangup(id)
		w.pass(0)
		w.wantTold("updated hold audio inactive", "deleted terminated 200/18503")
	})
}

func TestTheRosterChanges(t *testing.T) {
	carol := json.RawMessage(`{"user":"carol"}`)
	story(t, nil, func(w *world) {
		id := w.placed(userCall("a", "b"))
		size := func() int { return len(rosterOf(w.read()[0].body)) }
		for _, step := range []struct {
			action string
			who    json.RawMessage
			want   int
		}{{RosterJoin, carol, 4}, {RosterMute, carol, 4}, {RosterLeave, carol, 3}, {RosterLeave, json.RawMessage(`{"user":"a"}`), 2}} {
			if err := w.ChangeRoster(id, RosterChange{step.action, step.who}); err != nil {
				t.Fatal(err)
			}
			w.pass(0)
			if got := size(); got != step.want {
				t.Errorf("%s: %d in the roster; want %d", step.action, got, step.want)
			}
		}
		for _, wrong := range []RosterChange{{"dance", carol}, {RosterLeave, carol}, {RosterJoin, json.RawMessage(`{"user":"b"}`)}, {RosterJoin, json.RawMessage(`7`)}} {
			if w.ChangeRoster(id, wrong) == nil {
				t.Errorf("ChangeRoster(%s %s) = nil; want an error", wrong.Action, wrong.Identity)
			}
		}
		if err := w.ChangeRoster(id, RosterChange{RosterLeave, json.RawMessage(`{"user":"b"}`)}); err != nil {
			t.Fatal(err)
		}
		w.pass(0)
		w.wantTold("updated participants", "deleted terminated 200/5010")
	})
	story(t, nil, func(w *world) {
		id := w.placed(with(userCall("a", "b"), "callOptions", typed("outgoingCallOptions", object{"isDeltaRosterEnabled": true})))
		if err := w.ChangeRoster(id, RosterChange{RosterLeave, json.RawMessage(`{"user":"a"}`)}); err != nil {
			t.Fatal(err)
		}
		w.pass(0)
		delta := w.read()[0].value()["resourceData"].(object)["participants"].([]any)
		if len(delta) != 1 || delta[0].(object)["removedState"] == nil {
			t.Errorf("delta roster %v; want who left alone", delta)
		}
		p2p := w.placed(userCall("a"))
		if w.ChangeRoster(p2p, RosterChange{RosterJoin, carol}) == nil || w.ChangeRoster("x", RosterChange{RosterJoin, carol}) == nil {
			t.Error("ChangeRoster() of a peer-to-peer call, or of none = nil; want errors")
		}
	})
}

func TestWhatBecameOfOperations(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("a", "b"))
		w.post(id, "mute", object{"clientContext": "m"}, 200)
		w.post(id, "playPrompt", with(prompts("https://cdn.contoso.com/missing.wav"), "clientContext", "none"), 200)
		w.post(id, "playPrompt", with(prompts("https://cdn.contoso.com/hello.wav"), "clientContext", "cut"), 200)
		w.pass(w.opts.StepDuration)
		w.Hangup(id)
		c, _ := w.Call(id)
		var got []string
		for _, o := range c.Operations {
			line := o.ClientContext + " " + o.Status
			if o.ResultInfo != nil {
				line += " " + o.ResultInfo.Message
			}
			got = append(got, line)
		}
		want := []string{"m completed", "none failed Action failed, the file could not be downloaded.", "cut running"}
		if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("operations %q; want %q", got, want)
		}
	})
}
