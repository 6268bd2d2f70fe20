package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"callbus/internal/commands"
)

// moment is one line of a story.
type moment struct {
	at   time.Time
	text string
}

// Story is everything about one call in order of time, one line each: what was
// published, recorded, asked of Graph, told by Graph, buried, and done to the
// system meanwhile. call is "producer.callRef", or a callRef alone for any producer.
// Times are UTC, by the clock of whoever noted them; dead letters by the worker's.
func (h History) Story(call string) string {
	is := func(c commands.CallKey) bool { return c.String() == call || c.CallRef == call }
	var all []moment
	add := func(at time.Time, format string, args ...any) {
		all = append(all, moment{at, fmt.Sprintf(format, args...)})
	}
	for _, c := range h.Commands {
		if is(c.Key.Call()) {
			add(c.Published, "published %s %s, message %d%s", c.Action, c.Key.ID, c.Seq, c.peculiar())
		}
	}
	for _, r := range h.Records {
		if is(r.Key().Call()) {
			add(r.Stored, "record %d: %s %s %s%s", r.Seq, r.Action, r.CommandID, r.Status, r.details())
		}
	}
	for _, e := range h.Events {
		if is(e.Call()) {
			add(e.Stored, "event %d: %s%s", e.Seq, e.Kind, e.details())
		}
	}
	for _, d := range h.Dead {
		if is(d.Key().Call()) {
			add(d.Time, "dead letter: %s %s %s, message %d", d.Action, d.CommandID, d.Cause, d.Sequence)
		}
	}
	for _, r := range h.Requests {
		place, _, ok := origin(r.CallbackURI)
		if !ok || !is(place.Call()) {
			continue
		}
		who := ""
		if key, ok := attribute(&r); ok {
			who = " of " + key.ID
		}
		if r.Operation == "createCall" {
			who += ", " + r.CallbackURI[strings.LastIndexByte(r.CallbackURI, '/')+1:] + ". attempt"
		}
		add(r.Start, "request %d: %s%s, until %s: %s", r.Seq, r.Operation, who, clock(r.End), words(
			fmt.Sprintf("answered %d", r.Status), r.Code, prefixed("fault ", r.Fault), notIf(r.Executed, "not executed"), prefixed("call ", r.CallID)))
	}
	for _, c := range h.Calls {
		place, _, ok := origin(c.CallbackURI)
		if !ok || !is(place.Call()) {
			continue
		}
		add(c.Created, "Graph: call %s created for %s", c.ID, place.ID)
		for _, n := range c.Notifications {
			add(n.Time, "Graph: call %s tells %s %s: %s", c.ID, n.ChangeType, n.Kind, words(
				n.Outcome, fmt.Sprintf("answered %d", n.Status), prefixed("fault ", n.Fault), fmt.Sprintf("attempts %d", n.Attempts), "message "+n.MessageID))
		}
		if !c.Ended.IsZero() {
			add(c.Ended, "Graph: call %s ended", c.ID)
		}
	}
	return h.tell(call, all)
}

// tell puts the moments in order, with the incidents of that time.
func (h History) tell(call string, all []moment) string {
	if len(all) == 0 {
		return fmt.Sprintf("nothing is known of call %s\n", call)
	}
	byTime := func(a, b moment) int { return a.at.Compare(b.at) }
	first, last := slices.MinFunc(all, byTime).at, slices.MaxFunc(all, byTime).at
	for _, i := range h.Incidents {
		if i.overlaps(first, last) {
			until := "to the end"
			if !i.To.IsZero() {
				until = "until " + clock(i.To)
			}
			all = append(all, moment{i.From, strings.TrimSpace(fmt.Sprintf("incident: %s of %s %s %s", i.Kind, i.Target, until, i.Detail))})
		}
	}
	slices.SortStableFunc(all, byTime)
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "%s %s\n", clock(m.at), m.text)
	}
	return b.String()
}

// peculiar says what is special about a command as it was published.
func (c Command) peculiar() string {
	return commaed(
		countOf(max(c.Copies-1, 0), "more copies"), countOf(c.Conflicts, "times with another body"),
		notIf(!c.Invalid, "invalid"), notIf(!c.OnUnknownRetry, "onUnknown retry"), notIf(!c.Turn, "in turn"))
}

func (r Record) details() string {
	var why, corrects, attempts string
	if r.Error != nil {
		why = fmt.Sprintf("error %s %s", r.Error.Class, r.Error.Code)
	}
	if r.Corrects != 0 {
		corrects = fmt.Sprintf("corrects %d", r.Corrects)
	}
	if r.Attempts > 0 {
		attempts = fmt.Sprintf("attempt %d", r.Attempts)
	}
	return commaed(r.Reason, why, corrects, attempts, prefixed("call ", r.CallID), prefixed("by ", r.Worker), fmt.Sprintf("after %d", r.ExpectedLast))
}

func (e Event) details() string {
	operation := ""
	if op := e.Operation; op != nil {
		operation = "operation of " + op.ClientContext + " " + op.Status
	}
	return commaed(e.State, e.Reason, operation, prefixed("found by a ", e.Source), prefixed("call ", e.CallID))
}

// words joins what there is by commas; commaed puts one before it too.
func words(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), ", ")
}

func commaed(list ...string) string { return prefixed(", ", words(list...)) }

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func notIf(hidden bool, text string) string {
	if hidden {
		return ""
	}
	return text
}

func countOf(n int, of string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", n, of)
}
