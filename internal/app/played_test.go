package app

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

const (
	toWhoLeavesAtOnce = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d444"}}}]}`
	toVoicemail       = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d660"}}}]}`
)

// What the other side does to a call reaches the registry and the producer.
func TestWhatTheOtherSideDoes(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{KeepAliveTimeout: 3 * time.Second}, func(o *Options) { o.KeepAliveInterval = time.Second })
	state := func(callRef, want string) {
		c.known(key(callRef, "").Call(), "is "+want, func(e calls.Entry) bool { return e.State == want })
	}
	ended := func(callRef, reason string) {
		eventually(t, patience, callRef+" ended", func() (bool, string) {
			ends := c.events(callRef, commands.KindEnded)
			return len(ends) == 1 && (reason == "" || ends[0].Reason == reason), ""
		})
	}
	t.Run("holds the call and takes it back", func(t *testing.T) {
		id := c.want("held", "p", commands.Place, toUser, nil).CallID
		c.known(key("held", "").Call(), "has audio", func(e calls.Entry) bool { return e.AudioActive })
		for _, step := range []struct{ action, state string }{{graphsim.HoldStart, calls.StateHold}, {graphsim.HoldStop, calls.StateEstablished}} {
			if err := c.sim.Sim.Hold(id, step.action); err != nil {
				t.Fatal(err)
			}
			state("held", step.state)
		}
		c.want("held", "pp", commands.PlayPrompt, aPrompt, nil)
		c.want("held", "bye", commands.Hangup, "", nil)
		ended("held", "")
	})
	t.Run("joins and leaves a conference", func(t *testing.T) {
		id := c.want("crowd", "p", commands.Place, toGroup, nil).CallID
		people := func(n int) {
			c.known(key("crowd", "").Call(), "has them all", func(e calls.Entry) bool { return e.Participants == n })
		}
		people(3)
		carol := json.RawMessage(`{"user":"carol"}`)
		for _, step := range []struct {
			action string
			n      int
		}{{graphsim.RosterJoin, 4}, {graphsim.RosterLeave, 3}} {
			if err := c.sim.Sim.ChangeRoster(id, graphsim.RosterChange{Action: step.action, Identity: carol}); err != nil {
				t.Fatal(err)
			}
			people(step.n)
		}
		c.want("crowd", "bye", commands.Hangup, "", nil)
		ended("crowd", "")
	})
	t.Run("answers and is gone at once", func(t *testing.T) {
		c.want("brief", "p", commands.Place, toWhoLeavesAtOnce, nil)
		if r := c.ask("brief", "pp", commands.PlayPrompt, aPrompt, nil); r.Status != commands.Failed || r.Error.Class != commands.ClassGone {
			t.Errorf("playPrompt ended %s, %+v; want failed, the call is over", r.Status, r.Error)
		}
		ended("brief", "")
	})
	t.Run("is voicemail, which looks like any answer, and is kept alive beyond Graph's patience", func(t *testing.T) {
		id := c.want("lasting", "p", commands.Place, toVoicemail, nil).CallID
		eventually(t, patience, "five keepAlive requests", func() (bool, string) { return c.asked("lasting", "keepAlive") >= 5, "" })
		if call, _ := c.sim.Sim.Call(id); !call.Ended.IsZero() {
			t.Errorf("call ended %+v; want it alive", call.ResultInfo)
		}
		c.want("lasting", "bye", commands.Hangup, "", nil)
		ended("lasting", "")
	})
	t.Run("is not kept alive by anybody", func(t *testing.T) {
		if err := c.sim.Sim.SetFaults(graphsim.Fault{Operation: "keepAlive", Status: 503}); err != nil {
			t.Fatal(err)
		}
		c.want("forgotten", "p", commands.Place, toUser, nil)
		ended("forgotten", "keepAliveTimeout")
		ends := c.events("forgotten", commands.KindEnded)
		if info := ends[0].ResultInfo; info == nil || info.Code != 408 || info.Subcode != 8537 || ends[0].Hint == "" {
			t.Errorf("end %+v; want 408/8537 with a hint", ends[0])
		}
		if kinds := c.events("forgotten", commands.KindState); !slices.ContainsFunc(kinds, func(e commands.Event) bool { return e.State == calls.StateTerminated }) {
			t.Errorf("no notification of the end among %d events", len(kinds))
		}
	})
}
