package check

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// Verdict is what comparing the two sides of one thing comes to.
type Verdict string

// The verdicts.
const (
	Agrees Verdict = "agrees"
	// Untold: the notification that would have told was lost, or came after the end
	// had been found out otherwise, and Graph has no other way to tell.
	Untold  Verdict = "untold"
	Differs Verdict = "differs"
)

// Side is one thing as the simulated Graph knows it and as callbus told it.
type Side struct {
	Of        string // "call", or the action of a command
	Simulator string
	Callbus   string
	Verdict   Verdict
}

// Sides compares every call and every command of a run. Where they differ, the
// violation says which. Both are in no particular order.
func Sides(h History) (map[Side]int, []Violation) {
	c := sides{index: newIndex(&h, newReport(&h)), rows: map[Side]int{}}
	for _, s := range c.simOrder {
		if s.place != nil {
			c.call(s)
		}
	}
	for _, cmd := range c.commands {
		c.command(cmd)
	}
	return c.rows, c.differ
}

type sides struct {
	*index
	rows   map[Side]int
	differ []Violation
}

func (c *sides) add(key commands.Key, s Side) {
	c.rows[s]++
	if s.Verdict == Differs {
		c.differ = append(c.differ, Violation{
			Rule: "sides", Call: key.Call(), CommandID: key.ID, Text: fmt.Sprintf("%s: the simulator says %s, callbus says %s", s.Of, s.Simulator, s.Callbus),
		})
	}
}

// call compares how a call ended.
func (c *sides) call(s *simCall) {
	side := Side{Of: "call", Simulator: "lives", Callbus: "lives", Verdict: Differs}
	if !s.Ended.IsZero() {
		side.Simulator = ending(s.ResultInfo, s.TerminationReason)
	}
	told := c.end(s)
	if told != nil {
		side.Callbus = "unseen"
		if told.Reason != "unseen" {
			var info *graphsim.ResultInfo
			if r := told.ResultInfo; r != nil {
				info = &graphsim.ResultInfo{Code: r.Code, Subcode: r.Subcode}
			}
			side.Callbus = ending(info, told.TerminationReason)
		}
	}
	// How it ended is found out by the first event that says so.
	found, last := s.told("terminated"), s.notified("terminated")
	switch {
	case side.Simulator == side.Callbus && side.Simulator != "lives":
		side.Verdict = Agrees
	case side.Callbus == "unseen" && (last == nil || last != found):
		side.Verdict = Untold
	case told == nil && c.orphan(s):
		side.Callbus, side.Verdict = "orphan", Agrees
	}
	c.add(s.placeKey, side)
}

func ending(info *graphsim.ResultInfo, reason string) string {
	switch {
	case info != nil:
		return fmt.Sprintf("ended %d/%d", info.Code, info.Subcode)
	case reason != "":
		return "ended " + reason
	}
	return "ended"
}

// end is the event that told the end of a call, nil for none.
func (x *index) end(s *simCall) *Event {
	i := slices.IndexFunc(s.events, func(e *Event) bool { return e.Kind == commands.KindEnded })
	if i < 0 {
		return nil
	}
	return s.events[i]
}

// command compares what became of a command.
func (c *sides) command(cmd *command) {
	r := cmd.last()
	side := Side{Of: string(cmd.Action), Callbus: string(cmd.status()), Verdict: Differs}
	truth, told := c.truth(cmd)
	side.Simulator = truth
	switch {
	case r == nil:
		side.Callbus = "nothing"
	case r.Status == commands.Unknown:
		if _, flaw := c.causeOf(cmd); flaw == "" {
			side.Verdict = Untold
		}
	case suits(cmd.Action, truth, r):
		side.Verdict = Agrees
	case untold(truth, told, c.sims[commands.NormalCallID(r.CallID)]):
		side.Verdict = Untold
	}
	c.add(cmd.key, side)
}

// What the simulator knows of commands.
const (
	notDone   = "not done"
	answered  = "answered"
	unmet     = "not answered"
	completed = "completed"
	broke     = "failed"
	cutOff    = "cut off by the end"
	over      = "the call is over"
	alive     = "the call lives"
)

// truth is what the simulator knows of a command, and the event that told it.
func (c *sides) truth(cmd *command) (string, *Event) {
	switch cmd.Action {
	case commands.Place:
		calls := c.callsOf(cmd)
		if len(calls) == 0 {
			return notDone, nil
		}
		if s := calls[len(calls)-1]; !s.reached("established").IsZero() {
			return answered, s.told("established")
		}
		return unmet, nil
	case commands.Hangup:
		for _, s := range c.callsBefore(cmd) {
			if s.Ended.IsZero() {
				return alive, nil
			}
		}
		return over, nil
	case commands.Transfer:
		s := c.asked(cmd)
		if s == nil {
			return notDone, nil
		}
		if !s.reached("transferAccepted").IsZero() {
			return completed, s.told("transferAccepted")
		}
		return broke, nil
	case commands.Mute, commands.Unmute, commands.PlayPrompt, commands.CancelMediaProcessing:
		for _, s := range c.index.call(cmd.key.Call()).sims {
			for _, o := range s.Operations {
				if o.ClientContext != cmd.key.ID {
					continue
				}
				switch o.Status {
				case "completed":
					return completed, c.operationTold(cmd)
				case "failed":
					return broke, nil
				}
				return cutOff, nil
			}
		}
		return notDone, nil
	}
	// Reads and keepAlive carry nothing that tells whose they are.
	if r := cmd.last(); r != nil && c.answered(string(cmd.Action), r) {
		return completed, nil
	}
	return notDone, nil
}

// callsBefore are the calls of the name that were made before a command ended.
func (c *sides) callsBefore(cmd *command) (all []*simCall) {
	for _, s := range c.index.call(cmd.key.Call()).sims {
		if r := cmd.last(); r != nil && s.Created.Before(r.Stored) {
			all = append(all, s)
		}
	}
	return all
}

// asked is the call on which Graph took the command's request, nil for none.
func (c *sides) asked(cmd *command) *simCall {
	for _, r := range cmd.requests {
		if e := effectOf(r); e == done || e == perhaps {
			return c.sims[commands.NormalCallID(r.CallID)]
		}
	}
	return nil
}

// suits tells whether an outcome says what the simulator knows.
func suits(a commands.Action, truth string, r *Record) bool {
	unsent := r.Status == commands.Rejected || r.Status == commands.Expired || r.Status == commands.Superseded
	switch truth {
	case notDone:
		return unsent || r.Status == commands.Failed || (r.Status == commands.Cancelled && r.CallID == "")
	case answered, completed:
		return r.Status == commands.Succeeded
	case unmet:
		return r.Status == commands.Failed || (r.Status == commands.Cancelled && r.CallID != "")
	case broke, cutOff:
		return r.Status == commands.Failed
	case over:
		return a == commands.Hangup && (r.Status == commands.Succeeded || unsent)
	}
	return false
}

// untold tells whether the news of what the simulator knows had not come before
// the end of the call decided the command.
func untold(truth string, told *Event, s *simCall) bool {
	if s == nil || (truth != answered && truth != completed) {
		return false
	}
	end := s.told("terminated")
	return end != nil && (told == nil || told.Seq > end.Seq)
}

// WriteSides writes the table, and how often both sides agree.
func WriteSides(w io.Writer, rows map[Side]int) error {
	var all []Side
	sum := map[Verdict]int{}
	for s, n := range rows {
		all = append(all, s)
		sum[s.Verdict] += n
	}
	slices.SortFunc(all, func(a, b Side) int {
		return cmp.Or(cmp.Compare(order(a.Of), order(b.Of)), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Simulator, b.Simulator), cmp.Compare(a.Callbus, b.Callbus), cmp.Compare(a.Verdict, b.Verdict))
	})
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "of\tthe simulator knows\tcallbus says\tn\t")
	for _, s := range all {
		verdict := string(s.Verdict)
		if s.Verdict == Agrees {
			verdict = ""
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", s.Of, s.Simulator, s.Callbus, rows[s], verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "agree %d, untold %d (the notification that would have told was lost or came after the end), differ %d\n", sum[Agrees], sum[Untold], sum[Differs])
	return err
}

// order puts calls first.
func order(of string) int {
	if of == "call" {
		return 0
	}
	return 1
}
