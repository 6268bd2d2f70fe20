package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
)

const script = `{"callRef":"a","action":"place","parameters":{"targets":[{"identity":{"user":{"id":"u-1"}}}]}}
{"callRef":"a","action":"mute"}
{"callRef":"a","action":"mute"}
{"callRef":"b","producer":"crm","action":"hangup","id":"h1"}
`

func scriptFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.ndjson")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSendResumesWithTheSameIDs(t *testing.T) {
	b := newBus(t).withStreams(0)
	file := scriptFile(t, script)
	first := b.run("", "send", file)
	if first.code != 0 || !strings.HasPrefix(first.out, "4 lines: 4 sent (0 of them stored before), 0 refused, 0 bad, in ") {
		t.Fatalf("publisher send = %+v; want 4 sent", first)
	}
	subjects, bodies := b.queued()
	ids := map[string][]any{} // different calls go side by side, one call's lines in order
	for i, subject := range subjects {
		ids[subject] = append(ids[subject], bodies[i]["id"])
	}
	if len(ids["cli.a.place"]) != 1 || len(ids["cli.a.mute"]) != 2 || ids["cli.a.mute"][0] == ids["cli.a.mute"][1] {
		t.Errorf("ids = %v; want one place and two mutes with different ids", ids)
	}
	if diff := cmp.Diff([]any{"h1"}, ids["crm.b.hangup"]); diff != "" {
		t.Errorf("id of the line that says one (-want +got):\n%s", diff)
	}
	again := b.run(script, "send") // from standard input this time
	if again.code != 0 || !strings.HasPrefix(again.out, "4 lines: 4 sent (4 of them stored before)") {
		t.Errorf("second publisher send = %+v; want all of them stored before", again)
	}
	rest := b.run("", "send", file, "--resume-from", "3")
	if rest.code != 0 || !strings.HasPrefix(rest.out, "2 lines: 2 sent (2 of them stored before)") {
		t.Errorf("publisher send --resume-from 3 = %+v; want the two last lines, stored before", rest)
	}
	if after, _ := b.queued(); len(after) != 4 {
		t.Errorf("the queue holds %d commands; want the 4 of the first run", len(after))
	}
}

func TestBadLinesAreNumberedAndTheOthersSent(t *testing.T) {
	text := script + "nonsense\n" + `{"callRef":"c","action":"mute","id":"m","expects":"failed"}` + "\n" + `{"callRef":"d","action":"mute"}` + "\n"
	b := newBus(t).withStreams(0)
	got := b.run(text, "send")
	if got.code != 1 || !strings.Contains(got.out, "7 lines: 5 sent") || !strings.Contains(got.out, "2 bad") {
		t.Errorf("publisher send = %+v; want 5 sent, 2 bad and 1", got)
	}
	if !strings.Contains(got.err, "line 5: not JSON") || !strings.Contains(got.err, "line 6: expects is unknown") {
		t.Errorf("publisher send says %q; want lines 5 and 6 and what is wrong with them", got.err)
	}
}

func TestStrictSendsNothingIfALineIsBad(t *testing.T) {
	b := newBus(t).withStreams(0)
	got := b.run(script+"nonsense\n", "send", "--strict")
	if subjects, _ := b.queued(); got.code != 1 || len(subjects) != 0 || !strings.Contains(got.err, "line 5: not JSON") {
		t.Errorf("publisher send --strict = %+v and %d commands; want 1, the line, and none", got, len(subjects))
	}
	if got := b.run(script, "send", "--strict"); got.code != 0 || !strings.HasPrefix(got.out, "4 lines: 4 sent") {
		t.Errorf("publisher send --strict of a good file = %+v; want 4 sent", got)
	}
}

func TestSendWaitsForAllOutcomes(t *testing.T) {
	b := newBus(t).withStreams(0).work(func(a commands.Action, _ string) []commands.Result {
		if a == commands.Mute {
			return []commands.Result{busy}
		}
		return []commands.Result{{Status: commands.Accepted}, succeeded}
	})
	text := `{"callRef":"a","action":"hangup","id":"h"}
{"callRef":"a","action":"mute","id":"m","expect":{"status":"failed","error":{"reason":"busy"}}}
{"callRef":"b","action":"mute","id":"m"}
`
	got := b.run(text, "send", "--wait")
	if got.code != 3 || !strings.Contains(got.out, "succeeded  1\n") || !strings.Contains(got.out, "failed     2\n") || !strings.Contains(got.out, "1 did not end as expected") {
		t.Errorf("publisher send --wait = %+v; want 3 and the counts", got)
	}
	want := "line 3  callRef b  id m  mute failed busy 486 the callee is busy → try later: line 3: status is failed, expected succeeded\n"
	if diff := cmp.Diff(want, got.err); diff != "" {
		t.Errorf("publisher send --wait says (-want +got):\n%s", diff)
	}
}

func TestSendInJSONIsOneObjectALine(t *testing.T) {
	b := newBus(t).withStreams(0).work(tells(succeeded))
	got := b.run(script+"nonsense\n", "send", "--wait", "-o", "json")
	if got.code != 1 {
		t.Errorf("publisher send = %+v; want 1", got)
	}
	var stored, bad, ended int
	var summary map[string]any
	for line := range strings.Lines(got.out) {
		var object struct {
			Line     int
			Sequence uint64
			Error    string
			Result   *commands.Result
			Summary  map[string]any
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case object.Summary != nil:
			summary = object.Summary
		case object.Result != nil:
			ended++
		case object.Error != "":
			bad++
		case object.Sequence > 0:
			stored++
		}
	}
	delete(summary, "elapsedMs")
	want := map[string]any{"lines": 5.0, "sent": 4.0, "duplicate": 0.0, "refused": 0.0, "bad": 1.0, "unexpected": 0.0, "noOutcome": 0.0, "status": map[string]any{"succeeded": 4.0}}
	if diff := cmp.Diff(want, summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if stored != 4 || bad != 1 || ended != 4 {
		t.Errorf("publisher send prints %d stored, %d bad, %d ended; want 4, 1, 4", stored, bad, ended)
	}
}

func TestInterruptedSendSaysWhereToGoOn(t *testing.T) {
	b := newBus(t).withStreams(0)
	ctx, cancel := context.WithCancel(t.Context())
	text := `{"callRef":"a","action":"mute"}
{"callRef":"b","action":"mute","delay":"1h"}
{"callRef":"c","action":"mute"}
`
	out := &lines{want: 1, enough: cancel} // the first line is stored
	var errs lockedBuffer
	err := run(ctx, []string{"--nats-url", b.server.ClientURL(), "send", "-v"}, stdio{strings.NewReader(text), out, &errs})
	if code := exitCode(err, &errs); code != 1 || !strings.Contains(out.String(), "1 lines: 1 sent") || !strings.Contains(out.String(), "go on with --resume-from 2\n") {
		t.Errorf("interrupted publisher send = %d, %q, %q; want 1 and to go on with line 2", code, out.String(), errs.String())
	}
}

func TestRefusedLinesSayWhereToGoOn(t *testing.T) {
	b := newBus(t).withStreams(2)
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, `{"callRef":"c%d","action":"mute"}`+"\n", i)
	}
	got := b.run(text.String(), "send", "--retry", "0s", "--rate", "1000/s")
	// Lines of different calls go side by side: any two may be the ones that fit.
	from := regexp.MustCompile(`--resume-from ([123])\n`).FindStringSubmatch(got.out)
	if got.code != 1 || !strings.Contains(got.out, "100 lines: 2 sent (0 of them stored before), 98 refused") || from == nil {
		t.Fatalf("publisher send to a full queue = %+v; want 2 sent and to go on with the first one refused", got)
	}
	if !strings.Contains(got.err, "line "+from[1]+": CALL_COMMANDS is full") {
		t.Errorf("publisher send = %+v; want line %s refused, or it is not the one to go on with", got, from[1])
	}
	if lines := strings.Count(got.err, "\n"); lines != maxProblems+1 || !strings.Contains(got.err, "… and 48 more") {
		t.Errorf("publisher send says %d lines; want %d and how many more", lines, maxProblems)
	}
}

func TestVerboseSendShowsEveryLine(t *testing.T) {
	b := newBus(t).withStreams(0).work(tells(succeeded))
	got := b.run(script, "send", "-v", "--wait")
	if n := len(regexp.MustCompile(`(?m)^line \d  callRef [ab]  id \w+  \w+$`).FindAllString(got.out, -1)); n != 4 {
		t.Errorf("publisher send -v prints %q; want a line for each of 4", got.out)
	}
	if n := strings.Count(got.out, " succeeded\n"); n != 4 {
		t.Errorf("publisher send -v prints %d outcomes; want 4", n)
	}
}

func TestRateHasAUnit(t *testing.T) {
	for text, want := range map[string]float64{"50": 50, "50/s": 50, "600/m": 10, "1800/h": 0.5, "0.5": 0.5} {
		var flags cli
		got := parse(t, &flags, "send", "--rate", text)
		if got != nil || float64(flags.Send.Rate) != want {
			t.Errorf("--rate %s = %v, %v; want %v", text, flags.Send.Rate, got, want)
		}
	}
	for _, text := range []string{"0", "-1", "x", "1/d", "NaN", "Inf", "1e9", "1/"} {
		if err := parse(t, new(cli), "send", "--rate="+text); err == nil {
			t.Errorf("--rate %s = nil; want an error", text)
		}
	}
}

func TestLinesAreCountedForTheBar(t *testing.T) {
	text := "a\n\n  \n" + strings.Repeat("x", 200_000) + "\nlast"
	for from, want := range map[int]int64{0: 3, 2: 2, 5: 1} {
		c := sendCmd{File: scriptFile(t, text), ResumeFrom: from}
		if got := c.countLines(); got != want {
			t.Errorf("countLines() from %d = %d; want %d", from, got, want)
		}
	}
	if got := (&sendCmd{File: "-"}).countLines(); got != -1 {
		t.Errorf("countLines() of standard input = %d; want -1", got)
	}
}

// deadline is for what must happen at all.
func deadline() <-chan time.Time { return time.After(20 * time.Second) }
