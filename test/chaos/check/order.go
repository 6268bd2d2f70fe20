package check

import (
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// checkOrder wants no request of a later command to be executed before the last
// one of an earlier command of its call. Hang-ups overtake and carry nothing that
// tells whose they are, so they are not among these; neither is, as the earlier
// one, a command with notBefore, which is stepped over.
func checkOrder(x *index, broken breach) {
	for _, of := range x.inOrder {
		// From the end: first is the earliest execution of any later command.
		var first *graphsim.Request
		var whose *command
		for i := len(of.commands) - 1; i >= 0; i-- {
			c := of.commands[i]
			begun, last := executed(c)
			if first != nil && last != nil && !c.notBefore && last.Seq > first.Seq {
				if x.straggler(c, last) {
					x.report.Excused["a request that a connection to Graph held back"]++
				} else {
					broken(c.key, "%s was executed at %s, after %s of the later %s at %s",
						c.Action, clock(last.Start), whose.Action, whose.key.ID, clock(first.Start))
				}
			}
			if begun != nil && (first == nil || begun.Seq < first.Seq) {
				first, whose = begun, c
			}
		}
	}
}

// executed are the first and the last request of a command that Graph tried.
func executed(c *command) (first, last *graphsim.Request) {
	for _, r := range c.requests {
		if r.Executed {
			if first == nil {
				first = r
			}
			last = r
		}
	}
	return first, last
}

// straggler tells whether a request is one that its worker had given up: a
// connection to Graph was being held back, and by then the command had been settled
// or begun again.
func (x *index) straggler(c *command, r *graphsim.Request) bool {
	if !x.graphTrouble(r.Start.Add(-time.Second), r.Start.Add(time.Second)) {
		return false
	}
	begun := 0
	for _, rec := range c.records {
		if rec.Stored.After(r.End) {
			break
		}
		switch {
		case rec.Final, rec.Status == commands.Accepted:
			return true
		case rec.Status == commands.Started:
			begun++
		}
	}
	return begun > 1
}

func (x *index) graphTrouble(from, to time.Time) bool {
	for _, i := range x.graphCut {
		if i.overlaps(from, to) {
			return true
		}
	}
	return false
}

// checkTurn wants everything before a command that waits for its turn to be final
// before that command is begun.
func checkTurn(x *index, broken breach) {
	for _, c := range x.commands {
		if !c.waitTurn || len(c.starts) == 0 {
			continue
		}
		for _, before := range x.call(c.key.Call()).commands[:c.place] {
			switch {
			case before.notBefore:
			case before.final == nil || before.final.Seq > c.starts[0].Seq:
				broken(c.key, "%s was begun at %s, before %s %s was final", c.Action, clock(c.starts[0].Stored), before.Action, before.key.ID)
			}
		}
	}
}
