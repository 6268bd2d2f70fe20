package doctor

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"callbus/internal/natsconn"
	"callbus/internal/streams"
)

func TestPatterns(t *testing.T) {
	for _, row := range []struct {
		a, b             string
		covers, overlaps bool // a covers b, the two overlap
	}{
		{">", "calls.results.>", true, true},
		{"calls.>", "calls.results.*.*", true, true},
		{"calls.*.*", "calls.results.x", true, true},
		{"calls.*.*", "calls.results.*", true, true},
		{"calls.results.x", "calls.results.*", false, true},
		{"calls.results.*", "calls.results.>", false, true},
		{"calls.results.>", "calls.results", false, false},
		{"calls.results", "calls.results", true, true},
		{"calls.results", "calls.events", false, false},
		{"calls.*", "calls.a.b", false, false},
		{"calls.a.b", "calls.*", false, false},
		{"*.b", "a.*", false, true},
		{"$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.INFO.CALL_DEAD", false, false},
	} {
		if got := covers(row.a, row.b); got != row.covers {
			t.Errorf("covers(%s, %s) = %t", row.a, row.b, got)
		}
		if got := overlap(row.a, row.b); got != row.overlaps || overlap(row.b, row.a) != got {
			t.Errorf("overlap(%s, %s) = %t", row.a, row.b, got)
		}
	}
}

func TestRightsThatAreMissing(t *testing.T) {
	needed := []Right{
		{Subject: "calls.results.*.*.*", For: "write the journal"}, {Subject: "$JS.API.INFO", For: "look"},
		{Subject: "calls.dead.*.*.*", For: "write the journal"}, {Subject: "_INBOX.>", Subscribe: true, For: "get answers"},
		{Subject: "calls.replies.>", For: "send copies", Spare: true},
	}
	for _, row := range []struct {
		name string
		may  permissions
		want []string
	}{
		{"no restriction", permissions{}, []string{"ok rights: u: nothing is forbidden"}},
		{"everything that is needed", permissions{Publish: permission{Allow: []string{"calls.>", "$JS.API.>"}}}, []string{"ok rights: the 5 rights"}},
		{"a subscription with a queue", permissions{Subscribe: permission{Allow: []string{"_INBOX.> workers"}}}, []string{"ok rights"}},
		{"one purpose that cannot be served", permissions{Publish: permission{Allow: []string{"calls.replies.>", "$JS.API.>"}}},
			[]string{"FAIL rights: u may not write the journal: publish calls.results.*.*.*, publish calls.dead.*.*.*"}},
		{"a part is not enough", permissions{Publish: permission{Allow: []string{"calls.results.crm.>", "calls.dead.>", "calls.replies.>", "$JS.API.>"}}},
			[]string{"FAIL rights: publish calls.results.*.*.*"}},
		{"a part that is denied", permissions{Publish: permission{Deny: []string{"calls.dead.crm.>"}}}, []string{"FAIL rights: publish calls.dead.*.*.*"}},
		{"what is denied is not needed", permissions{Publish: permission{Deny: []string{"$JS.API.STREAM.DELETE.>"}}}, []string{"ok rights: the 5 rights"}},
		{"no answers", permissions{Subscribe: permission{Allow: []string{"calls.>"}}}, []string{"FAIL rights: u may not get answers: subscribe _INBOX.>"}},
		{"something to spare", permissions{Publish: permission{Deny: []string{"calls.replies.>"}}}, []string{"warn rights: u may not send copies"}},
	} {
		t.Run(row.name, func(t *testing.T) { assertFindings(t, judgeRights("u", row.may, needed), row.want...) })
	}
	timeout := errors.New("timeout")
	assertFindings(t, judgeUntoldRights(timeout, nil), "skip rights: timeout")
	assertFindings(t, judgeUntoldRights(timeout, []string{`Permissions Violation for Publish to "$SYS.REQ.USER.INFO"`}), "skip rights")
	assertFindings(t, judgeUntoldRights(timeout, []string{"no b", "no a", "no b"}), "FAIL rights: no a", "FAIL rights: no b")
}

// TestAServersOwnWord: what a real server says of users.
func TestAServersOwnWord(t *testing.T) {
	t.Parallel()
	allow := func(subjects ...string) *server.Permissions {
		return &server.Permissions{Publish: &server.SubjectPermission{Allow: subjects}}
	}
	o := Options{Streams: streams.DefaultOptions(), StreamsMode: streams.ModeVerify, Works: true, Limit: 2 * time.Second}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "all", Password: "pw"},
		{Username: "api", Password: "pw", Permissions: allow("$JS.API.>", "$JS.FC.>", "$SYS.REQ.USER.INFO")},
		{Username: "untold", Password: "pw", Permissions: allow("$JS.API.INFO", "calls.>")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	for user, want := range map[string][]string{
		"all": {"ok rights: user all in account $G: nothing is forbidden"},
		"api": {"FAIL rights: may not store what happens to calls", "FAIL rights: may not fetch and finish commands", "FAIL rights: may not read and write the journal",
			"FAIL rights: tell other workers", "FAIL rights: look after calls", "FAIL rights: share gates", "warn rights: copies"},
		"untold": {`FAIL rights: the server says: Permissions Violation for Publish to "$JS.API.STREAM.INFO.CALL_RESULTS"`, `FAIL rights: "$JS.API.STREAM.INFO.KV_CALL_GATES"`},
	} {
		o.NATS = natsconn.ConnOptions{URL: s.ClientURL(), User: user, Password: "pw"}
		found := look(t, o)
		assertFindings(t, slices.DeleteFunc(found, func(f Finding) bool { return f.Check != "rights" }), want...)
	}
	o.NATS.Password = "other"
	found := look(t, o)
	if found[0].State != Fail || strings.Contains(listed(found), "other") {
		t.Errorf("with a wrong password:\n%s\nwant a failure that does not repeat it", listed(found))
	}
}

// TestRightsOfTheDocument: docs/operators.md shows what is checked here.
func TestRightsOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begun := strings.Cut(string(text), "<!-- rights:")
	block, _, ended := strings.Cut(rest, "<!-- /rights -->")
	if !begun || !ended {
		t.Fatal("operators.md has no part <!-- rights: … --> to <!-- /rights -->")
	}
	publish, subscribe, both := strings.Cut(block, "subscribe:")
	if !both {
		t.Fatal("operators.md: the rights name no subscriptions")
	}
	quoted := regexp.MustCompile(`"([^"]+)"`)
	shown := func(text string) (subjects []string) {
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			subjects = append(subjects, m[1])
		}
		slices.Sort(subjects)
		return subjects
	}
	var wantPublish, wantSubscribe []string
	for _, r := range Rights(Options{Streams: streams.DefaultOptions(), StreamsMode: streams.ModeVerify, Works: true, Receives: true}) {
		if r.Subscribe {
			wantSubscribe = append(wantSubscribe, r.Subject)
		} else {
			wantPublish = append(wantPublish, r.Subject)
		}
	}
	slices.Sort(wantPublish)
	slices.Sort(wantSubscribe)
	if diff := cmp.Diff(slices.Compact(wantPublish), shown(publish)); diff != "" {
		t.Errorf("publish (-list +document):\n%s", diff)
	}
	if diff := cmp.Diff(slices.Compact(wantSubscribe), shown(subscribe)); diff != "" {
		t.Errorf("subscribe (-list +document):\n%s", diff)
	}
}
