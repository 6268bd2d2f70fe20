package executor

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/pacing"
)

// found is what a worker finds when it gets a command: what another one had
// written before it died, and where call, clock and gate are.
type found struct {
	started bool // the journal says so, by a delivery that is gone
	ended   bool // the call is over
	late    bool // expiresAt has passed
	gated   bool // the gate opens after expiresAt
}

// goodParameters are enough for each action.
var goodParameters = map[commands.Action]string{
	commands.Place:                    `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`,
	commands.PlayPrompt:               `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/beep.wav"}}]}`,
	commands.Transfer:                 `{"transferTarget":{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27001"}}}}`,
	commands.Redirect:                 `{"targets":[{"identity":{"user":{"id":"22bfd41f-550e-477d-8789-f6f7bd2a5006"}}}],"timeout":30}`,
	commands.GetContentSharingSession: `{"contentSharingSessionId":"s1"}`,
}

// ends are two ways for a call to end. Where they make a difference, the
// outcome is settled by the end.
var ends = []*commands.ResultInfo{{Code: 486}, {Code: 200, Subcode: 7015}}

// requestOf is how Graph sees an action; "POST transfer" and the like, but for
// these.
func requestOf(a commands.Action) string {
	switch a {
	case commands.Place:
		return "POST"
	case commands.Hangup:
		return "DELETE"
	case commands.GetCall:
		return "GET"
	case commands.ListParticipants:
		return "GET participants"
	case commands.ListContentSharingSessions:
		return "GET contentSharingSessions"
	case commands.GetContentSharingSession:
		return "GET contentSharingSessions s1"
	}
	return "POST " + string(a)
}

// foundCommand is a case: a command, and what is found.
type foundCommand struct {
	found
	action commands.Action
	end    *commands.ResultInfo // how the call ended
	key    commands.Key
	body   []byte
}

// prepare writes what is found.
func (s *site) prepare(c *foundCommand) {
	t, ctx := s.t, s.t.Context()
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	m := map[string]any{"id": "k1", "tenantId": foundTenant}
	if p := goodParameters[c.action]; p != "" {
		m["parameters"] = json.RawMessage(p)
	}
	switch {
	case c.late:
		m["expiresAt"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	case c.gated:
		m["tenantId"] = "gated"
	}
	var err error
	c.body, err = json.Marshal(m)
	must(err)

	place, callID := commands.Key{Producer: "crm", CallRef: c.key.CallRef, ID: "p1"}, "call-"+c.key.CallRef
	if c.action == commands.Place && c.started {
		place = c.key
	}
	if c.action != commands.Place || c.ended && !c.started {
		v, err := s.journal.Read(ctx, place)
		must(err)
		must(s.journal.Append(ctx, &v, ledger.Record{Result: commands.Result{Action: commands.Place, Status: commands.Succeeded, CallID: callID, TenantID: foundTenant, Attempts: 1}}))
		_, err = s.x.Calls.Registry.Update(ctx, place.Call(), func(e *calls.Entry) bool {
			*e = calls.Entry{PlaceID: place.ID, CallID: callID, TenantID: m["tenantId"].(string), State: calls.StateEstablished, EstablishedAt: time.Now(), AudioActive: true, Notified: true}
			if c.started && opened(c.action) {
				e.Add(calls.Open{ID: c.key.ID, Action: c.action, ClientContext: c.key.ID})
			}
			return true
		})
		must(err)
	}
	if c.started && !c.action.Read() {
		v, err := s.journal.Read(ctx, c.key)
		must(err)
		must(s.journal.Append(ctx, &v, ledger.Record{
			Result:  commands.Result{Action: c.action, Status: commands.Started, TenantID: foundTenant, Attempts: 1},
			Attempt: "of a worker that is gone", Body: commands.BodyHash(c.action, c.body),
		}))
	}
	if c.ended {
		s.end(place, callID, c.end)
	}
}

// end has Graph notify of the call's end, and of its answer before if it ended
// well.
func (s *site) end(place commands.Key, callID string, info *commands.ResultInfo) {
	t := s.t
	t.Helper()
	event := commands.Event{
		Producer: place.Producer, CallRef: place.CallRef, CommandID: place.ID, CallID: callID, TenantID: foundTenant,
		Attempt: 1, Kind: commands.KindState, Time: time.Now(), State: calls.StateEstablished,
	}
	if info.Code == 200 {
		if err := s.x.Calls.Events.Append(t.Context(), event, ""); err != nil {
			t.Fatal(err)
		}
		s.until("answered", func() bool {
			e, _, err := s.x.Calls.Registry.Get(t.Context(), place.Call())
			return err == nil && !e.EstablishedAt.IsZero()
		})
	}
	event.State, event.ResultInfo = calls.StateTerminated, info
	if err := s.x.Calls.Events.Append(t.Context(), event, ""); err != nil {
		t.Fatal(err)
	}
	s.until("ended", func() bool {
		e, _, err := s.x.Calls.Registry.Get(t.Context(), place.Call())
		return err == nil && e.Ended()
	})
}

// outcome waits until the command has left the queue and says what became of
// it, in the table's words.
func (s *site) outcome(c *foundCommand) string {
	s.t.Helper()
	s.until(string(c.action)+" left the queue", func() bool {
		q, err := s.x.Queue.Next(s.t.Context(), c.key.Call(), 0)
		return err == nil && q == nil
	})
	v, err := s.journal.Read(s.t.Context(), c.key)
	if err != nil || v.Own == nil {
		s.t.Fatalf("%s: record %v, %v", c.action, v.Own, err)
	}
	r := v.Own.Result
	s.mu.Lock()
	sent := s.sent[c.key.CallRef+" "+requestOf(c.action)]
	s.mu.Unlock()
	switch {
	case r.Status == commands.Failed && r.Error.Class == commands.ClassGone && sent == 0:
		return "gone"
	case r.Status == commands.Failed && r.Error.RetryAfter != nil && sent == 0:
		return "failed"
	case r.Status == commands.Expired && sent == 0:
		return "expired"
	case r.Status == commands.Unknown && sent == 0 && !c.action.Idempotent():
		return "lookedInto"
	case r.Status == commands.Unknown && sent == 0:
		return "unknown"
	case r.Status == commands.Succeeded && r.Reason == "alreadyEnded" && sent == 0:
		return "succeeded"
	case (r.Status == commands.Accepted || r.Status == commands.Succeeded) && sent == 1 && c.started && !c.action.Read():
		return "again"
	case (r.Status == commands.Accepted || r.Status == commands.Succeeded) && sent == 1:
		return "sent"
	}
	return fmt.Sprintf("%s after %d requests", r.Status, sent)
}

// foundOutcomes are what became of every action in every case.
type foundOutcomes map[found]map[commands.Action]string

func (o foundOutcomes) cell(f *found, a commands.Action) string { return o[*f][a] }

// tryFound runs a command for each case and action.
func tryFound(t *testing.T) foundOutcomes {
	t.Helper()
	s := openSite(t)
	for _, class := range []pacing.Class{pacing.ClassPlace, pacing.ClassOther} {
		gate := pacing.Gate{Scope: "gated", Class: class, Reason: "throttled", Until: time.Now().Add(commands.MaxTTL + time.Hour)}
		if err := s.x.Gates.Close(t.Context(), gate); err != nil {
			t.Fatal(err)
		}
	}
	var all []*foundCommand
	for i, f := range failures {
		if f.found == nil {
			continue
		}
		for _, a := range commands.Actions {
			for j, end := range ends {
				if j > 0 && !f.found.ended {
					continue
				}
				c := &foundCommand{found: *f.found, action: a, end: end, key: commands.Key{Producer: "crm", CallRef: fmt.Sprintf("r%d-%d-%s", i, j, a), ID: "k1"}}
				s.prepare(c)
				all = append(all, c)
			}
		}
	}
	for _, c := range all {
		if _, err := s.js.Publish(t.Context(), s.prefix.Command(c.key.Call(), c.action), c.body); err != nil {
			t.Fatal(err)
		}
	}
	out := foundOutcomes{}
	for _, c := range all {
		if out[c.found] == nil {
			out[c.found] = map[commands.Action]string{}
		}
		word := s.outcome(c)
		if before, twice := out[c.found][c.action]; twice && before != word {
			word = "byItsEnd"
		}
		out[c.found][c.action] = word
	}
	return out
}
