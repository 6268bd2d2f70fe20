package commands

import (
	"fmt"
	"strings"
)

// Prefix begins every subject; "calls" gives streams CALL_… and the bucket
// CALLS, any other word gives itself in capitals.
type Prefix string

// DefaultPrefix is the prefix of an installation that sets none.
const DefaultPrefix Prefix = "calls"

// MaxPrefix is the longest prefix, in characters.
const MaxPrefix = 32

// Check says what is wrong with a prefix: it is one token of a subject and
// part of the names of streams.
func (p Prefix) Check() error {
	if problem := tokenProblem(string(p), MaxPrefix); problem != "" {
		return fmt.Errorf("prefix %s: want %s", problem, tokenWant(MaxPrefix))
	}
	return nil
}

// Stream is the name of a stream or bucket: Stream("COMMANDS") is
// CALL_COMMANDS for the default prefix and STAGING_COMMANDS for "staging".
func (p Prefix) Stream(name string) string {
	if p == DefaultPrefix {
		return "CALL_" + name
	}
	return strings.ToUpper(string(p)) + "_" + name
}

// Registry is the name of the call registry's bucket.
func (p Prefix) Registry() string {
	if p == DefaultPrefix {
		return "CALLS"
	}
	return strings.ToUpper(string(p)) + "_CALLS"
}

// Command is the subject a command is published on.
func (p Prefix) Command(c CallKey, a Action) string {
	return fmt.Sprintf("%s.commands.%s.%s.%s", p, c.Producer, c.CallRef, a)
}

// Commands is the filter of all commands of one call.
func (p Prefix) Commands(c CallKey) string {
	return fmt.Sprintf("%s.commands.%s.%s.*", p, c.Producer, c.CallRef)
}

// Result is the subject of one command's records.
func (p Prefix) Result(k Key) string {
	return fmt.Sprintf("%s.results.%s.%s.%s", p, k.Producer, k.CallRef, k.ID)
}

// Results is the filter of all records of one call. Writers must pass exactly
// this string as the subject of their compare-and-swap: a replicated server
// tells concurrent writers apart by the filter's spelling.
func (p Prefix) Results(c CallKey) string {
	return fmt.Sprintf("%s.results.%s.%s.*", p, c.Producer, c.CallRef)
}

// Event is the subject of a call's events of one kind.
func (p Prefix) Event(c CallKey, k Kind) string {
	return fmt.Sprintf("%s.events.%s.%s.%s", p, c.Producer, c.CallRef, k)
}

// Dead is the subject of a command's dead letter.
func (p Prefix) Dead(k Key) string {
	return fmt.Sprintf("%s.dead.%s.%s.%s", p, k.Producer, k.CallRef, k.ID)
}

// Replies begins every subject of a producer's own on which it may ask for
// copies of results; it ends with a dot.
func (p Prefix) Replies(producer string) string {
	return fmt.Sprintf("%s.replies.%s.", p, producer)
}

// Timer is the subject a durable timer is armed on, Due the one it fires on.
func (p Prefix) Timer(k Key, kind string) string {
	return fmt.Sprintf("%s.timers.%s.%s.%s.%s", p, k.Producer, k.CallRef, k.ID, kind)
}

// Due is the subject a timer fires on.
func (p Prefix) Due(k Key, kind string) string {
	return fmt.Sprintf("%s.due.%s.%s.%s.%s", p, k.Producer, k.CallRef, k.ID, kind)
}

// Quota begins the subjects of the counters of calls placed under an app:
// <prefix>.quota.<app>.<tenant>.<producer>.<yyyymm>.
func (p Prefix) Quota(app string) string {
	return fmt.Sprintf("%s.quota.%s", p, app)
}

// Hint is the core NATS subject on which workers tell each other that
// something about a call has moved.
func (p Prefix) Hint(c CallKey) string {
	return fmt.Sprintf("%s.hints.%s.%s", p, c.Producer, c.CallRef)
}

// CommandSubject takes a command's subject apart. It fails when the subject is
// not <prefix>.commands.<producer>.<callRef>.<action>.
func (p Prefix) CommandSubject(subject string) (CallKey, Action, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 5 || parts[0] != string(p) || parts[1] != "commands" {
		return CallKey{}, "", fmt.Errorf("subject %q is not %s.commands.<producer>.<callRef>.<action>", subject, p)
	}
	call, action := CallKey{parts[2], parts[3]}, Action(parts[4])
	if !action.Known() {
		return call, action, fmt.Errorf("subject %q names no action: want one of %s", subject, actionList())
	}
	return call, action, nil
}

func actionList() string {
	names := make([]string, len(Actions))
	for i, a := range Actions {
		names[i] = string(a)
	}
	return strings.Join(names, ", ")
}

// ValidID tells whether s can be a command's id: 1 to MaxID characters of
// [A-Za-z0-9_-], not beginning with _.
func ValidID(s string) bool { return tokenProblem(s, MaxID) == "" }
