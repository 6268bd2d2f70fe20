package app

import (
	"slices"
	"strings"
	"testing"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// TestAPlaceIsSentAgainIfItsProducerSaysSo: answer and notifications of the
// first attempt are lost; the second is the call, and when the first one shows
// after all it is hung up at once.
func TestAPlaceIsSentAgainIfItsProducerSaysSo(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{lostAnswer("createCall", 1), heldBack("*/a/p/1", "")}}, quick)
	r := c.want("a", "p", commands.Place, toSharer, map[string]any{"onUnknown": "retry"})
	calls := c.sim.Sim.Calls()
	if len(calls) != 2 || r.Attempts != 2 || r.CallID != calls[1].ID {
		t.Fatalf("%d attempts, call %s, Graph has %d calls; want the second of two", r.Attempts, r.CallID, len(calls))
	}
	for i, end := range []string{"/p/1", "/p/2"} {
		if !strings.HasSuffix(calls[i].CallbackURI, end) || calls[i].Creates != 1 {
			t.Errorf("callbackUri %d = %s, used %d times; want it to end in %s, once", i+1, calls[i].CallbackURI, calls[i].Creates, end)
		}
	}

	first := calls[0].ID
	c.release(first)
	eventually(t, patience, "the first call hung up", func() (bool, string) {
		call, ok := c.sim.Sim.Call(first)
		return ok && !call.Ended.IsZero(), call.State
	})
	eventually(t, patience, "an orphan reported", func() (bool, string) {
		for _, e := range c.events("a", commands.KindOther) {
			if e.Reason == "orphan" && e.CallID == first && e.CommandID == "p" {
				return true, ""
			}
		}
		return false, ""
	})
	if second, _ := c.sim.Sim.Call(r.CallID); !second.Ended.IsZero() {
		t.Errorf("the call of the second attempt is %s; want it up", second.State)
	}
	c.idle()
	if got, want := c.life(key("a", "p")), "started, started, accepted, succeeded"; got != want {
		t.Errorf("records = %s; want %s", got, want)
	}
	if n := c.count("CALL_DEAD"); n != 0 {
		t.Errorf("%d dead letters; want none", n)
	}
}

// TestUnknownIsCorrected: the answer and the notifications are lost, the command
// ends unknown and is a dead letter; when the proof comes after all, one record
// corrects it. Nothing was sent twice.
func TestUnknownIsCorrected(t *testing.T) {
	t.Parallel()
	lost := lostAnswer("createCall", 1)
	lost.CallRef = "a"
	c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{
		lost, heldBack("*/a/p/1", ""), lostAnswer("playPrompt", 1), heldBack("*/b/p/1", "operation"),
	}}, quick)
	place, prompt := key("a", "p"), key("b", "prompt")
	c.send(place.Call(), commands.Place, body("p", toSharer, nil))
	other := c.want("b", "p", commands.Place, toSharer, nil)
	c.send(prompt.Call(), commands.PlayPrompt, body("prompt", aPrompt, nil))
	c.assertUnknown(place)
	c.assertUnknown(prompt)
	c.idle()

	calls := c.sim.Sim.Calls()
	first := calls[slices.IndexFunc(calls, func(call graphsim.Call) bool { return call.CallRef == "a" })].ID
	c.assertCorrected(place, first)
	if r := c.final(place); r.CallID != first {
		t.Errorf("callId = %s; want Graph's, %s", r.CallID, first)
	}
	c.assertCorrected(prompt, other.CallID)
	if places, prompts := c.asked("a", "createCall"), c.asked("b", "playPrompt"); places != 1 || prompts != 1 {
		t.Errorf("Graph was asked for %d calls, and %d times to play; want once each", places, prompts)
	}
	c.want("a", "bye", commands.Hangup, "", nil)
}

// assertUnknown waits for the end of a command of which nothing was heard.
func (c *counter) assertUnknown(k commands.Key) {
	c.t.Helper()
	r := c.final(k)
	if r.Status != commands.Unknown || r.Attempts != 1 || r.Error == nil || r.Error.Class != commands.ClassAmbiguous {
		c.t.Fatalf("%s ended %s after %d attempts, %+v; want unknown after one, ambiguous", k.ID, r.Status, r.Attempts, r.Error)
	}
	if l := c.letter(k); l.Cause != commands.CauseUnknown {
		c.t.Errorf("%s: dead letter = %s; want unknown", k.ID, l.Cause)
	}
}

// assertCorrected lets the proof of such a command come.
func (c *counter) assertCorrected(k commands.Key, callID string) {
	c.t.Helper()
	c.release(callID)
	corrected := c.reaches(k, "is corrected", func(r commands.Result) bool { return r.Corrects != 0 })
	if corrected.Status != commands.Succeeded || !corrected.Final {
		c.t.Errorf("corrected to %s, final %t; want succeeded", corrected.Status, corrected.Final)
	}
	if got, want := c.life(k), "started, unknown, succeeded (corrects)"; got != want {
		c.t.Errorf("records = %s; want %s", got, want)
	}
}
