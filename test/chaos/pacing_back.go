package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"callbus/internal/commands"
	"callbus/test/chaos/check"
)

// judge looks at what the outage did.
func (o *outage) judge(h check.History) bool {
	name := o.kind.name
	opened, closed := o.moves()
	ok := row(name, "the breaker opened after", since(o.down, opened), "it opens", !opened.IsZero())
	if !opened.IsZero() {
		ok = o.judgeAsked(h, opened) && ok
	}
	ok = row(name, "Graph is back: the breaker is closed after", since(o.back, closed), "<= 10s", !closed.IsZero() && closed.Sub(o.back) <= backWithin) && ok
	for _, what := range []string{"read", "place"} {
		ok = o.judgeBack(h, "a fresh "+what+" has succeeded after", o.fresh[what]) && ok
	}
	n, longest := o.wentOn(h, opened)
	ok = o.judgeBack(h, fmt.Sprintf("%d calls had waited, the last went on after", n), longest) && ok
	ok = o.judgeOutcomes(h, o.back.Add(o.needed(h, longest)+backWithin)) && ok
	ok = row(name, fmt.Sprintf("unready answers of %d, %d workers", o.seen.asked, len(o.Workers())), fmt.Sprint(len(o.seen.unready)), "0", len(o.seen.unready) == 0) && ok
	for _, text := range o.seen.unready[:min(3, len(o.seen.unready))] {
		fmt.Println("   ", text)
	}
	report := check.Check(h)
	ok = row(name, fmt.Sprintf("promises broken, of %d commands in %d calls", report.Commands, report.CallsCreated), fmt.Sprint(len(report.Violations)), "0", report.OK()) && ok
	for _, v := range report.Violations[:min(5, len(report.Violations))] {
		fmt.Println("   ", v)
	}
	if len(report.Violations) > 0 {
		fmt.Print(h.Story(report.Violations[0].Call.String()))
	}
	row(name, "unknown, why", fmt.Sprint(report.Unknowns), "-", true)
	return ok
}

// judgeBack judges what took so long since Graph was back. What has piled up needs
// its time at the rate that Graph allows; all beyond that is the recovery's.
func (o *outage) judgeBack(h check.History, what string, took time.Duration) bool {
	lost := took - o.needed(h, took)
	value := fmt.Sprintf("%s, %s lost", took.Round(time.Millisecond), lost.Round(10*time.Millisecond))
	return row(o.kind.name, what, value, "<= 10s", lost <= backWithin)
}

// needed is what the requests of the first so long after the outage need at the
// rate that Graph allows.
func (o *outage) needed(h check.History, took time.Duration) time.Duration {
	sent := 0
	for _, r := range h.Requests {
		if r.Operation != "" && r.Status != http.StatusTooManyRequests && r.Start.After(o.back) && r.Start.Before(o.back.Add(took)) {
			sent++
		}
	}
	return time.Duration(float64(sent) / o.rate * float64(time.Second))
}

// moves are when the breaker opened in the outage, and when it closed for good.
func (o *outage) moves() (opened, closed time.Time) {
	for _, m := range o.seen.moves {
		switch {
		case m.open && opened.IsZero() && m.at.After(o.down):
			opened = m.at
		case m.open:
			closed = time.Time{} // opened again
		default:
			closed = m.at
		}
	}
	return opened, closed
}

// settling is how long what was admitted before the breaker opened may be under
// way to Graph.
const settling = 500 * time.Millisecond

// judgeAsked counts what was asked of a Graph that is down. Hang-ups and
// keep-alives are never held and counted apart.
func (o *outage) judgeAsked(h check.History, opened time.Time) bool {
	name, from := o.kind.name, opened.Add(settling)
	if o.kind.refused {
		n, over := o.seen.between(from, o.back)
		return row(name, fmt.Sprintf("tried in %.0f s, by the workers' metric", over.Seconds()), fmt.Sprint(n), fmt.Sprintf("<= %.0f", over.Seconds()), n > 0 && float64(n) <= over.Seconds()+1)
	}
	var asked []time.Time
	urgent := 0
	for _, r := range h.Requests {
		switch {
		case r.Start.Before(from) || !r.Start.Before(o.back):
		case held(r.Operation):
			asked = append(asked, r.Start)
		default:
			urgent++
		}
	}
	shortest := time.Duration(0)
	for i := 1; i < len(asked); i++ {
		if d := asked[i].Sub(asked[i-1]); i == 1 || d < shortest {
			shortest = d
		}
	}
	over := o.back.Sub(from)
	ok := row(name, fmt.Sprintf("asked in %.0f s", over.Seconds()), fmt.Sprint(len(asked)), fmt.Sprintf("<= %.0f", over.Seconds()), len(asked) > 0 && float64(len(asked)) <= over.Seconds()+1)
	row(name, "the shortest time between two", shortest.Round(time.Millisecond).String(), "-", true)
	row(name, "hang-ups and keep-alives meanwhile", fmt.Sprint(urgent), "-", true)
	return ok
}

// wentOn looks at the calls with a command that had been held for the breaker
// when Graph was back: how long until the first news of each.
func (o *outage) wentOn(h check.History, opened time.Time) (n int, longest time.Duration) {
	waits := map[commands.CallKey]bool{}
	last := map[commands.Key]check.Record{}
	next := map[commands.CallKey]time.Time{}
	for _, r := range h.Records {
		if r.Stored.Before(o.back) {
			last[r.Key()] = r
		} else if call := r.Key().Call(); next[call].IsZero() && r.Status != commands.Waiting {
			next[call] = r.Stored
		}
	}
	for key, r := range last {
		if r.Status == commands.Waiting && r.Reason == "breaker" && !opened.IsZero() {
			waits[key.Call()] = true
		}
	}
	for call := range waits {
		d := 5 * time.Minute // never
		if at := next[call]; !at.IsZero() {
			d = at.Sub(o.back)
		}
		n, longest = n+1, max(longest, d)
	}
	return n, longest
}

// judgeOutcomes looks at what became of the commands. Those that expired before
// what had piled up was through had no time to wait.
func (o *outage) judgeOutcomes(h check.History, through time.Time) bool {
	name := o.kind.name
	final := map[commands.Key]check.Record{}
	for _, r := range h.Records {
		if r.Final && r.Corrects == 0 {
			final[r.Key()] = r
		}
	}
	var failed []check.Record
	patient, hurried, expired, unknown, behind := 0, 0, 0, 0, 0
	for _, c := range h.Commands {
		r := final[c.Key]
		var body struct{ ExpiresAt time.Time }
		_ = json.Unmarshal(c.Body, &body)
		inside := !body.ExpiresAt.IsZero() && body.ExpiresAt.After(o.down) && body.ExpiresAt.Before(through)
		switch {
		case inside && body.ExpiresAt.Before(o.back):
			hurried++
			if r.Status == commands.Expired || r.Status == commands.Failed && r.Error.Reason == "breaker" {
				expired++
			}
			continue
		case inside:
			continue // there was hardly time to wait
		}
		patient++
		switch {
		case r.Status == commands.Unknown:
			unknown++
		case r.Status == commands.Failed && r.Error.Code == "placeUnknown":
			behind++
		case r.Status == commands.Failed && r.Error.Reason == "media" && bytes.Contains(c.Body, []byte(`500"`)):
			// that callee's calls end so, whenever they are placed
		case r.Status == commands.Failed && slices.Contains(ofOutage, r.Error.Class):
			failed = append(failed, r)
		}
	}
	ok := row(name, fmt.Sprintf("failed for it, of %d that could wait", patient), fmt.Sprint(len(failed)), "0", len(failed) == 0)
	for _, r := range failed[:min(5, len(failed))] {
		fmt.Printf("    %s %s: %s %+v\n", r.Key(), r.Action, r.Status, r.Error)
	}
	row(name, "unknown, and failed behind an unknown place", fmt.Sprintf("%d, %d", unknown, behind), "-", true)
	row(name, fmt.Sprintf("of %d that could not wait, expired", hurried), fmt.Sprint(expired), "-", true)
	return ok
}

// ofOutage are the classes of failures that are nobody's fault but Graph's.
var ofOutage = []commands.Class{commands.ClassTransient, commands.ClassAmbiguous, commands.ClassThrottled, commands.ClassQuota, commands.ClassInternal, commands.ClassConfiguration}

func since(from, to time.Time) string {
	if to.IsZero() {
		return "never"
	}
	return to.Sub(from).Round(10 * time.Millisecond).String()
}
