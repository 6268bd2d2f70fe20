package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
)

const calledAnna = `{"id":"p","metadata":{"to":"+49301234567"},"parameters":{"source":{"identity":{"applicationInstance":{"id":"3d913abb-aec0-4964-8fa6-3c6850c4f278"}}},` +
	`"targets":[{"identity":{"phone":{"id":"+49301234567","displayName":"Anna"}}}]}}`

// withLetters stores five letters: a place that may have been dialled, a place
// that was not, a mute of a call that was never placed, one of another producer
// that is beyond help, and what is no letter.
func (b *bus) withLetters() *bus {
	b.t.Helper()
	bury := func(d commands.DeadLetter, body string) {
		d.SetOriginal([]byte(body))
		text, err := json.Marshal(d)
		if err != nil {
			b.t.Fatal(err)
		}
		b.put(commands.DefaultPrefix.Dead(d.Key()), string(text))
	}
	letter := func(callRef string, a commands.Action, id string, cause commands.Cause, says string, status commands.Status) commands.DeadLetter {
		d := commands.DeadLetter{Producer: "crm", CallRef: callRef, CommandID: id, Action: a, Cause: cause, Subject: "calls.commands.crm." + callRef + "." + string(a), Sequence: 4711,
			Error: &commands.Error{Class: commands.ClassInvalid, Reason: string(cause), Code: string(cause), Message: says, Hint: "look"}}
		if status != "" {
			b.record(commands.Result{Producer: "crm", CallRef: callRef, CommandID: id, Action: a, Status: status})
		}
		return d
	}
	lost := letter("a", commands.Place, "p", commands.CauseUnknown, "nothing was heard", commands.Unknown)
	lost.Headers = map[string][]string{"Nats-Msg-Id": {"crm.a.p"}, "From": {"anna@contoso.com"}}
	lost.Ledger = []commands.Result{{Status: commands.Started}, {Status: commands.Unknown, Error: &commands.Error{Code: "noProof", Message: "nothing was heard"}}}
	bury(lost, calledAnna)
	bury(letter("b", commands.Place, "p", commands.CausePhoneNotAllowed, "outside of --allow-phone", commands.Rejected), calledAnna)
	bury(letter("c", commands.Mute, "m", commands.CauseNoSuchCall, "no call was placed", commands.Rejected), `{"id":"m"}`)
	wrong := letter("d", commands.Mute, "_9", commands.CauseUnreadable, "body is not JSON", "")
	wrong.Producer, wrong.Subject = "erp", "calls.commands.erp.d.mute"
	bury(wrong, "call +49301234567")
	b.put("calls.dead.erp.e.x", "nonsense")
	return b
}

const listHeader = "NUMBER TIME CALL ACTION CAUSE ID, WHY\n"

func TestDeadList(t *testing.T) {
	b := newBus(t).provisioned().withLetters()
	one, two := "1 T crm.a place unknown p nothing was heard\n", "2 T crm.b place phoneNotAllowed p outside of --allow-phone\n"
	three, four := "3 T crm.c mute noSuchCall m no call was placed\n", "4 T erp.d mute unreadable _9 body is not JSON\n"
	five := "5 T calls.dead.erp.e.x it is not JSON of a dead letter\n"
	tests := []struct {
		name string
		args []string
		want ran
	}{
		{"of all", nil, ran{0, listHeader + one + two + three + four + five + "5 dead letters\n", ""}},
		{"of a producer", []string{"--producer", "erp"}, ran{0, listHeader + four + five + "2 dead letters\n", "publisher: only dead letters of producer erp (--producer)\n"}},
		{"of causes", []string{"--cause", "unknown,noSuchCall"}, ran{0, listHeader + one + three + "2 dead letters\n", ""}},
		{"of a cause, since a time", []string{"--cause", "unknown", "--since", "1h"}, ran{0, listHeader + one + "1 dead letter\n", ""}},
		{"of none", []string{"--cause", "tooLarge"}, ran{0, "0 dead letters\n", ""}},
		{"of a time to come", []string{"--since", "2999-01-01T00:00:00Z"}, ran{0, "0 dead letters\n", ""}},
		{"of a cause, in JSON", []string{"--cause", "unreadable", "-o", "json"}, ran{0, `{"number":4,"time":"T","producer":"erp","callRef":"d","commandId":"_9","action":"mute","cause":"unreadable",` +
			`"error":{"class":"invalid","reason":"unreadable","code":"unreadable","message":"body is not JSON","hint":"look","retryable":false}}` + "\n", ""}},
		{"of what is no cause", []string{"--cause", "lost"}, ran{2, "", "publisher: cause \"lost\" is unknown: want invalid, unreadable, tooLarge, idConflict, noSuchCall, callLives, callOwned, tenantNotServed, phoneNotAllowed, unknown, internal\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := b.run("", with([]string{"dead", "list"}, tt.args...)...)
			got.out = squeeze(timeless(got.out))
			tt.want.out = squeeze(tt.want.out)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ran{})); diff != "" {
				t.Errorf("publisher dead list %q (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

func TestDeadShow(t *testing.T) {
	b := newBus(t).provisioned().withLetters()
	want := `letter    1 T
call      crm.a
command   place p
cause     unknown
error     unknown nothing was heard → look
message   calls.commands.crm.a.place (message 4711 of the queue)
          From: ***
          Nats-Msg-Id: crm.a.p
records   0001-01-01T00:00:00.000Z started
          0001-01-01T00:00:00.000Z unknown    noProof nothing was heard
original, masked (--original: as it was published)
{
  "id": "p",
  "metadata": {
    "to": "***"
  },
  "parameters": {
    "source": {
      "identity": {
        "applicationInstance": {
          "id": "3d913abb-aec0-4964-8fa6-3c6850c4f278"
        }
      }
    },
    "targets": [
      {
        "identity": {
          "phone": {
            "id": "***",
            "displayName": "***"
          }
        }
      }
    ]
  }
}
`
	if got := b.run("", "dead", "show", "1"); got.code != 0 || got.err != "" || timeless(got.out) != want {
		t.Errorf("publisher dead show (-want +got):\n%s%s", cmp.Diff(want, timeless(got.out)), got.err)
	}
	got := b.run("", "dead", "show", "1", "-o", "json")
	var shown struct {
		Number   uint64
		Masked   bool
		Producer string
		Original string
	}
	if err := json.Unmarshal([]byte(got.out), &shown); err != nil || shown.Number != 1 || !shown.Masked || shown.Producer != "crm" || !strings.Contains(shown.Original, `"id":"***"`) {
		t.Errorf("publisher dead show -o json = %+v, %v\n%s", shown, err, got.out)
	}
	for _, number := range []string{"1", "2", "4"} {
		for _, output := range []string{"table", "json"} {
			text := b.run("", "dead", "show", number, "-o", output).out
			for _, secret := range []string{"Anna", "anna", "49301234567"} {
				if strings.Contains(text, secret) {
					t.Errorf("publisher dead show %s -o %s shows %s:\n%s", number, output, secret, text)
				}
			}
		}
	}
	if got := b.run("", "dead", "show", "1", "--original"); got.code != 0 || got.out != calledAnna {
		t.Errorf("publisher dead show --original = %+v; want the command byte for byte", got)
	}
	for _, tt := range []struct {
		args, out, says string
		code            int
	}{
		{"5", "letter    5 T\nsubject   calls.dead.erp.e.x\n          cannot be read: it is not JSON of a dead letter\n", "", 0},
		{"99", "", "publisher: there is no such dead letter: 99 (publisher dead list shows those there are)\n", 1},
		{"99 --original", "", "publisher: there is no such dead letter: 99 (publisher dead list shows those there are)\n", 1},
		{"", "", "publisher: expected \"<number>\" (see publisher dead show --help)\n", 2},
	} {
		got := b.run("", append([]string{"dead", "show"}, strings.Fields(tt.args)...)...)
		if got.code != tt.code || timeless(got.out) != tt.out || got.err != tt.says {
			t.Errorf("publisher dead show %s = %+v; want %d, %q, %q", tt.args, got, tt.code, tt.out, tt.says)
		}
	}
}

func TestDeadReplay(t *testing.T) {
	const (
		mayRing   = "1 crm.a place p unknown → refused: nobody knows whether it was done: somebody may be rung up a second time; ask the people concerned, then --may-dial-twice\n"
		hopeless4 = "4 erp.d mute _9 unreadable → refused: the command would be rejected again: it is not JSON: invalid character 'c' looking for beginning of value\n"
		noLetter5 = "5 calls.dead.erp.e.x → refused: the message cannot be read as a dead letter: it is not JSON of a dead letter\n"
		of        = "publisher: only dead letters of producer %s (--producer)\n"
	)
	only := func(name string) string { return strings.Replace(of, "%s", name, 1) }
	tests := []struct {
		name   string
		args   []string
		want   ran
		queued []string
		left   string
	}{
		{"of one", []string{"3"}, ran{0, "3 crm.c mute m noSuchCall → replayed as m-r1\n", ""}, []string{"crm.c.mute"}, "1 2 4 5"},
		{"of one that may ring twice", []string{"1"}, ran{1, mayRing, ""}, nil, "1 2 3 4 5"},
		{"of one that shall", []string{"1", "--may-dial-twice"}, ran{0, "1 crm.a place p unknown → replayed as p-r1\n", ""}, []string{"crm.a.place"}, "2 3 4 5"},
		{"of some", []string{"3", "2"}, ran{0, "3 crm.c mute m noSuchCall → replayed as m-r1\n2 crm.b place p phoneNotAllowed → replayed as p-r1\n2 dead letters: 2 replayed\n", ""},
			[]string{"crm.c.mute", "crm.b.place"}, "1 4 5"},
		{"of a producer's", []string{"--producer", "crm"}, ran{1, mayRing + "2 crm.b place p phoneNotAllowed → replayed as p-r1\n3 crm.c mute m noSuchCall → replayed as m-r1\n3 dead letters: 2 replayed, 1 refused\n",
			only("crm")}, []string{"crm.b.place", "crm.c.mute"}, "1 4 5"},
		{"of a producer's with a cause", []string{"--producer", "crm", "--cause", "phoneNotAllowed"}, ran{0, "2 crm.b place p phoneNotAllowed → replayed as p-r1\n", only("crm")}, []string{"crm.b.place"}, "1 3 4 5"},
		{"of all, only shown", []string{"--producer", "*", "--dry-run"}, ran{0, mayRing + "2 crm.b place p phoneNotAllowed → would be replayed as p-r1\n3 crm.c mute m noSuchCall → would be replayed as m-r1\n" +
			hopeless4 + noLetter5 + "5 dead letters: 2 would be replayed, 3 refused\n", ""}, nil, "1 2 3 4 5"},
		{"of none", []string{"--cause", "tooLarge"}, ran{0, "no dead letters found\n", ""}, nil, "1 2 3 4 5"},
		{"of one that is not there", []string{"99"}, ran{1, "99 → not there\n", ""}, nil, "1 2 3 4 5"},
		{"in JSON", []string{"--cause", "noSuchCall", "--cause", "unreadable", "-o", "json"}, ran{1,
			`{"number":3,"producer":"crm","callRef":"c","commandId":"m","action":"mute","cause":"noSuchCall","ending":"replayed","id":"m-r1","sequence":1}
{"number":4,"producer":"erp","callRef":"d","commandId":"_9","action":"mute","cause":"unreadable","ending":"refused","error":"the command would be rejected again: it is not JSON: invalid character 'c' looking for beginning of value"}
{"summary":{"endings":{"gone":0,"notDropped":0,"notStored":0,"refused":1,"replayed":1,"replayedBefore":0,"wouldReplay":0},"letters":2}}
`, ""}, []string{"crm.c.mute"}, "1 2 4 5"},
		{"of nothing in particular", nil, ran{2, "", "publisher: dead replay: which letters? Want their numbers, or one of --cause, --producer and --since ('--producer *': all)\n"}, nil, "1 2 3 4 5"},
		{"of numbers and a cause", []string{"1", "--cause", "unknown"}, ran{2, "", "publisher: dead replay: numbers and --cause, --producer, --since exclude each other\n"}, nil, "1 2 3 4 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t).provisioned().withLetters()
			got := b.run("", with([]string{"dead", "replay"}, tt.args...)...)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ran{})); diff != "" {
				t.Errorf("publisher dead replay %q (-want +got):\n%s", tt.args, diff)
			}
			if left := b.letters(); left != tt.left {
				t.Errorf("letters left %s; want %s", left, tt.left)
			}
			if len(tt.queued) > 0 {
				if queued, _ := b.queued(); !cmp.Equal(queued, tt.queued) {
					t.Errorf("published %q; want %q", queued, tt.queued)
				}
			}
		})
	}
}

// letters are the numbers of the letters that there are.
func (b *bus) letters() string {
	b.t.Helper()
	var numbers []string
	for line := range strings.Lines(b.run("", "dead", "list", "-o", "json").out) {
		var l letterLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			b.t.Fatal(err)
		}
		numbers = append(numbers, fmt.Sprint(l.Number))
	}
	return strings.Join(numbers, " ")
}

// A variable in somebody's environment narrows what was asked for and chooses
// nothing by itself.
func TestDeadReplayAndTheEnvironment(t *testing.T) {
	b := newBus(t).provisioned().withLetters()
	for name, value := range map[string]string{"CALLBUS_CAUSE": "unknown", "CALLBUS_MAY_DIAL_TWICE": "true", "CALLBUS_SINCE": "1h", "CALLBUS_NUMBER": "1", "CALLBUS_PRODUCER": "erp"} {
		t.Setenv(name, value)
	}
	if got := b.run("", "dead", "replay"); got.code != exitUsage || !strings.Contains(got.err, "which letters?") {
		t.Errorf("publisher dead replay = %+v; want that nothing was chosen", got)
	}
	if got := b.run("", "dead", "replay", "--cause", "noSuchCall"); got.code != 0 || got.out != "no dead letters found\n" || got.err != "publisher: only dead letters of producer erp (CALLBUS_PRODUCER)\n" {
		t.Errorf("publisher dead replay --cause = %+v; want only erp's", got)
	}
	if got := b.run("", "dead", "replay", "1"); got.code != 1 || !strings.Contains(got.out, "refused: nobody knows") || got.err != "" {
		t.Errorf("publisher dead replay 1 = %+v; want it refused, whoever's it is", got)
	}
}

func TestDeadDrop(t *testing.T) {
	b := newBus(t).provisioned().withLetters()
	for _, step := range []struct {
		args string
		want ran
		left string
	}{
		{"1 --dry-run", ran{0, "1 crm.a place p unknown would be dropped\n", ""}, "1 2 3 4 5"},
		{"1", ran{0, "1 crm.a place p unknown dropped\n", ""}, "2 3 4 5"},
		{"1 2 5", ran{1, "2 crm.b place p phoneNotAllowed dropped\n5 calls.dead.erp.e.x dropped\n", "publisher: there is no such dead letter: 1 (publisher dead list shows those there are)\n"}, "3 4"},
		{"3 -o json", ran{0, `{"dropped":true,"number":3}` + "\n", ""}, "4"},
		{"", ran{2, "", "publisher: expected \"<number> ...\" (see publisher dead drop --help)\n"}, "4"},
		{"-- -4", ran{2, "", "publisher: <number> ...: expected a valid 64 bit uint but got \"-4\" (see publisher dead drop --help)\n"}, "4"},
	} {
		got := b.run("", append([]string{"dead", "drop"}, strings.Fields(step.args)...)...)
		if diff := cmp.Diff(step.want, got, cmp.AllowUnexported(ran{})); diff != "" {
			t.Errorf("publisher dead drop %s (-want +got):\n%s", step.args, diff)
		}
		if left := b.letters(); left != step.left {
			t.Errorf("after publisher dead drop %s there are %s; want %s", step.args, left, step.left)
		}
	}
}

func TestOperatorsCommandsWithoutStreams(t *testing.T) {
	b := newBus(t)
	for args, says := range map[string]string{
		"calls": "there is no bucket CALLS: create it first (worker provision)", "dead list": "there is no stream CALL_DEAD: create it first",
		"dead show 1": "there is no stream CALL_DEAD", "dead drop 1": "there is no stream CALL_DEAD", "dead replay 1": "there is no stream CALL_DEAD",
		"dead replay --cause unknown": "there is no stream CALL_DEAD", "history a": "there is no stream CALL_RESULTS: create it first",
	} {
		if got := b.run("", strings.Fields(args)...); got.code != 1 || !strings.Contains(got.err, says) || got.out != "" && !strings.HasPrefix(args, "dead replay") {
			t.Errorf("publisher %s = %+v; want 1 and %q", args, got, says)
		}
	}
}

// An interrupted run says so, and the next one goes on.
func TestInterruptedDeadReplay(t *testing.T) {
	b := newBus(t).provisioned().withLetters()
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{want: 1, enough: cancel} // the line of the first one
	var errs lockedBuffer
	args := []string{"--nats-url", b.server.ClientURL(), "dead", "replay", "2", "3"}
	code := exitCode(run(ctx, args, stdio{strings.NewReader(""), out, &errs}), &errs)
	want := "2 crm.b place p phoneNotAllowed → replayed as p-r1\n2 dead letters: 1 replayed\n"
	if code != exitNotStored || out.String() != want || errs.String() != "publisher: interrupted: run it again to go on\n" {
		t.Errorf("publisher = %d, %q, %q; want 1, %q and that it was interrupted", code, out.String(), errs.String(), want)
	}
	got := b.run("", args[2:]...)
	if want := "2 → not there\n3 crm.c mute m noSuchCall → replayed as m-r1\n2 dead letters: 1 replayed, 1 not there\n"; got.out != want {
		t.Errorf("publisher = %+v; want %q", got, want)
	}
}
