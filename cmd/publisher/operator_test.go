package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// documentedRights are the permissions under a heading of docs/operators.md.
func documentedRights(t *testing.T, heading string) *server.Permissions {
	t.Helper()
	text, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	return rightsIn(t, string(text), heading)
}

// rightsIn are the first permissions under a heading of a document.
func rightsIn(t *testing.T, text, heading string) *server.Permissions {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n## "+heading+"\n")
	_, block, conf := strings.Cut(rest, "```conf\n")
	publish, subscribe, both := strings.Cut(block, "subscribe:")
	if !found || !conf || !both {
		t.Fatalf("there are no permissions under %q", heading)
	}
	subscribe, _, _ = strings.Cut(subscribe, "\n")
	quoted := func(s string) (all []string) {
		for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(s, -1) {
			all = append(all, m[1])
		}
		return all
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: quoted(publish)},
		Subscribe: &server.SubjectPermission{Allow: quoted(subscribe)},
	}
}

// withRights is a bus on which user "operator" may do what docs/operators.md says
// under the heading, and the test everything.
func withRights(t *testing.T, heading string) *bus {
	t.Helper()
	return withUsers(t, &server.User{Username: "operator", Password: "o", Permissions: documentedRights(t, heading)})
}

func withUsers(t *testing.T, users ...*server.User) *bus {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
		Users: append(users, &server.User{Username: "worker", Password: "w"})})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("server does not start")
	}
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("worker", "w"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	b := &bus{t: t, server: s, nc: nc}
	if b.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return b.provisioned()
}

// runAs runs the program as one of the users.
func (b *bus) runAs(user, password, args string) ran {
	b.t.Helper()
	return b.run("", append(strings.Fields(args), "--nats-user", user, "--nats-password", password)...)
}

const aCall = "place order-1 --to user:112f7296-5fa4-42ca-bae8-6a692b15d001"

func TestTheDocumentedRightsAreEnoughForBudgetAndPause(t *testing.T) {
	b := withRights(t, "Pausing")
	if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: "calls.quota.app.home.crm.202611", Header: nats.Header{"Nats-Incr": {"1"}}}); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"pause --lane all", "budget", "pause --show", "resume --lane all", "budget -o json"} {
		if r := b.runAs("operator", "o", args); r.code != 0 || r.err != "" {
			t.Errorf("publisher %s = %d\n%s%s", args, r.code, r.out, r.err)
		}
	}
	if r := b.runAs("operator", "o", aCall); r.code == 0 {
		t.Error("an operator who may only pause has placed a call")
	}
}

func TestTheDocumentedRightsAreEnoughToLookAtCalls(t *testing.T) {
	b := withRights(t, "Calls and their histories")
	b.someLife()
	for range 2 { // also at once again
		for args, want := range map[string]string{"calls": "1 call: 1 established", "history a": "now: established", "history a -o json": `{"kind":"now"`} {
			r := b.runAs("operator", "o", args)
			if r.code != 0 || r.err != "" || !strings.Contains(r.out, want) {
				t.Errorf("publisher %s = %d\n%s%s", args, r.code, r.out, r.err)
			}
			if args == "history a" && (!strings.Contains(r.out, "dead letter") || !strings.Contains(r.out, "(in the queue)")) {
				t.Errorf("publisher %s shows not everything:\n%s", args, r.out)
			}
		}
	}
	for _, args := range []string{aCall, "hangup --all --timeout 2s", "dead drop 1", "dead list"} {
		if r := b.runAs("operator", "o", args); r.code == 0 {
			t.Errorf("an operator who may only look has done: publisher %s", args)
		}
	}
}

func TestTheDocumentedRightsAreEnoughForDeadLetters(t *testing.T) {
	b := withRights(t, "Dead letters")
	b.withLetters()
	for range 2 {
		if r := b.runAs("operator", "o", "dead list"); r.code != 0 || r.err != "" || !strings.HasSuffix(r.out, "5 dead letters\n") {
			t.Errorf("publisher dead list = %+v", r)
		}
	}
	for _, step := range []struct {
		args, out string
		code      int
	}{
		{"dead show 1 --original", calledAnna, 0},
		{"dead replay --cause phoneNotAllowed", "2 crm.b place p phoneNotAllowed → replayed as p-r1\n", 0},
		{"dead replay 1 --may-dial-twice", "1 crm.a place p unknown → replayed as p-r1\n", 0},
		{"dead replay 3", "3 crm.c mute m noSuchCall → replayed as m-r1\n", 0},
		{"dead drop 4", "4 erp.d mute _9 unreadable dropped\n", 0},
		{"dead drop 4", "", 1},
		{"dead replay 4", "4 → not there\n", 1},
	} {
		if r := b.runAs("operator", "o", step.args); r.code != step.code || r.out != step.out {
			t.Errorf("publisher %s = %+v; want %d, %q", step.args, r, step.code, step.out)
		}
	}
	if r := b.runAs("operator", "o", "calls"); r.code == 0 {
		t.Error("an operator of dead letters has listed calls")
	}
}

// Without the right to command a letter is not replayed, and stays.
func TestDeadReplayWithoutTheRightToCommand(t *testing.T) {
	rights := documentedRights(t, "Dead letters")
	rights.Publish.Allow = rights.Publish.Allow[1:]
	b := withUsers(t, &server.User{Username: "operator", Password: "o", Permissions: rights})
	b.withLetters()
	r := b.runAs("operator", "o", "dead replay 3")
	if r.code != 1 || !strings.Contains(r.out, "→ not published: not permitted to use calls.commands.crm.c.mute") {
		t.Errorf("publisher dead replay = %+v; want that it is not permitted", r)
	}
	if r := b.runAs("operator", "o", "dead show 3"); r.code != 0 {
		t.Errorf("publisher dead show = %+v; want the letter to be there still", r)
	}
}

// A producer may ask for the history of its own calls and for nothing else.
func TestHistoryWithTheDocumentedRightsOfAProducer(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rights := rightsIn(t, strings.ReplaceAll(string(text), "crm", "cli"), "Producers' permissions in NATS")
	b := withUsers(t, &server.User{Username: "cli", Password: "c", Permissions: rights})
	b.someLife()
	r := b.runAs("cli", "c", "history a")
	if r.code != 0 || r.err != "publisher: not shown, for it takes an operator's rights: dead letters, the queue, the registry\n" || strings.Count(r.out, "\n") != 10 {
		t.Errorf("publisher history = %+v; want the records and events, and what is not shown", r)
	}
	for args, says := range map[string]string{
		"history a --producer erp": "not permitted to read CALL_RESULTS", "calls": "not permitted to read which calls there are",
		"dead list": "not permitted to read CALL_DEAD", "dead show 1": "not permitted to read dead letters", "dead drop 1": "not permitted to read dead letters", "dead replay 1": "not permitted to read dead letters",
	} {
		if r := b.runAs("cli", "c", args); r.code != 1 || !strings.Contains(r.err, says) || !strings.Contains(r.err, "an operator's rights are needed") {
			t.Errorf("publisher %s = %+v; want 1 and %q", args, r, says)
		}
	}
}
