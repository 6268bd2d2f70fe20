package check

import (
	"fmt"

	"callbus/internal/commands"
)

// checkChain wants every record to have been written with a compare-and-swap on
// the one before it of its call, with exactly the filter that a replicated server
// needs.
func checkChain(x *index, broken breach) {
	for _, of := range x.inOrder {
		want := resultsFilter(of.key)
		var before uint64
		for _, r := range of.records {
			if r.ExpectedLast != before {
				broken(r.Key(), "record %d, %s, was written after %d; the one before it is %d", r.Seq, r.Status, r.ExpectedLast, before)
			}
			if !matchesPrefix(r.ExpectedSubject, want) {
				broken(r.Key(), "record %d was written with the filter %q; want <prefix>%s", r.Seq, r.ExpectedSubject, want)
			}
			before = r.Seq
		}
	}
}

// resultsFilter is the filter without the prefix, which a history does not know.
func resultsFilter(c commands.CallKey) string {
	return fmt.Sprintf(".results.%s.%s.*", c.Producer, c.CallRef)
}

// matchesPrefix tells whether a subject is one token and then rest.
func matchesPrefix(subject, rest string) bool {
	at := len(subject) - len(rest)
	return at > 0 && subject[at:] == rest && commands.Prefix(subject[:at]).Check() == nil
}

// checkStarted wants a "started" in the journal for every request before that
// arrives, and attempts to be the number of them.
func checkStarted(x *index, broken breach) {
	for _, c := range x.commands {
		started := 0
		for _, r := range c.records {
			if r.Status == commands.Started {
				started++
			}
			if r.Attempts != started {
				broken(c.key, "record %d, %s, says %d attempts; %d were begun", r.Seq, r.Status, r.Attempts, started)
			}
		}
		executed, begun := 0, 0
		for _, r := range c.requests {
			if !r.Executed {
				continue
			}
			executed++
			for begun < len(c.starts) && !c.starts[begun].Stored.After(r.Start) {
				begun++
			}
			if executed > begun {
				broken(c.key, "request %d of the command, at %s, has only %d records started before it", executed, clock(r.Start), begun)
			}
			if _, attempt, ok := origin(r.CallbackURI); ok && c.Action == commands.Place && attempt > begun {
				broken(c.key, "attempt %d arrived at %s; %d were begun by then", attempt, clock(r.Start), begun)
			}
		}
	}
}
