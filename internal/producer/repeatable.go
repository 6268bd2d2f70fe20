package producer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"callbus/internal/commands"
)

// repeat is what a letter comes to as a command again.
type repeat struct {
	call    commands.CallKey
	action  commands.Action
	of      string // the command that it is a replay of, the first one also of a replay's replay
	root    string // of the ids of its replays, which are "<root>-r<n>"
	first   int    // the least n that is not an ancestor's
	members object
	expires time.Time // the body's expiresAt; zero: none
}

// NotRepeatableError says why a dead letter is not replayed.
type NotRepeatableError struct{ Problem string }

func (e *NotRepeatableError) Error() string { return e.Problem }

func notRepeatable(format string, args ...any) error {
	return &NotRepeatableError{fmt.Sprintf(format, args...)}
}

// nobodysTenant stands for the workers' default tenant, which is not known here.
const nobodysTenant = "00000000-0000-0000-0000-000000000000"

// repeatable reads a letter as the command that it was, and says what of it
// cannot be published again, or would only end the same way. The error is a
// *[NotRepeatableError].
func (l Letter) repeatable(p commands.Prefix, now time.Time) (repeat, error) {
	d := l.Dead
	switch {
	case l.Unreadable != "":
		return repeat{}, notRepeatable("the message cannot be read as a dead letter: %s", l.Unreadable)
	case d.Subject == "":
		return repeat{}, notRepeatable("the letter does not hold the command: it had left the queue, and its message was not kept")
	}
	r := repeat{call: d.Key().Call(), action: d.Action, of: d.CommandID, first: 1}
	if of := commands.ReplayOf(d.Headers); of != "" {
		if n, err := strconv.Atoi(strings.TrimPrefix(d.CommandID, rootOf(of)+"-r")); err == nil && n > 0 && n < mostReplays {
			r.of, r.first = of, n+1 // a replay of a replay, "p-r2" and not "p-r1-r1"
		}
	}
	r.root = rootOf(r.of)
	if call, action, err := p.CommandSubject(d.Subject); err != nil || call != r.call || action != r.action || checkCall(call) != nil {
		return r, notRepeatable("its subject %s is none that a command can be published on", show(d.Subject))
	}
	body, err := d.OriginalBody()
	if err != nil {
		return r, notRepeatable("the letter does not hold the whole command: %v", err)
	}
	if r.members, err = readObject(body); err != nil {
		return r, notRepeatable("the command would be rejected again: it is %v", err)
	}
	cmd, err := commands.Decode(r.call, r.action, r.body(r.first), commands.DecodeOptions{Prefix: p, Published: now, DefaultTenant: nobodysTenant})
	if err != nil {
		return r, notRepeatable("the command would be rejected again: %v", err)
	}
	if r.expires = cmd.ExpiresAt; !r.expires.IsZero() && !now.Before(r.expires) {
		return r, notRepeatable("its expiresAt, %s, has passed: it would expire unsent", r.expires.UTC().Format(time.RFC3339))
	}
	return r, nil
}

// rootOf begins the ids of a command's replays: its id, or the number that stands
// in for an id that could not be used.
func rootOf(id string) string { return strings.TrimLeft(id, "_") }

// id is the id of the n-th replay.
func (r repeat) id(n int) string { return fmt.Sprintf("%s-r%d", r.root, n) }

// body is the command with the id of the n-th replay, and nothing else changed
// but white space. It is the same whoever makes it, so that two who replay the
// same letter at the same time publish the same command, which is executed once.
func (r repeat) body(n int) []byte {
	return r.members.set("id", []byte(`"`+r.id(n)+`"`)).bytes()
}

// rings tells whether an action makes somebody's telephone ring.
func rings(a commands.Action) bool {
	return a == commands.Place || a == commands.Transfer || a == commands.Redirect
}

// mayHaveBeenDone says why nobody can be sure that the command was not done, by
// the letter's cause and the last record of its id (nil: there is none); empty
// when it was certainly not done. The error is a *[NotRepeatableError]: it is
// being done, or what became of it is known.
func (l Letter) mayHaveBeenDone(last *commands.Result) (doubt string, err error) {
	cause := l.Dead.Cause
	doubtful := cause == commands.CauseUnknown || cause == commands.CauseInternal
	expected := commands.Rejected
	if doubtful {
		expected = commands.Unknown
	}
	switch {
	case cause == commands.CauseIDConflict:
		// The records are those of the first command with the id.
		return "the first command with the id " + l.Dead.CommandID + " may have been meant to do the same", nil
	case last != nil && !last.Final:
		return "", notRepeatable("the command is under way: its last record says %s", told(*last))
	case last != nil && last.Status != expected:
		return "", notRepeatable("the command has an outcome by now: %s", told(*last))
	case doubtful:
		return "nobody knows whether it was done", nil
	case last == nil:
		// A worker that dies between the letter and its record looks at the
		// command again, and may then find nothing wrong with it.
		return "its records are not kept any more, and it may have been done after the letter was written", nil
	}
	return "", nil
}

// told is a record in a few words.
func told(r commands.Result) string {
	text := string(r.Status)
	switch {
	case r.Error != nil && r.Error.Reason != "":
		text += ", " + r.Error.Reason
	case r.Reason != "":
		text += ", " + r.Reason
	}
	return text
}

// show quotes a stranger's text for a message, on one line and cut.
func show(text string) string { return fmt.Sprintf("%q", cut(text, 80)) }

func isNotRepeatable(err error) bool {
	_, ok := errors.AsType[*NotRepeatableError](err)
	return ok
}
