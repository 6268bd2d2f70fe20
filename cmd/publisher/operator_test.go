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
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	_, block, conf := strings.Cut(rest, "```conf\n")
	publish, subscribe, both := strings.Cut(block, "subscribe:")
	if !found || !conf || !both {
		t.Fatalf("docs/operators.md has no permissions under %q", heading)
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

func TestTheDocumentedRightsAreEnoughForBudgetAndPause(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "worker", Password: "w"},
		{Username: "operator", Password: "o", Permissions: documentedRights(t, "Pausing")},
	}})
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
	b.provisioned()
	if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: "calls.quota.app.home.crm.202611", Header: nats.Header{"Nats-Incr": {"1"}}}); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"pause --lane all", "budget", "pause --show", "resume --lane all", "budget -o json"} {
		r := b.run("", append(strings.Fields(args), "--nats-user", "operator", "--nats-password", "o")...)
		if r.code != 0 || r.err != "" {
			t.Errorf("publisher %s = %d\n%s%s", args, r.code, r.out, r.err)
		}
	}
	if r := b.run("", "place", "order-1", "--to", "user:112f7296-5fa4-42ca-bae8-6a692b15d001", "--nats-user", "operator", "--nats-password", "o"); r.code == 0 {
		t.Error("an operator who may only pause has placed a call")
	}
}
