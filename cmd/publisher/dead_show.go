package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"
)

// letterObject is what -o json says of one letter: the letter as it is stored,
// with its number, and masked.
type letterObject struct {
	Number     uint64    `json:"number"`
	StoredAt   time.Time `json:"storedAt"`
	Masked     bool      `json:"masked"`
	Unreadable string    `json:"unreadable,omitempty"`
	commands.DeadLetter
}

// showLetter writes all of a letter but what is about people.
func (s *session) showLetter(l producer.Letter) {
	d := l.Dead.Redacted()
	if s.json() {
		s.printJSON(letterObject{l.Number, l.Stored.UTC(), true, l.Unreadable, d})
		return
	}
	line := func(name string, parts ...string) {
		if text := join(parts...); text != "" {
			fmt.Fprintf(s.std.out, "%s %s\n", pad(name, 9), text)
		}
	}
	line("letter", fmt.Sprint(l.Number), l.Stored.UTC().Format(clock))
	if l.Unreadable != "" {
		line("subject", d.Subject)
		line("", "cannot be read:", l.Unreadable)
		return
	}
	line("call", d.Key().Call().String())
	line("command", string(d.Action), d.CommandID, replayWords(commands.ReplayOf(d.Headers)))
	line("cause", string(d.Cause))
	if d.Error != nil {
		line("error", account(commands.Result{Error: d.Error}))
	}
	line("message", d.Subject, sequenceWords(d.Sequence))
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		for _, value := range d.Headers[name] {
			line("", name+":", value)
		}
	}
	for i, r := range d.Ledger {
		name := ""
		if i == 0 {
			name = "records"
		}
		line(name, r.Time.UTC().Format(clock), pad(string(r.Status), 10), account(r))
	}
	s.showOriginal(d)
}

func sequenceWords(seq uint64) string {
	if seq == 0 {
		return ""
	}
	return fmt.Sprintf("(message %d of the queue)", seq)
}

// showOriginal writes the command, indented where it is JSON.
func (s *session) showOriginal(d commands.DeadLetter) {
	var text bytes.Buffer
	switch {
	case d.Subject == "" && d.Original == "":
		text.WriteString("is not there: it had left the queue, and its message was not kept")
	case json.Indent(&text, []byte(d.Original), "", "  ") != nil:
		text.Reset()
		text.WriteString(d.Original)
	}
	if d.Truncated {
		fmt.Fprintf(&text, "\n… cut, of %d bytes", d.Bytes)
	}
	fmt.Fprintln(s.std.out, "original, masked (--original: as it was published)")
	fmt.Fprintln(s.std.out, clean(text.String(), '\n'))
}
