package app

import (
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// TestExpiryWhileItWaits: a command that expires before its turn, or before its
// call is ready, is never sent.
func TestExpiryWhileItWaits(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{RingTimeout: time.Hour}, nil)
	c.ring("ringing")
	c.ring("behind")
	older := key("behind", "older")
	c.send(older.Call(), commands.PlayPrompt, body("older", aPrompt, nil))
	expires := map[string]any{"expiresAt": in(time.Second)}
	ready, behind := key("ringing", "k"), key("behind", "k")
	for _, k := range []commands.Key{ready, behind} {
		c.send(k.Call(), commands.PlayPrompt, body(k.ID, aPrompt, expires))
	}
	for _, k := range []commands.Key{ready, behind} {
		r := c.final(k)
		if r.Status != commands.Expired || r.Attempts != 0 || r.Error == nil || r.Error.Code != "expired" || !r.Error.Retryable {
			t.Errorf("%s ended %s after %d attempts, %+v; want expired, retryable, never begun", k.CallRef, r.Status, r.Attempts, r.Error)
		}
		if n := c.asked(k.CallRef, "playPrompt"); n != 0 {
			t.Errorf("%s: Graph was asked %d times; want never", k.CallRef, n)
		}
	}
	c.waits(older, "callNotReady")
}

// TestExpiryWhileThrottled: what the gate cannot let through in time ends at
// once and says when to come back; what it can, is sent when it opens.
func TestExpiryWhileThrottled(t *testing.T) {
	t.Parallel()
	t.Run("the gate opens too late", func(t *testing.T) {
		t.Parallel()
		c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{{Operation: "createCall", Status: 429, RetryAfter: "7200"}}}, nil)
		begun := time.Now()
		for _, row := range []struct {
			callRef  string
			attempts int
			more     map[string]any
		}{
			{"the-one-that-is-told", 1, nil}, // its 10 minutes are shorter
			{"one-that-meets-the-gate", 0, map[string]any{"expiresAt": in(time.Hour)}},
		} {
			r := c.ask(row.callRef, "p", commands.Place, toUser, row.more)
			if r.Status != commands.Failed || r.Attempts != row.attempts || r.Error == nil || r.Error.Class != commands.ClassThrottled || !r.Error.Retryable {
				t.Fatalf("%s ended %s after %d attempts, %+v; want failed, throttled, retryable after %d", row.callRef, r.Status, r.Attempts, r.Error, row.attempts)
			}
			if at := r.Error.RetryAfter; at == nil || at.Before(begun.Add(7200*time.Second-time.Minute)) || at.After(time.Now().Add(7200*time.Second)) {
				t.Errorf("%s: retryAfter = %v; want Graph's, two hours from now", row.callRef, at)
			}
		}
		c.idle()
		if n := len(c.sim.Sim.Requests()); n != 1 {
			t.Errorf("Graph saw %d requests; want the one that closed the gate", n)
		}
	})
	t.Run("the gate opens in time", func(t *testing.T) {
		t.Parallel()
		c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{{Operation: "createCall", Count: 1, Status: 429, RetryAfter: "2"}}}, nil)
		told, held := key("told", "p"), key("held", "p")
		c.send(told.Call(), commands.Place, body("p", toUser, map[string]any{"expiresAt": in(time.Minute)}))
		if r := c.waits(told, "throttled"); r.Until == nil || r.Attempts != 1 {
			t.Errorf("waits until %v after %d attempts; want to know until when, after one", r.Until, r.Attempts)
		}
		c.send(held.Call(), commands.Place, body("p", toUser, map[string]any{"expiresAt": in(time.Minute)}))
		for k, attempts := range map[commands.Key]int{told: 2, held: 1} {
			if r := c.final(k); r.Status != commands.Succeeded || r.Attempts != attempts {
				t.Errorf("%s ended %s after %d attempts; want succeeded after %d", k.CallRef, r.Status, r.Attempts, attempts)
			}
		}
		if got, want := c.life(told), "started, waiting, started, accepted, succeeded"; got != want {
			t.Errorf("records = %s; want %s", got, want)
		}
		if n := c.sim.Sim.Stats().Calls.Created; n != 2 {
			t.Errorf("%d calls; want 2", n)
		}
	})
}

// TestExpiryAfterTheAnswerWasLost: what was begun is looked into past its
// expiry; without proof it ends unknown, and is not sent again by anybody's wish.
func TestExpiryAfterTheAnswerWasLost(t *testing.T) {
	t.Parallel()
	lost := graphsim.Fault{Operation: "notification", Notifications: graphsim.Lose}
	c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{lostAnswer("createCall", 0), lost}}, quick)
	expires := time.Now().Add(time.Second)
	policies := []string{"fail", "retry"}
	for _, onUnknown := range policies {
		c.send(key(onUnknown, "p").Call(), commands.Place, body("p", toUser, map[string]any{"onUnknown": onUnknown, "expiresAt": expires.UTC().Format(time.RFC3339Nano)}))
	}
	for _, onUnknown := range policies {
		r := c.final(key(onUnknown, "p"))
		if r.Status != commands.Unknown || r.Attempts != 1 || !r.Time.After(expires) {
			t.Errorf("%s: ended %s after %d attempts, at %s; want unknown after one, after %s", onUnknown, r.Status, r.Attempts, r.Time, expires)
		}
		if l := c.letter(key(onUnknown, "p")); l.Cause != commands.CauseUnknown {
			t.Errorf("%s: dead letter = %s; want unknown", onUnknown, l.Cause)
		}
		if n := c.asked(onUnknown, "createCall"); n != 1 {
			t.Errorf("%s: Graph was asked for %d calls; want 1", onUnknown, n)
		}
	}
	c.idle()
}

// TestExpiryBeforeNotBefore: a command that could never be sent is refused when
// it is read.
func TestExpiryBeforeNotBefore(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	r := c.ask("never", "p", commands.Place, toUser, map[string]any{"notBefore": in(2 * time.Minute), "expiresAt": in(time.Minute)})
	if r.Status != commands.Rejected || r.Error == nil || !strings.Contains(r.Error.Message, "notBefore is not before expiresAt") {
		t.Errorf("ended %s, %+v; want rejected for its times", r.Status, r.Error)
	}
	if l := c.letter(key("never", "p")); l.Cause != commands.CauseInvalid {
		t.Errorf("dead letter = %s; want invalid", l.Cause)
	}
}
