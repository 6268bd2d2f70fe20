package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"callbus/internal/commands"
	"callbus/internal/producer"
)

const clock = "2006-01-02T15:04:05.000Z"

// printJSON writes one object on one line.
func (s *session) printJSON(v any) {
	text, err := json.Marshal(v)
	if err != nil { // nothing of ours fails to marshal but raw JSON that is none
		text, _ = json.Marshal(map[string]string{"unprintable": err.Error()})
	}
	fmt.Fprintf(s.std.out, "%s\n", text)
}

// printResult writes one record of one command.
func (s *session) printResult(r commands.Result) {
	if s.json() {
		s.printJSON(r)
		return
	}
	fmt.Fprintln(s.std.out, join(r.Time.UTC().Format(clock), pad(string(r.Status), 10), account(r)))
	if r.Final && len(r.Data) > 0 {
		var data bytes.Buffer
		if json.Indent(&data, r.Data, "", "  ") == nil {
			fmt.Fprintln(s.std.out, clean(data.String(), '\n'))
		}
	}
}

// account is why a command stands where it stands: reason or error, and what
// to do about it.
func account(r commands.Result) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.Reason != "" {
		add("%s", r.Reason)
	}
	if r.Until != nil {
		add("until %s", r.Until.UTC().Format(time.RFC3339))
	}
	if r.CallID != "" && r.Error == nil {
		add("call %s", r.CallID)
	}
	if r.Observed != nil && !*r.Observed {
		add("(its end cannot be observed)")
	}
	if r.Corrects != 0 {
		add("(corrects an earlier record)")
	}
	if r.ReplayOf != "" && r.Final {
		add("(a replay of %s)", r.ReplayOf)
	}
	if e := r.Error; e != nil {
		if e.Reason != "" && e.Reason != r.Reason {
			add("%s", e.Reason)
		}
		if e.Code != e.Reason { // our own words are both
			add("%s", e.Code)
		}
		add("%s", e.Message)
		if e.Hint != "" {
			add("→ %s", e.Hint)
		}
		if e.Retryable && e.RetryAfter != nil {
			add("(a new command may succeed from %s on)", e.RetryAfter.UTC().Format(time.RFC3339))
		} else if e.Retryable {
			add("(a new command may succeed)")
		}
	}
	return join(parts...)
}

// printRecord writes what a watch sees: as it was stored, or as one line.
func (s *session) printRecord(r producer.Record) error {
	if s.json() {
		var text bytes.Buffer
		if json.Compact(&text, r.Raw) != nil {
			return nil
		}
		_, err := fmt.Fprintf(s.std.out, "%s\n", text.Bytes())
		return err
	}
	line := join(clean(r.Subject), "is not readable")
	switch {
	case r.Result != nil:
		line = join(r.Result.Time.UTC().Format(clock), pad(r.Result.Producer+"."+r.Result.CallRef, 24), pad(string(r.Result.Action), 12),
			pad(string(r.Result.Status), 10), r.Result.CommandID, account(*r.Result))
	case r.Event != nil:
		line = join(r.Event.Time.UTC().Format(clock), pad(r.Event.Producer+"."+r.Event.CallRef, 24), pad("·"+string(r.Event.Kind), 12), story(*r.Event))
	}
	_, err := fmt.Fprintln(s.std.out, line)
	return err
}

// story is what an event tells.
func story(e commands.Event) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	for _, text := range []string{e.State, e.Reason} {
		if text != "" {
			add("%s", text)
		}
	}
	if e.ResultInfo != nil {
		add("%d/%d %s", e.ResultInfo.Code, e.ResultInfo.Subcode, e.ResultInfo.Message)
	}
	if e.Operation != nil {
		add("operation %s %s", e.Operation.ClientContext, e.Operation.Status)
	}
	if e.RingMS != nil {
		add("rang %s", time.Duration(*e.RingMS)*time.Millisecond)
	}
	if e.TalkMS != nil {
		add("talked %s", time.Duration(*e.TalkMS)*time.Millisecond)
	}
	if e.AudioActive != nil && *e.AudioActive {
		add("audio active")
	}
	if e.Participants != nil {
		add("%d participants", *e.Participants)
	}
	if e.RespondBy != nil {
		add("respond by %s", e.RespondBy.UTC().Format(clock))
	}
	if e.CallID != "" {
		add("call %s", e.CallID)
	}
	if e.Hint != "" {
		add("→ %s", e.Hint)
	}
	return join(parts...)
}

// join puts the parts that say something on one line.
func join(parts ...string) string {
	var said []string
	for _, part := range parts {
		if part = clean(part); part != "" {
			said = append(said, part)
		}
	}
	return strings.TrimRight(strings.Join(said, " "), " ")
}

func pad(text string, width int) string { return fmt.Sprintf("%-*s", width, text) }

// clean keeps other people's texts from moving the cursor or ringing the bell.
func clean(text string, allowed ...rune) string {
	return strings.Map(func(r rune) rune {
		for _, a := range allowed {
			if r == a {
				return r
			}
		}
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
