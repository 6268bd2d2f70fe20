package commands

import (
	"slices"
	"strings"
	"testing"
)

func TestSubjects(t *testing.T) {
	key := Key{"crm", "order-4711", "c1"}
	for want, got := range map[string]string{
		"calls.commands.crm.order-4711.place":     DefaultPrefix.Command(key.Call(), Place),
		"calls.commands.crm.order-4711.*":         DefaultPrefix.Commands(key.Call()),
		"calls.results.crm.order-4711.c1":         DefaultPrefix.Result(key),
		"calls.results.crm.order-4711.*":          DefaultPrefix.Results(key.Call()),
		"calls.events.crm.order-4711.ended":       DefaultPrefix.Event(key.Call(), KindEnded),
		"calls.dead.crm.order-4711.c1":            DefaultPrefix.Dead(key),
		"calls.replies.crm.":                      DefaultPrefix.Replies("crm"),
		"calls.timers.crm.order-4711.c1.deadline": DefaultPrefix.Timer(key, "deadline"),
		"calls.due.crm.order-4711.c1.deadline":    DefaultPrefix.Due(key, "deadline"),
		"calls.hints.crm.order-4711":              DefaultPrefix.Hint(key.Call()),
		"CALL_COMMANDS":                           DefaultPrefix.Stream("COMMANDS"),
		"CALLS":                                   DefaultPrefix.Registry(),
		"STAGING_COMMANDS":                        Prefix("staging").Stream("COMMANDS"),
		"STAGING_CALLS":                           Prefix("staging").Registry(),
		"staging.results.crm.order-4711.c1":       Prefix("staging").Result(key),
		"crm.order-4711":                          key.Call().String(),
	} {
		if got != want {
			t.Errorf("subject = %q; want %q", got, want)
		}
	}
}

func TestCommandSubjectIsTakenApart(t *testing.T) {
	for _, action := range Actions {
		call, got, err := DefaultPrefix.CommandSubject(DefaultPrefix.Command(testCall, action))
		if err != nil || call != testCall || got != action {
			t.Errorf("CommandSubject(%s) = %v, %s, %v; want %v", action, call, got, err, testCall)
		}
	}
	for _, subject := range []string{"", "calls.commands.crm.x", "calls.commands.crm.x.place.y", "staging.commands.crm.x.place",
		"calls.results.crm.x.place", "calls.commands.crm.x.dial", "calls.commands.crm.x.Place"} {
		if _, _, err := DefaultPrefix.CommandSubject(subject); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("CommandSubject(%q) = %v; want an error of one line", subject, err)
		}
	}
}

func TestLanesAndKindsOfActions(t *testing.T) {
	urgent := []Action{Hangup, Redirect, CancelMediaProcessing}
	once := []Action{Place, PlayPrompt, Transfer, Redirect}
	reads := []Action{GetCall, ListParticipants, ListContentSharingSessions, GetContentSharingSession}
	if len(Actions) != 13 {
		t.Errorf("%d actions; want 13", len(Actions))
	}
	for _, a := range Actions {
		want := LaneControl
		switch {
		case a == Place:
			want = LanePlace
		case slices.Contains(urgent, a):
			want = LaneUrgent
		}
		if a.Lane() != want || a.Idempotent() == slices.Contains(once, a) || a.Read() != slices.Contains(reads, a) || !a.Known() {
			t.Errorf("%s: lane %s, idempotent %t, read %t; want lane %s", a, a.Lane(), a.Idempotent(), a.Read(), want)
		}
		if parameterShapes[a] == nil {
			t.Errorf("%s has no shape of parameters", a)
		}
	}
	if Action("Place").Known() {
		t.Error("Place in capitals is known; want exact spelling")
	}
}

func TestStatusesThatAreFinal(t *testing.T) {
	steps := []Status{Waiting, Started, Accepted}
	for _, s := range Statuses {
		if s.Final() == slices.Contains(steps, s) {
			t.Errorf("%s.Final() = %t", s, s.Final())
		}
	}
}

func TestIdentityOfBodiesAndCalls(t *testing.T) {
	a := BodyHash(Mute, []byte(`{"id":"c1"}`))
	if a != BodyHash(Mute, []byte(`{"id":"c1"}`)) || a == BodyHash(Unmute, []byte(`{"id":"c1"}`)) || a == BodyHash(Mute, []byte(`{"id": "c1"}`)) || len(a) != 64 {
		t.Errorf("BodyHash() = %s; want 64 digits that differ by action and bytes", a)
	}
	if got := NormalCallID("57DAB8B1-894C-409A-B240-BD8BEAE78896"); got != "57dab8b1894c409ab240bd8beae78896" {
		t.Errorf("NormalCallID() = %s; want lower case without dashes", got)
	}
}

func TestNamesAreChecked(t *testing.T) {
	for _, check := range []func(string) error{CheckProducer, CheckCallRef, CheckID} {
		if err := check("order-4711_b"); err != nil {
			t.Errorf("check = %v; want no error", err)
		}
		for _, bad := range []string{"", "_a", "a.b", "a b", "é", token(129), ">"} {
			if err := check(bad); err == nil {
				t.Errorf("check(%q) = nil; want an error", bad)
			}
		}
	}
}
