package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"callbus/internal/pacing"
	"callbus/internal/streams"
)

// provisioned makes everything as a worker does.
func (b *bus) provisioned() *bus {
	b.t.Helper()
	if _, err := streams.Provision(b.t.Context(), b.js, streams.DefaultOptions(), streams.ModeCreate, false); err != nil {
		b.t.Fatal(err)
	}
	return b
}

var times = regexp.MustCompile(`2\d\d\d-\d\d-\d\dT[0-9:.]+Z|month \d{6}|by \S+@\S+`)

func timeless(text string) string {
	return times.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.HasPrefix(s, "month"):
			return "month M"
		case strings.HasPrefix(s, "by"):
			return "by ME"
		}
		return "T"
	})
}

func TestPauseAndResume(t *testing.T) {
	b := newBus(t).provisioned()
	for _, step := range []struct {
		args string
		out  string
		code int
	}{
		{"pause --show", "nothing is paused\n", 0},
		{"pause", "paused  all tenants  places  since T by ME\n", 0},
		{"pause --scope contoso.example --lane all --by anna", "paused  all tenants  places  since T by ME\npaused  tenant contoso.example  all but hang-ups and keep-alives  since T by anna\n", 0},
		{"resume --lane all", "paused  all tenants  places  since T by ME\npaused  tenant contoso.example  all but hang-ups and keep-alives  since T by anna\n", 1},
		{"resume", "paused  tenant contoso.example  all but hang-ups and keep-alives  since T by anna\n", 0},
		{"resume --scope contoso.example --lane all", "nothing is paused\n", 0},
		{"pause --lane urgent", "", 2},
	} {
		out, _, code := b.operate(strings.Fields(step.args)...)
		if code != step.code || timeless(out) != step.out {
			t.Errorf("publisher %s = %d\n%s\nwant %d\n%s", step.args, code, timeless(out), step.code, step.out)
		}
	}
}

func TestBudget(t *testing.T) {
	b := newBus(t).provisioned()
	out, _, code := b.operate("budget")
	if want := "BUDGET   SCOPE  USED  LIMIT  NOTE\nlive     app    0     none   \nmonth M  app    0     none   until T\nnothing is paused\n"; code != 0 || squeeze(timeless(out)) != squeeze(want) {
		t.Errorf("publisher budget without workers = %d\n%s\nwant\n%s", code, timeless(out), want)
	}
	month, _ := pacing.Reset{}.Period(time.Now())
	put := func(subject, body string, header nats.Header) {
		t.Helper()
		if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(body), Header: header}); err != nil {
			t.Fatal(err)
		}
	}
	const kv = "$KV.CALL_GATES."
	put(kv+"settings.budget", `{"app":"app-1","live":2,"month":100,"hard":true,"reset":"1"}`, nil)
	put(kv+"slot.app.0", `{"producer":"crm","callRef":"order-1","commandId":"p","worker":"w","time":"2026-11-23T10:00:00Z"}`, nil)
	put(kv+"slot.app.1", `{"time":"2026-11-23T10:00:00Z"}`, nil)
	put(kv+"month.app", `{"since":"2026-11-23T10:00:00Z","until":"2999-01-01T00:00:00Z","next":"2998-01-01T00:00:00Z"}`, nil)
	put(kv+"breaker.away", `{"scope":"away","is":{"open":false,"since":"2026-11-23T10:00:00Z"}}`, nil)
	put(kv+"breaker.home", `{"scope":"home","is":{"open":true,"since":"2026-11-23T10:00:00Z","why":"failures","probe":"2026-11-23T10:00:03Z","probed":"2026-11-23T10:00:02Z"}}`, nil)
	put(kv+"breaker.other", `{"scope":"other","is":{"open":true,"since":"2026-11-23T10:00:00Z","probe":"2026-11-23T10:00:01Z"}}`, nil)
	put(kv+"gate.home.place", `{"scope":"home","class":"place","reason":"throttled","until":"2999-01-01T00:00:00Z"}`, nil)
	put(kv+"pause._all.place", `{"scope":"_all","lane":"place","by":"anna","since":"2026-11-23T10:00:00Z"}`, nil)
	for range 3 {
		put("calls.quota.app-1.home.crm."+month, "", nats.Header{"Nats-Incr": {"1"}})
	}
	put("calls.quota.app-1.home.crm.200001", "", nats.Header{"Nats-Incr": {"9"}})
	out, _, code = b.operate("budget")
	want := `BUDGET SCOPE USED LIMIT NOTE
live app 1 2
month M app 3 100 Graph refuses more (8529): places wait until T, one asks again at T
of it home 3 producer crm
breaker home open (failures) since T: last asked at T, next at T
breaker other open since T: nobody has asked yet, next at T
gate home place shut (throttled) until T
paused all tenants places since T by anna
`
	if code != 0 || squeeze(timeless(out)) != squeeze(want) {
		t.Errorf("publisher budget = %d\n%s\nwant\n%s", code, timeless(out), want)
	}
	out, _, code = b.operate("budget", "-o", "json")
	var u pacing.Usage
	if err := json.Unmarshal([]byte(out), &u); code != 0 || err != nil {
		t.Fatalf("publisher budget -o json = %d, %v\n%s", code, err, out)
	}
	if diff := cmp.Diff([]pacing.LiveUsage{{Scope: "app", Used: 1, Limit: 2, Allowed: 2}}, u.Live); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
	at := func(s int) time.Time { return time.Date(2026, 11, 23, 10, 0, s, 0, time.UTC) }
	if diff := cmp.Diff([]pacing.BreakerUsage{
		{Scope: "away", Since: at(0)},
		{Scope: "home", Open: true, Since: at(0), Why: "failures", LastProbe: at(2), NextProbe: at(3)},
		{Scope: "other", Open: true, Since: at(0), NextProbe: at(1)},
	}, u.Breakers); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}
	if len(u.Month) != 1 || !u.Month[0].Shut || !u.Month[0].Hard || u.Month[0].Used != 3 || len(u.Gates) != 1 || len(u.Pauses) != 1 {
		t.Errorf("usage = %+v", u)
	}
}

func TestOperatorsCommandsNeedTheBucket(t *testing.T) {
	b := newBus(t).withStreams(0)
	for _, args := range []string{"budget", "pause --show", "pause", "resume"} {
		if _, problem, code := b.operate(strings.Fields(args)...); code != 1 || !strings.Contains(problem, "CALL_GATES") {
			t.Errorf("publisher %s = %d, %q; want 1 and the bucket's name", args, code, problem)
		}
	}
}

// squeeze makes columns of any width alike.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// operate runs an operator's command.
func (b *bus) operate(args ...string) (out, problem string, code int) {
	b.t.Helper()
	r := b.run("", args...)
	return r.out, r.err, r.code
}
