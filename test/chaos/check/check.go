package check

import (
	"fmt"
	"strings"

	"callbus/internal/commands"
)

// breach notes a violation of the rule at hand. A key without an ID is about a
// call.
type breach func(key commands.Key, format string, args ...any)

// rule is one thing that must hold for every history.
type rule struct {
	name  string
	says  string
	check func(*index, breach)
}

// rules are all of them. The names are in violations.
var rules = []rule{
	{"dialled", "a request that must not be repeated takes effect once; calls belong to published places", checkDialled},
	{"live", "no two calls of one callRef live at a time", checkLive},
	{"order", "the requests of a call come in the order of its commands", checkOrder},
	{"turn", "a command that waits for its turn is sent when all before it are final", checkTurn},
	{"overlap", "no two requests of a call are under way at a time, hang-ups and reads excepted", checkOverlap},
	{"final", "every command has one final record, and statuses never revert", checkFinal},
	{"chain", "every record was written after the one before it", checkChain},
	{"started", "nothing is sent before started is stored", checkStarted},
	{"truth", "the outcome agrees with the simulated Graph", checkTruth},
	{"dead", "what needs a look is a dead letter, and nothing else is", checkDead},
	{"queue", "the queue is empty", checkQueue},
	{"ended", "every call ends, and its end is told once", checkEnded},
	{"stored", "a notification that was taken is stored", checkStored},
	{"unknown", "an unknown could not have been avoided", checkUnknown},
}

// Rules are the names of the rules and what they say.
func Rules() map[string]string {
	all := map[string]string{}
	for _, r := range rules {
		all[r.name] = r.says
	}
	return all
}

// Check holds a history against the five promises. It is pure; it changes nothing
// in h, and the report does not share memory with it.
func Check(h History) Report {
	rep := newReport(&h)
	x := newIndex(&h, rep)
	rep.count(x)
	for _, r := range rules {
		r.check(x, func(key commands.Key, format string, args ...any) {
			rep.Violations = append(rep.Violations, Violation{
				Rule: r.name, Call: key.Call(), CommandID: key.ID, Text: fmt.Sprintf(format, args...),
			})
		})
	}
	return *rep
}

// name is a call as a key without a command.
func name(c commands.CallKey) commands.Key {
	return commands.Key{Producer: c.Producer, CallRef: c.CallRef}
}

func checkQueue(x *index, broken breach) {
	for _, subject := range x.h.Queued {
		var key commands.Key
		if parts := strings.Split(subject, "."); len(parts) == 5 {
			key.Producer, key.CallRef = parts[2], parts[3]
		}
		broken(key, "%s is still in the queue", subject)
	}
}
