package check

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
)

// mixed is a history with a little of everything.
func mixed() *run {
	r := newRun()
	r.placed("p")
	r.did(commands.Mute, "m", func(c *Command) { c.Copies = 3 })
	r.harm("kill", "worker-1", time.Second)
	r.over("h")
	r.name.CallRef = "order-2"
	doubted(r, func(u uint64) {
		r.write("p", commands.Succeeded, r.withCall, func(rec *Record) { rec.Corrects = u })
	})
	r.name.CallRef = "order-3"
	lostPlace(r, func() { r.dial("p", lostAnswer); r.tell("establishing", "lost") })
	r.event("establishing", func(e *Event) { e.Kind, e.Reason = commands.KindOther, "orphan" })
	return r
}

func TestReport(t *testing.T) {
	rep := Check(mixed().History)
	var b strings.Builder
	if err := rep.Write(&b); err != nil {
		t.Fatal(err)
	}
	const want = `commands       6, 2 further copies, 0 with another body, 0 invalid
calls created  3, 2 ended, 1 orphans
requests       6, 6 executed, 2 without an answer
notifications  lost 1, sent 5
records        14, and 8 events
incidents      1
sent again     0
outcomes       succeeded 5, unknown 1
corrections    1
unknown, why   answerAndNotificationLost 1
dead letters   unknown 2; 0 of commands that ended otherwise
excused        a call lives on that nobody ever heard of 1
still queued   0
violations     0
`
	if b.String() != want || !rep.OK() {
		t.Errorf("Write() =\n%s\nwant\n%s", b.String(), want)
	}
}

func TestReportShowsTwentyViolations(t *testing.T) {
	r := newRun()
	for range 25 {
		r.Queued = append(r.Queued, "calls.commands.crm.order-1.mute")
	}
	rep := Check(r.History)
	var b strings.Builder
	if err := rep.Write(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "queue: crm.order-1 -: "); n != 20 || !strings.HasSuffix(b.String(), "\nand 5 more\n") || rep.OK() {
		t.Errorf("Write() shows %d violations; want 20 of 25 and the rest counted:\n%s", n, b.String())
	}
}

func TestOneHistoryBreaksEveryRule(t *testing.T) {
	r := newRun()
	r.placed("p")
	r.Records[1].ExpectedLast = 77 // chain
	r.Events[0].MessageID = ""     // stored
	r.publish(commands.Mute, "m")
	r.publish(commands.PlayPrompt, "pp")
	r.publish(commands.Unmute, "u", func(c *Command) { c.Turn = true })
	r.finish("u") // turn
	r.ask("m")    // order, started
	r.Requests[len(r.Requests)-1].End = r.at.Add(time.Second)
	r.ask("m")                         // overlap
	r.bury("u", commands.CauseInvalid) // dead
	r.write("m", commands.Superseded)  // truth
	r.write("m", commands.Superseded)  // final
	r.write("pp", commands.Started)
	r.lost("pp", "answerLost") // unknown
	r.publish(commands.Place, "p2")
	r.answered("p2") // live
	r.dial("p2")     // dialled, ended
	r.Queued = []string{"calls.commands.crm.order-1.mute"}
	broken := map[string]bool{}
	for _, v := range Check(r.History).Violations {
		broken[v.Rule] = true
	}
	if got, want := slices.Sorted(maps.Keys(broken)), slices.Sorted(maps.Keys(Rules())); !slices.Equal(got, want) {
		t.Errorf("rules broken = %v; want all of %v", got, want)
	}
}

func TestStory(t *testing.T) {
	r := mixed()
	story := r.Story("crm.order-3")
	for _, want := range []string{
		" published place p, message ", " place p started, attempt 1, by worker-1, after 0\n", " request 6: createCall of p, 1. attempt, until ",
		": answered 0, fault dropAnswer, call 4d1e9c55", "tells updated establishing: lost", "dead letter: place p unknown",
		"place p unknown, error ambiguous answerLost, attempt 1", ": other, establishing, orphan",
	} {
		if !strings.Contains(story, want) {
			t.Errorf("Story() has no %q:\n%s", want, story)
		}
	}
	if strings.Contains(story, "order-1") || strings.Contains(story, "incident") {
		t.Errorf("Story() tells of other calls or times:\n%s", story)
	}
	if lines := strings.Split(strings.TrimSpace(story), "\n"); !slices.IsSorted(lines) {
		t.Errorf("Story() is not in order of time:\n%s", story)
	}
	if first := r.Story("order-1"); !strings.Contains(first, "incident: kill of worker-1 until 10:00:0") || !strings.Contains(first, "published mute m, message 7, 2 more copies") {
		t.Errorf("Story() misses the incident or the copies:\n%s", first)
	}
	if got, want := r.Story("order-9"), "nothing is known of call order-9\n"; got != want {
		t.Errorf("Story() = %q; want %q", got, want)
	}
}

// BenchmarkCheck holds 30,000 commands and what they left behind.
func BenchmarkCheck(b *testing.B) {
	r := newRun()
	for i := range 5000 {
		r.name.CallRef = "order-" + string(rune('a'+i%26)) + time.Duration(i).String()
		r.placed("p")
		r.did(commands.Mute, "m")
		r.did(commands.Unmute, "u")
		r.did(commands.GetCall, "g")
		r.did(commands.KeepAlive, "k")
		r.over("h")
		if i%50 == 0 {
			r.harm("kill", "worker-1", time.Second)
		}
	}
	b.ReportMetric(float64(len(r.Records)), "records")
	for b.Loop() {
		if rep := Check(r.History); !rep.OK() {
			b.Fatal(rep.Violations[0])
		}
	}
}
