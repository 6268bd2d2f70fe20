package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
)

const joinURL = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Win6Ydo4%40thread.v2/0?context=%7b%22Tid%22%3a%2286dc81db-c112-4228-9222-63f3e5aa1edb%22%2c%22Oid%22%3a%225810cede-f3cc-42eb-b2c1-e9bd5d53ec96%22%7d"

// parameterized is a flag set for each action, and Graph's body it makes.
var parameterized = []struct {
	name   string
	args   []string
	action commands.Action
	want   string // parameters; empty: none
}{
	{"a user", []string{"place", "a", "--to", "user:u-1"}, commands.Place,
		`{"targets":[{"identity":{"user":{"@odata.type":"#microsoft.graph.identity","id":"u-1"}}}]}`},
	{"two users", []string{"place", "a", "--to", "user:u-1", "--to", "user:u-2"}, commands.Place,
		`{"targets":[{"identity":{"user":{"@odata.type":"#microsoft.graph.identity","id":"u-1"}}},{"identity":{"user":{"@odata.type":"#microsoft.graph.identity","id":"u-2"}}}]}`},
	{"a phone, as a resource account", []string{"place", "a", "--to", "phone:+4930123456", "--from", "instance:i-1"}, commands.Place,
		`{"source":{"identity":{"applicationInstance":{"@odata.type":"#microsoft.graph.identity","id":"i-1"}}},"targets":[{"identity":{"phone":{"@odata.type":"#microsoft.graph.identity","id":"+4930123456"}}}]}`},
	{"a meeting", []string{"place", "a", "--join-url", joinURL}, commands.Place,
		`{"chatInfo":{"@odata.type":"#microsoft.graph.chatInfo","messageId":"0","threadId":"19:meeting_Win6Ydo4@thread.v2"},` +
			`"meetingInfo":{"@odata.type":"#microsoft.graph.organizerMeetingInfo","organizer":{"user":{"id":"5810cede-f3cc-42eb-b2c1-e9bd5d53ec96","tenantId":"86dc81db-c112-4228-9222-63f3e5aa1edb"}}},` +
			`"tenantId":"86dc81db-c112-4228-9222-63f3e5aa1edb"}`},
	{"flags add to the parameters", []string{"place", "a", "--to", "user:u-1", "--parameters", `{"subject":"s"}`}, commands.Place,
		`{"subject":"s","targets":[{"identity":{"user":{"@odata.type":"#microsoft.graph.identity","id":"u-1"}}}]}`},
	{"hangup", []string{"hangup", "a"}, commands.Hangup, ""},
	{"getCall", []string{"getCall", "a"}, commands.GetCall, ""},
	{"getCall, spelled for the shell", []string{"get-call", "a"}, commands.GetCall, ""},
	{"listParticipants", []string{"listParticipants", "a", "--top", "5", "--skip-token", "x"}, commands.ListParticipants, `{"skipToken":"x","top":5}`},
	{"list-participants", []string{"list-participants", "a"}, commands.ListParticipants, ""},
	{"listContentSharingSessions", []string{"listContentSharingSessions", "a"}, commands.ListContentSharingSessions, ""},
	{"list-content-sharing-sessions", []string{"list-content-sharing-sessions", "a"}, commands.ListContentSharingSessions, ""},
	{"getContentSharingSession", []string{"getContentSharingSession", "a", "--session", "s-1"}, commands.GetContentSharingSession, `{"contentSharingSessionId":"s-1"}`},
	{"get-content-sharing-session", []string{"get-content-sharing-session", "a", "--session", "s-1"}, commands.GetContentSharingSession, `{"contentSharingSessionId":"s-1"}`},
	{"mute", []string{"mute", "a"}, commands.Mute, ""},
	{"unmute", []string{"unmute", "a"}, commands.Unmute, ""},
	{"playPrompt", []string{"playPrompt", "a", "--prompt", "https://cdn.example.com/a.wav?x=1,2", "--prompt", "https://cdn.example.com/b.wav"}, commands.PlayPrompt,
		`{"prompts":[{"mediaInfo":{"uri":"https://cdn.example.com/a.wav?x=1,2"}},{"mediaInfo":{"uri":"https://cdn.example.com/b.wav"}}]}`},
	{"play-prompt", []string{"play-prompt", "a", "--prompt", "https://cdn.example.com/a.wav"}, commands.PlayPrompt, `{"prompts":[{"mediaInfo":{"uri":"https://cdn.example.com/a.wav"}}]}`},
	{"cancelMediaProcessing", []string{"cancelMediaProcessing", "a"}, commands.CancelMediaProcessing, ""},
	{"cancel-media-processing", []string{"cancel-media-processing", "a"}, commands.CancelMediaProcessing, ""},
	{"transfer", []string{"transfer", "a", "--to", "user:u-2", "--replaces-call-id", "c-1"}, commands.Transfer,
		`{"transferTarget":{"endpointType":"default","identity":{"user":{"@odata.type":"#microsoft.graph.identity","id":"u-2"}},"replacesCallId":"c-1"}}`},
	{"transfer to a phone", []string{"transfer", "a", "--to", "phone:+4930123456"}, commands.Transfer,
		`{"transferTarget":{"endpointType":"default","identity":{"phone":{"@odata.type":"#microsoft.graph.identity","id":"+4930123456"}}}}`},
	{"redirect", []string{"redirect", "a", "--call-id", "c-1", "--to", "app:a-1", "--ring-timeout", "30"}, commands.Redirect,
		`{"targets":[{"identity":{"application":{"@odata.type":"#microsoft.graph.identity","id":"a-1"}}}],"timeout":30}`},
	{"keepAlive", []string{"keepAlive", "a"}, commands.KeepAlive, ""},
	{"keep-alive", []string{"keep-alive", "a"}, commands.KeepAlive, ""},
}

func TestEveryActionIsPublishedAndReadable(t *testing.T) {
	b := newBus(t).withStreams(0)
	covered := map[commands.Action]bool{}
	for _, tt := range parameterized {
		t.Run(tt.name, func(t *testing.T) {
			covered[tt.action] = true
			if got := b.run("", tt.args...); got.code != 0 {
				t.Fatalf("publisher = %+v; want it stored", got)
			}
			subjects, bodies := b.queued()
			subject, body := subjects[len(subjects)-1], bodies[len(bodies)-1]
			if want := "cli.a." + string(tt.action); subject != want {
				t.Errorf("published on %s; want %s", subject, want)
			}
			var want any
			if tt.want != "" {
				if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, body["parameters"]); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			text, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			call := commands.CallKey{Producer: "cli", CallRef: "a"}
			if _, err := commands.Decode(call, tt.action, text, commands.DecodeOptions{Published: time.Now(), DefaultTenant: "t"}); err != nil {
				t.Errorf("Decode(%s) = %v; want it accepted as the worker reads it", text, err)
			}
		})
	}
	for _, a := range commands.Actions {
		if !covered[a] {
			t.Errorf("no row for %s; want one for every action", a)
		}
	}
}

func TestFlagsBecomeTheEnvelope(t *testing.T) {
	b := newBus(t).withStreams(0)
	got := b.run("", "place", "order-1", "--to", "user:u-1", "--id", "p1", "--tenant", "t.example", "--not-before", "2026-11-23T11:00:00+01:00",
		"--wait-mode", "turn", "--on-unknown", "retry", "--reply-to", "_INBOX_cli.x", "--metadata", "ticket=4711", "--metadata", "a=b;c,d=e",
		"--ring-seconds", "45", "--call-seconds", "3600", "--no-check")
	if got.code != 0 {
		t.Fatal(got)
	}
	_, bodies := b.queued()
	delete(bodies[0], "parameters")
	want := map[string]any{
		"id": "p1", "tenantId": "t.example", "notBefore": "2026-11-23T10:00:00Z", "wait": "turn", "onUnknown": "retry",
		"replyTo": "_INBOX_cli.x", "metadata": map[string]any{"ticket": "4711", "a": "b;c,d=e"},
		"limits": map[string]any{"ringSeconds": 45.0, "callSeconds": 3600.0},
	}
	if diff := cmp.Diff(want, bodies[0]); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestTimesMayBeDurations(t *testing.T) {
	for _, args := range [][]string{{"--ttl", "5m"}, {"--expires-at", "5m"}} {
		b := newBus(t).withStreams(0)
		began := time.Now()
		if got := b.run("", append([]string{"hangup", "a"}, args...)...); got.code != 0 {
			t.Fatal(got)
		}
		_, bodies := b.queued()
		expires, err := time.Parse(time.RFC3339, bodies[0]["expiresAt"].(string))
		if in := expires.Sub(began); err != nil || in < 4*time.Minute || in > 6*time.Minute {
			t.Errorf("%q: expiresAt is %s from now, %v; want 5 minutes", args, in, err)
		}
	}
}

func TestCallRefAndIDArePrintedFirst(t *testing.T) {
	b := newBus(t).withStreams(0)
	got := b.run("", "place", "--to", "user:u-1")
	if !regexp.MustCompile(`^callRef [0-9A-Z]{26}  id [0-9A-Z]{26}\n$`).MatchString(got.out) {
		t.Errorf("publisher prints %q; want a callRef and an id that it made up", got.out)
	}
	got = b.run("", "place", "--to", "user:u-1", "-o", "json")
	var names struct{ Producer, CallRef, ID, Action string }
	if err := json.Unmarshal([]byte(got.out), &names); err != nil || len(names.CallRef) != 26 || len(names.ID) != 26 || names.Producer != "cli" || names.Action != "place" {
		t.Errorf("publisher -o json prints %q, %v; want one line of JSON with the names", got.out, err)
	}
	// Nothing is stored, but who reads the output knows what was tried.
	bare := newBus(t)
	if got := bare.run("", "hangup", "a", "--id", "h1"); got.code != 1 || got.out != "callRef a  id h1\n" {
		t.Errorf("publisher without a stream = %+v; want the names and 1", got)
	}
}

func TestWaitPrintsEachRecordAndTheLastOneLast(t *testing.T) {
	until := time.Date(2026, 11, 23, 10, 0, 30, 0, time.UTC)
	b := newBus(t).withStreams(0).work(tells(commands.Result{Status: commands.Waiting, Reason: "throttled", Until: &until}, commands.Result{Status: commands.Started}, busy))
	got := b.run("", "place", "a", "--to", "user:u-1", "--id", "p1", "--wait")
	want := `callRef a  id p1
2026-11-23T10:00:00.000Z waiting    throttled until 2026-11-23T10:00:30Z
2026-11-23T10:00:00.000Z started
2026-11-23T10:00:00.000Z failed     busy 486 the callee is busy → try later
`
	if diff := cmp.Diff(want, got.out); diff != "" {
		t.Errorf("publisher --wait (-want +got):\n%s", diff)
	}
	got = b.run("", "place", "a", "--to", "user:u-1", "--id", "p2", "--wait", "-o", "json")
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	var last commands.Result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 4 || !last.Final || last.Error.Code != "486" {
		t.Errorf("publisher --wait -o json prints %q, %v; want the names and 3 records", got.out, err)
	}
}

func TestWhatGraphReadIsShown(t *testing.T) {
	b := newBus(t).withStreams(0).work(tells(commands.Result{Status: commands.Succeeded, Data: json.RawMessage(`{"state":"established","x":"\u001b[2J"}`)}))
	got := b.run("", "getCall", "a", "--wait")
	if !strings.Contains(got.out, "\"state\": \"established\"") || strings.Contains(got.out, "\x1b") {
		t.Errorf("publisher getCall --wait prints %q; want the data", got.out)
	}
}

func TestNothingOfStrangersReachesTheTerminalRaw(t *testing.T) {
	evil := busy
	evil.Error = &commands.Error{Code: "486", Message: "\x1b[2J\r\nsucceeded\a"}
	b := newBus(t).withStreams(0).work(tells(evil))
	if got := b.run("", "hangup", "a", "--wait"); strings.ContainsAny(got.out, "\x1b\r\a") || strings.Count(got.out, "\n") != 2 {
		t.Errorf("publisher prints %q; want control characters taken out", got.out)
	}
}

func TestUnusableIDIsFollowedByItsSequence(t *testing.T) {
	b := newBus(t).withStreams(0).work(tells(commands.Result{Status: commands.Rejected}))
	got := b.run("", "hangup", "a", "--id", "not usable", "--no-check", "--wait", "--timeout", "20s")
	if got.code != 3 || !strings.Contains(got.err, "its results come under _1") || !strings.Contains(got.out, "rejected") {
		t.Errorf("publisher = %+v; want 3, the sequence and the record", got)
	}
}

func TestRepeatedIDIsSaid(t *testing.T) {
	b := newBus(t).withStreams(0)
	b.run("", "hangup", "a", "--id", "h1")
	if got := b.run("", "hangup", "a", "--id", "h1"); got.code != 0 || !strings.Contains(got.err, "is not stored again") {
		t.Errorf("publisher with the same id again = %+v; want 0 and a word about it", got)
	}
}

func TestParametersComeFromAnywhere(t *testing.T) {
	text := `{"targets": [{"identity": {"user": {"id": "u-1"}}}]}`
	file := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBus(t).withStreams(0)
	for _, given := range []string{text, "@" + file, "-"} {
		if got := b.run(text, "place", "a", "--parameters", given); got.code != 0 {
			t.Errorf("publisher --parameters %s = %+v; want it stored", given, got)
		}
	}
	_, bodies := b.queued()
	for _, body := range bodies[1:] {
		if diff := cmp.Diff(bodies[0]["parameters"], body["parameters"]); diff != "" {
			t.Errorf("parameters differ:\n%s", diff)
		}
	}
}

func TestMistakesAreSeenBeforeAnythingIsSent(t *testing.T) {
	b := newBus(t).withStreams(0)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"place", "--to", "user:u-1", "--parameters", `{"targets":[]}`}, "--to and --parameters both say targets"},
		{[]string{"place", "--to", "user:u-1", "--parameters", `[]`}, "--parameters: not a JSON object"},
		{[]string{"place", "--parameters", `{`}, "--parameters: not JSON"},
		{[]string{"place", "--parameters", `@/no/such`}, "--parameters: open /no/such"},
		{[]string{"place", "--to", "user:u-1", "--join-url", joinURL}, "exclude each other"},
		{[]string{"place", "--join-url", "https://teams.microsoft.com/meet/1?p=2"}, "short one"},
		{[]string{"place", "--to", "user:u-1", "--from", "user:u-2"}, "--from: user: cannot be used here: want instance:<id>"},
		{[]string{"place", "--to", "phone:+4930123456"}, "source"},
		{[]string{"place", "--to", "user:u-1", "--id", "_x"}, "id begins with"},
		{[]string{"place", "--to", "user:u-1", "--ttl", "96h"}, "expiresAt"},
		{[]string{"place", "--to", "user:u-1", "--ttl=-1m"}, "--ttl is -1m0s"},
		{[]string{"place", "--to", "user:u-1", "--ttl", "1m", "--expires-at", "1m"}, "--ttl"},
		{[]string{"place", "--to", "user:u-1", "--not-before", "tomorrow"}, "want RFC 3339"},
		{[]string{"place", "--to", "user:u-1", "--reply-to", "orders"}, "replyTo"},
		{[]string{"place", "--to", "user:u-1", "--wait-mode", "long"}, "--wait-mode"},
		{[]string{"hangup", "a", "--keep-alive"}, "keepAlive"},
		{[]string{"transfer", "a", "--replaces-call-id", "c-1"}, "belongs to --to"},
		{[]string{"transfer", "a"}, "transferTarget"},
		{[]string{"redirect", "a", "--to", "user:u-1", "--ring-timeout", "5"}, "timeout"},
		{[]string{"playPrompt", "a"}, "prompts"},
		{[]string{"getContentSharingSession", "a"}, "contentSharingSessionId"},
		{[]string{"mute", "a", "--parameters", `{"unknown":1}`}, "unknown"},
	} {
		got := b.run("", tt.args...)
		if got.code != 2 || !strings.Contains(got.err, tt.says) || got.out != "" || strings.Count(got.err, "\n") != 1 {
			t.Errorf("publisher %q = %+v; want 2 and one line …%s…", tt.args, got, tt.says)
		}
	}
	if subjects, _ := b.queued(); len(subjects) != 0 {
		t.Errorf("published %v; want nothing", subjects)
	}
}
