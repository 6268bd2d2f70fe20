package producer

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func TestWhatCanBeRepeated(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	change := func(l commands.DeadLetter, change func(*commands.DeadLetter)) Letter {
		change(&l)
		return Letter{Number: 1, Dead: l}
	}
	place := letterOf(commands.CauseUnknown, commands.Place, "p", aPlace)
	with := func(body string) Letter {
		return change(place, func(d *commands.DeadLetter) { d.SetOriginal([]byte(body)) })
	}
	tests := []struct {
		name   string
		letter Letter
		body   string // of the first replay that may be
		says   string // why not
	}{
		{"a command", Letter{Dead: place}, strings.Replace(aPlace, `"p"`, `"p-r1"`, 1), ""},
		{"without an id", change(place, func(d *commands.DeadLetter) {
			d.CommandID = "_57"
			d.SetOriginal([]byte(`{ "parameters" : {"targets":[{"identity":{"user":{"id":"u"}}}]} }`))
		}), `{"parameters":{"targets":[{"identity":{"user":{"id":"u"}}}]},"id":"57-r1"}`, ""},
		{"a replay", change(place, func(d *commands.DeadLetter) {
			d.CommandID, d.Headers = "p-r2", nats.Header{commands.HeaderReplayOf: {"p"}}
			d.SetOriginal([]byte(strings.Replace(aPlace, `"p"`, `"p-r2"`, 1)))
		}), strings.Replace(aPlace, `"p"`, `"p-r3"`, 1), ""},
		{"an id that looks like a replay's", change(place, func(d *commands.DeadLetter) { d.CommandID = "p-r2" }), strings.Replace(aPlace, `"p"`, `"p-r2-r1"`, 1), ""},
		{"a header that does not go with the id", change(place, func(d *commands.DeadLetter) { d.Headers = nats.Header{commands.HeaderReplayOf: {"q"}} }),
			strings.Replace(aPlace, `"p"`, `"p-r1"`, 1), ""},
		{"numbers as they were written", with(`{"id":"p","limits":{"ringSeconds":30},"metadata":{"a":"1.50"},"parameters":{"targets":[{"identity":{"user":{"id":"u"}}}]}}`),
			`{"id":"p-r1","limits":{"ringSeconds":30},"metadata":{"a":"1.50"},"parameters":{"targets":[{"identity":{"user":{"id":"u"}}}]}}`, ""},
		{"what may be sent for an hour", with(strings.Replace(aPlace, `{"id"`, `{"expiresAt":"2026-11-23T11:00:00Z","id"`, 1)),
			strings.Replace(aPlace, `{"id":"p"`, `{"expiresAt":"2026-11-23T11:00:00Z","id":"p-r1"`, 1), ""},

		{"no letter", Letter{Unreadable: "it names no command"}, "", "cannot be read as a dead letter: it names no command"},
		{"a letter without the message", change(place, func(d *commands.DeadLetter) { d.Subject, d.Original = "", "" }), "", "does not hold the command: it had left the queue"},
		{"a letter that was cut", change(place, func(d *commands.DeadLetter) { d.Truncated, d.Bytes = true, 70_000 }), "", "does not hold the whole command: original was cut to"},
		{"no JSON", with("place a call"), "", "would be rejected again: it is not JSON"},
		{"no object", with("[]"), "", "would be rejected again: it is not a JSON object"},
		{"a member twice", with(`{"id":"a","id":"b"}`), "", `member "id" comes twice`},
		{"an unknown member", with(strings.Replace(aPlace, `{"id"`, `{"urgent":true,"id"`, 1)), "", "would be rejected again: urgent"},
		{"too large", with(`{"id":"p","metadata":{"a":"` + strings.Repeat("x", commands.MaxBody) + `"}}`), "", "would be rejected again: body"},
		{"what has expired", with(strings.Replace(aPlace, `{"id"`, `{"expiresAt":"2026-11-23T10:00:00Z","id"`, 1)), "", "its expiresAt, 2026-11-23T10:00:00Z, has passed"},
		{"a subject of another installation", change(place, func(d *commands.DeadLetter) { d.Subject = "staging.commands.crm.a.place" }), "", `its subject "staging.commands.crm.a.place" is none`},
		{"a subject of another call", change(place, func(d *commands.DeadLetter) { d.Subject = "calls.commands.crm.b.place" }), "", "is none that a command can be published on"},
		{"a name that stood for a wildcard", change(place, func(d *commands.DeadLetter) { d.CallRef, d.Subject = "_", "calls.commands.crm.*.place" }), "", "is none that a command can be published on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := tt.letter.repeatable(commands.DefaultPrefix, now)
			if tt.says != "" {
				if !isNotRepeatable(err) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("repeatable() = %v; want it refused, %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(r.body(r.first)); got != tt.body {
				t.Errorf("body = %s; want %s", got, tt.body)
			}
		})
	}
}

func TestWhetherACommandMayHaveBeenDone(t *testing.T) {
	record := func(s commands.Status) *commands.Result { return &commands.Result{Status: s, Final: s.Final()} }
	tests := []struct {
		name  string
		cause commands.Cause
		last  *commands.Result
		doubt string
		says  string
	}{
		{"rejected", commands.CauseCallLives, record(commands.Rejected), "", ""},
		{"unknown", commands.CauseUnknown, record(commands.Unknown), "nobody knows", ""},
		{"unknown, long ago", commands.CauseUnknown, nil, "nobody knows", ""},
		{"a fault of ours", commands.CauseInternal, nil, "nobody knows", ""},
		{"rejected, long ago", commands.CauseInvalid, nil, "not kept any more", ""},
		{"an id that was used before", commands.CauseIDConflict, record(commands.Succeeded), "the first command with the id p", ""},
		{"an id that was used before, long ago", commands.CauseIDConflict, nil, "the first command with the id p", ""},
		{"found out to have succeeded", commands.CauseUnknown, record(commands.Succeeded), "", "has an outcome by now: succeeded"},
		{"found out to have failed", commands.CauseUnknown, &commands.Result{Status: commands.Failed, Final: true, Error: &commands.Error{Reason: "busy"}}, "", "has an outcome by now: failed, busy"},
		{"dialled after the letter", commands.CauseCallLives, record(commands.Succeeded), "", "has an outcome by now: succeeded"},
		{"under way after the letter", commands.CauseCallLives, &commands.Result{Status: commands.Waiting, Reason: "throttled"}, "", "under way: its last record says waiting, throttled"},
		{"being dialled", commands.CauseUnknown, record(commands.Started), "", "under way: its last record says started"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doubt, err := Letter{Dead: letterOf(tt.cause, commands.Place, "p", aPlace)}.mayHaveBeenDone(tt.last)
			if !strings.Contains(doubt, tt.doubt) || (tt.doubt == "") != (doubt == "") {
				t.Errorf("doubt = %q; want %q", doubt, tt.doubt)
			}
			if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error = %v; want %q", err, tt.says)
			}
		})
	}
}

// replay replays a letter and returns the ending and the id in one word.
func (b *bus) replay(number uint64, o ReplayOptions) string {
	b.t.Helper()
	r, err := b.client.Replay(b.t.Context(), number, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(r.Ending) + " " + r.ID)
}

func TestReplay(t *testing.T) {
	rejected := commands.Result{Producer: "crm", CallRef: "a", CommandID: "p", Action: commands.Place, Status: commands.Rejected}
	unknown := rejected
	unknown.Status = commands.Unknown
	lives := letterOf(commands.CauseCallLives, commands.Place, "p", aPlace)
	lost := letterOf(commands.CauseUnknown, commands.Place, "p", aPlace)
	replayed := func(n int) string { return strings.Replace(aPlace, `"p"`, fmt.Sprintf(`"p-r%d"`, n), 1) }
	other := strings.Replace(aPlace, "15d001", "15d002", 1)
	tests := []struct {
		name   string
		before func(*bus)
		letter commands.DeadLetter
		o      ReplayOptions
		want   string
		queued []string // bodies
		left   int      // letters
	}{
		{"is published under a new id, and dropped", func(b *bus) { b.result(rejected, "") }, lives, ReplayOptions{}, "replayed p-r1", []string{replayed(1)}, 0},
		{"is only looked at", func(b *bus) { b.result(rejected, "") }, lives, ReplayOptions{DryRun: true}, "wouldReplay p-r1", nil, 1},
		{"of an unknown place is refused", func(b *bus) { b.result(unknown, "") }, lost, ReplayOptions{}, "refused", nil, 1},
		{"of an unknown place is refused in a dry run", func(b *bus) { b.result(unknown, "") }, lost, ReplayOptions{DryRun: true}, "refused", nil, 1},
		{"of an unknown place that may be dialled twice", func(b *bus) { b.result(unknown, "") }, lost, ReplayOptions{MayDialTwice: true}, "replayed p-r1", []string{replayed(1)}, 0},
		{"of a place that was found out is refused all the same", func(b *bus) {
			b.result(unknown, "")
			corrected := unknown
			corrected.Status = commands.Succeeded
			b.result(corrected, "")
		}, lost, ReplayOptions{MayDialTwice: true}, "refused", nil, 1},
		{"of an unknown command that rings nobody up", func(*bus) {}, letterOf(commands.CauseUnknown, commands.CancelMediaProcessing, "c", `{"id":"c"}`), ReplayOptions{}, "replayed c-r1", []string{`{"id":"c-r1"}`}, 0},
		{"takes the next id that is free", func(b *bus) {
			b.result(rejected, "")
			taken := rejected
			taken.CommandID = "p-r1"
			b.result(taken, "another command")
			b.publish(commands.Mute, `{"id":"p-r2"}`, nil)
		}, lives, ReplayOptions{}, "replayed p-r3", []string{`{"id":"p-r2"}`, replayed(3)}, 0},
		{"that is in the queue already is not made twice", func(b *bus) {
			b.result(rejected, "")
			b.publish(commands.Place, replayed(1), nil)
		}, lives, ReplayOptions{}, "replayedBefore p-r1", []string{replayed(1)}, 0},
		{"that was executed already is not made twice", func(b *bus) {
			b.result(rejected, "")
			done := rejected
			done.CommandID, done.Status = "p-r1", commands.Succeeded
			b.result(done, commands.BodyHash(commands.Place, []byte(replayed(1))))
		}, lives, ReplayOptions{}, "replayedBefore p-r1", nil, 0},
		{"that was made already is not made twice because it has expired", func(b *bus) {
			b.publish(commands.Place, strings.Replace(replayed(1), `{"id"`, `{"expiresAt":"2020-01-01T00:00:00Z","id"`, 1), nil)
		}, letterOf(commands.CauseCallLives, commands.Place, "p", strings.Replace(aPlace, `{"id"`, `{"expiresAt":"2020-01-01T00:00:00Z","id"`, 1)), ReplayOptions{},
			"replayedBefore p-r1", []string{strings.Replace(replayed(1), `{"id"`, `{"expiresAt":"2020-01-01T00:00:00Z","id"`, 1)}, 0},
		{"of a command that a dead worker has left in the queue is refused", func(b *bus) { b.publish(commands.Place, aPlace, nil) },
			func() commands.DeadLetter { d := lives; d.Sequence = 1; return d }(), ReplayOptions{MayDialTwice: true}, "refused", []string{aPlace}, 1},
		{"of another body with the same id takes the next id", func(b *bus) { b.publish(commands.Place, replayed(1), nil) },
			letterOf(commands.CauseIDConflict, commands.Place, "p", other), ReplayOptions{MayDialTwice: true}, "replayed p-r2",
			[]string{replayed(1), strings.Replace(other, `"p"`, `"p-r2"`, 1)}, 0},
		{"of an idConflict may ring somebody up twice", func(*bus) {}, letterOf(commands.CauseIDConflict, commands.Place, "p", other), ReplayOptions{}, "refused", nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newLetterBus(t)
			tt.before(b)
			number := b.bury(tt.letter)
			r, err := b.client.Replay(t.Context(), number, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			got := string(r.Ending)
			if r.Ending != ReplayRefused {
				got += " " + r.ID
			}
			if got != tt.want || (r.Ending == ReplayRefused) != (r.Err != nil) {
				t.Errorf("Replay() = %s, %v; want %s", got, r.Err, tt.want)
			}
			queued, _ := b.queuedBodies()
			if diff := cmp.Diff(tt.queued, queued); diff != "" {
				t.Errorf("queue (-want +got):\n%s", diff)
			}
			if left := len(b.numbers(LetterFilter{})); left != tt.left {
				t.Errorf("%d letters left; want %d", left, tt.left)
			}
		})
	}
}

func TestAReplaySaysWhatItIs(t *testing.T) {
	b := newLetterBus(t)
	d := letterOf(commands.CauseTenantNotServed, commands.Mute, "m", `{"id":"m"}`)
	d.Headers = nats.Header{commands.HeaderTraceParent: {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "Nats-Msg-Id": {"crm.a.m"}}
	b.result(commands.Result{Producer: "crm", CallRef: "a", CommandID: "m", Action: commands.Mute, Status: commands.Rejected}, "")
	b.replay(b.bury(d), ReplayOptions{})
	stream, err := b.js.Stream(t.Context(), "CALL_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), "calls.commands.crm.a.mute")
	if err != nil {
		t.Fatal(err)
	}
	want := nats.Header{commands.HeaderReplayOf: {"m"}, commands.HeaderTraceParent: d.Headers[commands.HeaderTraceParent], "Nats-Msg-Id": {"crm.a.m-r1"}}
	for name := range msg.Header { // what the server adds
		if strings.HasPrefix(name, "Nats-") && name != "Nats-Msg-Id" {
			delete(msg.Header, name)
		}
	}
	if diff := cmp.Diff(want, msg.Header); diff != "" {
		t.Errorf("headers of a replay (-want +got):\n%s", diff)
	}
}

// However many replay the same letter at the same time, one command comes of it.
func TestALetterIsReplayedOnce(t *testing.T) {
	b := newLetterBus(t)
	b.result(commands.Result{Producer: "crm", CallRef: "a", CommandID: "p", Action: commands.Place, Status: commands.Rejected}, "")
	number := b.bury(letterOf(commands.CauseCallLives, commands.Place, "p", aPlace))
	var at sync.WaitGroup
	for range 8 {
		at.Go(func() {
			r, err := b.client.Replay(t.Context(), number, ReplayOptions{})
			if err != nil || r.Ending != Replayed && r.Ending != ReplayedBefore && r.Ending != NoLetterLeft {
				t.Errorf("Replay() = %+v, %v", r, err)
			}
		})
	}
	at.Wait()
	bodies, _ := b.queuedBodies()
	if len(bodies) != 1 || b.numbers(LetterFilter{}) != nil {
		t.Errorf("%d commands, letters %v; want one command and no letter", len(bodies), b.numbers(LetterFilter{}))
	}
}

// Two letters of one id with different bodies that are replayed at the same time
// both become commands: neither is lost to the queue's protection from a
// repeated publish.
func TestLettersOfOneIDAreBothReplayed(t *testing.T) {
	b := newLetterBus(t)
	var numbers []uint64
	for i := range 6 {
		body := fmt.Sprintf(`{"id":"m","metadata":{"n":"%d"}}`, i)
		numbers = append(numbers, b.bury(letterOf(commands.CauseIDConflict, commands.Mute, "m", body)))
	}
	var at sync.WaitGroup
	for _, number := range numbers {
		at.Go(func() {
			if r, err := b.client.Replay(t.Context(), number, ReplayOptions{}); err != nil || r.Ending != Replayed {
				t.Errorf("Replay() = %+v, %v", r, err)
			}
		})
	}
	at.Wait()
	bodies, _ := b.queuedBodies()
	found := strings.Join(bodies, "\n")
	for i := range 6 {
		if want := fmt.Sprintf(`"n":"%d"`, i); !strings.Contains(found, want) {
			t.Errorf("no command with %s in\n%s", want, found)
		}
	}
}

// What cannot be published leaves the letter where it is.
func TestALetterStaysWhenTheQueueIsFull(t *testing.T) {
	b := newServer(t, nil)
	b.createStreams(1)
	b.createRegistry()
	b.createDead()
	b.queue("erp", "x", `{"id":"p"}`)
	number := b.bury(letterOf(commands.CauseUnknown, commands.Mute, "m", `{"id":"m"}`))
	r, err := b.client.Replay(t.Context(), number, ReplayOptions{})
	refused, ok := errors.AsType[*RefusedError](r.Err)
	if err != nil || r.Ending != NotReplayed || !ok || refused.Why != Full {
		t.Errorf("Replay() = %+v, %v; want that the queue is full", r, err)
	}
	if left := b.numbers(LetterFilter{}); len(left) != 1 {
		t.Errorf("letters = %v; want it to stay", left)
	}
}

// A letter that cannot be dropped is not replayed a second time.
func TestALetterThatCannotBeDroppedIsReplayedOnce(t *testing.T) {
	b := newBusWith(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "worker", Password: "w"}, {Username: "operator", Password: "o", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{"$JS.API.STREAM.MSG.DELETE.>"}},
		}}}
	}, nats.UserInfo("worker", "w"))
	b.createRegistry()
	b.createDead()
	b.client = b.newClient(b.connect(nats.UserInfo("operator", "o")))
	number := b.bury(letterOf(commands.CauseUnknown, commands.Mute, "m", `{"id":"m"}`))
	for range 2 {
		r, err := b.client.Replay(t.Context(), number, ReplayOptions{})
		refused, ok := errors.AsType[*RefusedError](r.Err)
		if err != nil || r.Ending != NotDropped || r.ID != "m-r1" || !ok || refused.Why != NotPermitted {
			t.Errorf("Replay() = %+v, %v; want it published and not dropped", r, err)
		}
	}
	if bodies, of := b.queuedBodies(); len(bodies) != 1 || of[0] != "m" {
		t.Errorf("commands = %v, replays of %v; want one", bodies, of)
	}
}
