package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/google/go-cmp/cmp"
)

// put stores a message as it is.
func (b *bus) put(subject, body string) {
	b.t.Helper()
	if _, err := b.js.Publish(b.t.Context(), subject, []byte(body)); err != nil {
		b.t.Fatal(err)
	}
}

// lastingText is how long a call has been up.
var lastingText = regexp.MustCompile(`\d+h\d+m\d+s`)

func TestCalls(t *testing.T) {
	b := newBus(t).provisioned()
	b.put("$KV.CALLS.crm.order-1", `{"callId":"id-1","tenantId":"`+tenant+`","state":"established","placeId":"p","acceptedAt":"2026-01-01T00:00:00Z","establishedAt":"2026-01-01T00:00:00Z","open":[{"id":"hello","action":"playPrompt"}]}`)
	b.put("$KV.CALLS.erp.order-2", `{"callId":"id-2","state":"establishing","placeId":"p","acceptedAt":"2026-01-01T00:00:00Z","hangupReason":"hungUp"}`)
	b.put("$KV.CALLS.erp.order-3", `{"callId":"id-3","state":"established"}`)
	b.put("$KV.CALLS.erp.order-0", `{"callId":"id-0","state":"terminated","endedAt":"2026-11-23T10:00:00Z"}`)
	b.put("$KV.CALLS._incoming.id4", `{"callId":"id-4","state":"incoming","respondBy":"2026-11-23T10:00:15Z"}`)
	const header = "CALL STATE FOR TENANT CALL ID NOTE\n"
	incoming, one := "_incoming.id4 incoming id-4 respond by 2026-11-23T10:00:15.000Z\n", "crm.order-1 established T "+tenant+" id-1 playPrompt hello is open\n"
	two, three := "erp.order-2 establishing (T) id-2 is to end: hungUp\n", "erp.order-3 established id-3 not placed here\n"
	tests := []struct {
		name string
		args []string
		want ran
	}{
		{"of all producers", nil, ran{0, header + incoming + one + two + three + "4 calls: 2 established, 1 establishing, 1 incoming\n", ""}},
		{"of one producer", []string{"--producer", "crm"}, ran{0, header + one + "1 call: 1 established\n", "publisher: only calls of producer crm (--producer)\n"}},
		{"of one state", []string{"--state", "Incoming", "--state=establishing"}, ran{0, header + incoming + two + "2 calls: 1 establishing, 1 incoming\n", ""}},
		{"of no other tenant", []string{"--tenant", "another.example", "--state", "established"}, ran{0, header + three + "1 call: 1 established\n", ""}},
		{"none", []string{"--state", "hold"}, ran{0, "no calls live\n", ""}},
		{"in JSON", []string{"--producer", "erp", "-o", "json"}, ran{0,
			`{"producer":"erp","callRef":"order-2","state":"establishing","callId":"id-2","placeId":"p","acceptedAt":"2026-01-01T00:00:00Z","hangup":"hungUp"}` + "\n" +
				`{"producer":"erp","callRef":"order-3","state":"established","callId":"id-3"}` + "\n", "publisher: only calls of producer erp (--producer)\n"}},
		{"none in JSON", []string{"--state", "hold", "-o", "json"}, ran{0, "", ""}},
		{"of what cannot be a producer", []string{"--producer", "a.b"}, ran{2, "",
			"publisher: only calls of producer a.b (--producer)\npublisher: producer has other characters: want 1 to 64 of A-Z a-z 0-9 _ -, not beginning with \"_\"\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := b.run("", with([]string{"calls"}, tt.args...)...)
			got.out = lastingText.ReplaceAllString(squeeze(got.out), "T")
			tt.want.out = squeeze(tt.want.out)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ran{})); diff != "" {
				t.Errorf("publisher calls %q (-want +got):\n%s", tt.args, diff)
			}
		})
	}
	t.Setenv("CALLBUS_PRODUCER", "crm")
	t.Setenv("CALLBUS_TENANT", "another.example")
	t.Setenv("CALLBUS_STATE", "hold")
	if got := b.run("", "calls"); got.code != 0 || got.err != "publisher: only calls of producer crm (CALLBUS_PRODUCER)\n" || !strings.Contains(got.out, "order-1") {
		t.Errorf("publisher calls = %+v; want crm's, and nothing else from the environment", got)
	}
}

func TestHowLongACallHasBeenUp(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for want, l := range map[string]producer.LiveCall{
		"":       {},
		"(1m0s)": {AcceptedAt: now.Add(-time.Minute)},
		"59s":    {AcceptedAt: now.Add(-time.Minute), EstablishedAt: now.Add(-59*time.Second - time.Millisecond)},
		"0s":     {EstablishedAt: now.Add(time.Second)}, // another clock
		"3h0m0s": {EstablishedAt: now.Add(-3 * time.Hour)},
	} {
		if got := lasting(l, now); got != want {
			t.Errorf("lasting(%+v) = %q; want %q", l, got, want)
		}
	}
}

// someLife stores what one call leaves behind, with somebody's name and number
// wherever they can be.
func (b *bus) someLife() {
	b.t.Helper()
	at := time.Date(2026, 11, 23, 9, 59, 59, 0, time.UTC)
	timing := &commands.Timing{ReceivedAt: &at}
	info := &commands.ResultInfo{Code: 487, Subcode: 1, Message: "from +49301234567"}
	b.record(commands.Result{Producer: "cli", CallRef: "a", CommandID: "p", Action: commands.Place, Status: commands.Started, ReplayOf: "o", Timing: timing})
	b.put("calls.events.cli.a.state", `{"producer":"cli","callRef":"a","kind":"state","state":"established","callId":"57DA","audioActive":true,"source":"read","raw":{"displayName":"Anna"}}`)
	b.record(commands.Result{Producer: "cli", CallRef: "a", CommandID: "p", Action: commands.Place, Status: commands.Succeeded, CallID: "57DA", ReplayOf: "o", Timing: timing, Metadata: map[string]string{"to": "+49301234567"}})
	b.put("calls.events.cli.a.keepAlive", `{"producer":"cli","callRef":"a","kind":"keepAlive","state":"established","reason":"succeeded"}`)
	b.record(commands.Result{Producer: "cli", CallRef: "a", CommandID: "l", Action: commands.ListParticipants, Status: commands.Succeeded, Data: []byte(`[{"displayName":"Anna"}]`), Timing: timing})
	b.record(commands.Result{Producer: "cli", CallRef: "a", CommandID: "f", Action: commands.PlayPrompt, Status: commands.Failed, Timing: timing,
		Error: &commands.Error{Class: commands.ClassCallee, Reason: "busy", Code: "486", Message: "busy", ResultInfo: info}})
	b.put("calls.events.cli.a.ended", `{"producer":"cli","callRef":"a","kind":"ended","state":"terminated","reason":"ended","resultInfo":{"code":487,"subcode":1,"message":"from +49301234567"},"answeredBy":{"displayName":"Anna"}}`)
	b.put("calls.dead.cli.a.x", `{"producer":"cli","callRef":"a","commandId":"x","action":"mute","cause":"unknown","subject":"calls.commands.cli.a.mute","original":"{\"to\":\"+49301234567\"}"}`)
	b.put("calls.commands.cli.a.mute", `{"id":"m"}`)
	b.put("$KV.CALLS.cli.a", `{"callId":"57DA","state":"established","placeId":"p","keepAlive":true}`)
}

func TestHistory(t *testing.T) {
	b := newBus(t).provisioned()
	b.someLife()
	got := b.run("", "history", "a")
	want := `T  place           published     p (a replay of o)
T  listParticipants  published     l
T  playPrompt      published     f
T  place           started       p
T  ·state          established   audio active call 57DA (found by reading the call)
T  place           succeeded     p call 57DA (a replay of o)
T  ·keepAlive      established   succeeded
T  listParticipants  succeeded     l
T  playPrompt      failed        f busy 486 busy
T  ·ended          terminated    ended 487/1 from ***
T  dead letter     unknown       x mute → publisher dead show 1
T  mute            published     m (in the queue)
now: established call 57DA (kept alive)
`
	if out := timeless(got.out); got.code != 0 || got.err != "" || out != want {
		t.Errorf("publisher history = %d, %s\n%s\nwant\n%s", got.code, got.err, out, want)
	}
	got = b.run("", "history", "a", "-o", "json")
	if lines := strings.Count(got.out, "\n"); got.code != 0 || lines != 13 {
		t.Errorf("publisher history -o json = %d, %d lines: %s", got.code, lines, got.err)
	}
	for _, secret := range []string{"Anna", "49301234567"} {
		if strings.Contains(got.out, secret) {
			t.Errorf("publisher history shows %s:\n%s", secret, got.out)
		}
	}
	for _, part := range []string{`"kind":"command","command":{"id":"p","action":"place"`, `"kind":"keepAlive"`, `"kind":"deadLetter","sequence":1,"deadLetter":{`, `{"kind":"now","now":{"producer":"cli"`, `"replayOf":"o"`} {
		if !strings.Contains(got.out, part) {
			t.Errorf("publisher history -o json lacks %s:\n%s", part, got.out)
		}
	}
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"history nobody", 1, "nothing is known of cli.nobody: it was never used"},
		{"history nobody --since 5m", 1, "it was never used since 20"},
		{"history a --producer crm", 1, "nothing is known of crm.a"},
		{"history", 2, `expected "<callref>"`},
		{"history a.b", 2, "callRef has other characters"},
		{"history a --producer *", 2, "want a producer and a callRef"},
		{"history a --since soon", 2, "want RFC 3339"},
	} {
		if got := b.run("", strings.Fields(tt.args)...); got.code != tt.code || !strings.Contains(got.err, tt.says) || got.out != "" {
			t.Errorf("publisher %s = %+v; want %d, %q", tt.args, got, tt.code, tt.says)
		}
	}
}

func TestHowACallStands(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for want, l := range map[string]producer.LiveCall{
		"now: no call\n": {PlaceID: "p"},
		"now: ended 2026-11-23T10:00:00.000Z busy\n":                                    {CallID: "c", State: "terminated", EndedAt: at, Reason: "busy"},
		"now: incoming call c (not kept alive) respond by 2026-11-23T10:00:00.000Z\n":   {Producer: "_incoming", CallID: "c", State: "incoming", RespondBy: at},
		"now: established call c (not kept alive) not placed here, is to end: hungUp\n": {Producer: "crm", CallID: "c", State: "established", Hangup: "hungUp"},
		"now: unreadable\n": {State: "unreadable"},
	} {
		var out lockedBuffer
		s := &session{std: stdio{out: &out}, flags: &globals{}}
		s.printNow(&l)
		if out.String() != want {
			t.Errorf("printNow(%+v) = %q; want %q", l, out.String(), want)
		}
	}
}
