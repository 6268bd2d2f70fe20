package app

import (
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// waitRows are commands that would be taken at once if the call were up.
var waitRows = []struct {
	wait       string
	action     commands.Action
	parameters string
}{
	{"ready", commands.Mute, ""},
	{"none", commands.Mute, ""},
	{"turn", commands.Mute, ""},
	{"ready", commands.PlayPrompt, aPrompt},
	{"none", commands.PlayPrompt, aPrompt},
	{"turn", commands.PlayPrompt, aPrompt},
	{"turn", commands.Hangup, ""},
	{"ready", commands.Hangup, ""},
	{"none", commands.Hangup, ""},
}

// sendAll gets a call ready for every row, then publishes the row's command
// for it.
func (c *counter) sendAll(prepare func(callRef string)) {
	c.t.Helper()
	for _, row := range waitRows {
		prepare(string(row.action) + "-" + row.wait)
	}
	for _, row := range waitRows {
		k := key(string(row.action)+"-"+row.wait, "k")
		c.send(k.Call(), row.action, body("k", row.parameters, map[string]any{"wait": row.wait}))
	}
}

// TestWaitOnARingingCall: with "none" Graph decides, otherwise the command is
// held until the call is up; a hang-up is held by nothing but "turn".
func TestWaitOnARingingCall(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{RingTimeout: time.Hour}, nil)
	c.sendAll(c.ring)
	for _, row := range waitRows {
		t.Run(string(row.action)+" "+row.wait, func(t *testing.T) {
			c, callRef := c.of(t), string(row.action)+"-"+row.wait
			k := key(callRef, "k")
			if row.action == commands.Hangup && row.wait != "turn" {
				place := c.final(key(callRef, "p"))
				if r := c.final(k); r.Status != commands.Succeeded || place.Status != commands.Cancelled {
					t.Errorf("ended %s, the place %s; want succeeded, and cancelled while it rang", r.Status, place.Status)
				}
				return
			}
			r := c.waits(k, "callNotReady")
			asked := c.asked(callRef, string(row.action)) > 0 || c.asked(callRef, "deleteCall") > 0
			if sent := row.wait == "none"; asked != sent || (r.Attempts > 0) != sent {
				t.Errorf("Graph was asked: %t, %d attempts; want it asked: %t", asked, r.Attempts, sent)
			}
		})
	}
}

// ring places a call to a conference that nobody joins.
func (c *counter) ring(callRef string) {
	c.t.Helper()
	k := key(callRef, "p")
	c.send(k.Call(), commands.Place, body("p", toNobodies, nil))
	c.reaches(k, "rings", func(r commands.Result) bool { return r.Status == commands.Accepted })
}

// TestWaitWhileAPromptRuns: with "turn" a command comes after the end of what
// was published before it, otherwise after it was sent; a hang-up ends it.
func TestWaitWhileAPromptRuns(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{PromptDuration: time.Hour}, nil)
	c.sendAll(c.prompt)
	for _, row := range waitRows {
		t.Run(string(row.action)+" "+row.wait, func(t *testing.T) {
			c, callRef := c.of(t), string(row.action)+"-"+row.wait
			k, prompt := key(callRef, "k"), key(callRef, "prompt")
			switch {
			case row.wait == "turn":
				if r := c.waits(k, "callNotReady"); r.Attempts != 0 {
					t.Errorf("%d attempts while the prompt runs; want none", r.Attempts)
				}
				c.elsewhere(c.final(key(callRef, "p")).CallID, "cancelMediaProcessing")
				ended := c.final(prompt)
				begun := c.reaches(k, "begun", func(r commands.Result) bool { return r.Attempts == 1 && r.Timing.StartedAt != nil })
				if ended.Status != commands.Failed || begun.Timing.StartedAt.Before(ended.Time) {
					t.Errorf("begun at %s, the prompt ended %s at %s; want it failed, and before", begun.Timing.StartedAt, ended.Status, ended.Time)
				}
			case row.action == commands.Hangup:
				c.final(k)
				if r := c.final(prompt); r.Status != commands.Failed || r.Error.Class != commands.ClassGone {
					t.Errorf("the prompt ended %s, %+v; want failed, gone: it was overtaken", r.Status, r.Error)
				}
			default:
				c.reaches(k, "taken", func(r commands.Result) bool { return r.Status == commands.Accepted || r.Status == commands.Succeeded })
				if got := c.life(prompt); got != "started, accepted" {
					t.Errorf("records of the prompt = %s; want it to run on", got)
				}
			}
		})
	}
}

// prompt has a prompt run in a conference that is up.
func (c *counter) prompt(callRef string) {
	c.t.Helper()
	c.want(callRef, "p", commands.Place, toGroup, nil)
	k := key(callRef, "prompt")
	c.send(k.Call(), commands.PlayPrompt, body("prompt", aPrompt, nil))
	c.reaches(k, "runs", func(r commands.Result) bool { return r.Status == commands.Accepted })
}

// TestASecondPlace: while the call of a callRef lives another place is refused
// and nothing is dialled; after its end the name is free.
func TestASecondPlace(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	first := c.want("a", "p", commands.Place, toUser, nil)
	for _, wait := range []string{"ready", "none", "turn"} {
		id := "refused-" + wait
		r := c.ask("a", id, commands.Place, toUser, map[string]any{"wait": wait})
		if r.Status != commands.Rejected || r.Error == nil || r.Error.Code != "callLives" || r.Error.Class != commands.ClassConflict || !r.Error.Retryable {
			t.Errorf("wait %s: ended %s, %+v; want rejected, callLives, retryable", wait, r.Status, r.Error)
		}
		if l := c.letter(key("a", id)); l.Cause != commands.CauseCallLives {
			t.Errorf("wait %s: dead letter = %s; want callLives", wait, l.Cause)
		}
	}
	if s := c.sim.Sim.Stats().Calls; s.Created != 1 || s.Live != 1 {
		t.Fatalf("calls = %+v; want the first alone, alive", s)
	}

	c.want("a", "bye", commands.Hangup, "", nil)
	eventually(t, patience, "the call over", func() (bool, string) { return len(c.events("a", commands.KindEnded)) == 1, "" })
	second := c.want("a", "second", commands.Place, toUser, nil)
	c.idle()
	if s := c.sim.Sim.Stats().Calls; s.Created != 2 || s.Live != 1 || second.CallID == first.CallID {
		t.Errorf("calls = %+v, the second place has %s; want two, the second alive", s, second.CallID)
	}
}

// TestAPlaceThatWaitsForItsTurn is dialled when the one before it has failed,
// where another would have been refused.
func TestAPlaceThatWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{RingTimeout: 500 * time.Millisecond}, nil)
	k := key("a", "p")
	c.send(k.Call(), commands.Place, body("p", toNobody, nil))
	r := c.ask("a", "turn", commands.Place, toUser, map[string]any{"wait": "turn"})
	before := c.final(k)
	if r.Status != commands.Succeeded || before.Status != commands.Failed || r.Timing.StartedAt.Before(before.Time) {
		t.Errorf("ended %s (%+v), the one before it %s; want succeeded, begun after the other had failed", r.Status, r.Error, before.Status)
	}
	calls := c.sim.Sim.Calls()
	if len(calls) != 2 || calls[1].Created.Before(calls[0].Ended) {
		t.Errorf("%d calls; want two, one after the other", len(calls))
	}
}
