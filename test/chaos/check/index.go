package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// index is a history with everything about one thing in one place, so that no
// rule has to look through all of it.
type index struct {
	h        *History
	settings Settings
	report   *Report
	commands []*command // in order of publication
	byID     map[commands.Key]*command
	calls    map[commands.CallKey]*call
	inOrder  []*call
	sims     map[string]*simCall // by normal Graph call id
	simOrder []*simCall
	stray    []*Record // records of commands that nobody published
	harm     []Incident
	graphCut []Incident
}

// command is one published command and all that became of it.
type command struct {
	*Command
	key       commands.Key // as the journal has it
	place     int          // in the order of its call
	notBefore bool
	waitTurn  bool
	records   []*Record
	starts    []*Record
	// final is the one without corrects; correction is the other one.
	final, correction *Record
	requests          []*graphsim.Request // in order of arrival
	letters           []*commands.DeadLetter
}

// call is one name and everything that happened under it.
type call struct {
	key      commands.CallKey
	commands []*command
	records  []*Record
	sims     []*simCall // in order of creation
	events   []*Event
}

// simCall is one call in the simulated Graph.
type simCall struct {
	*graphsim.Call
	name     commands.CallKey // zero for one that no worker placed
	place    *command         // nil when nobody published it
	placeKey commands.Key
	attempt  int
	requests []*graphsim.Request
	events   []*Event
}

func newIndex(h *History, report *Report) *index {
	x := &index{
		h: h, settings: h.Settings, report: report,
		byID: map[commands.Key]*command{}, calls: map[commands.CallKey]*call{}, sims: map[string]*simCall{},
	}
	x.settings.AckWait = cmp.Or(x.settings.AckWait, 15*time.Second)
	x.settings.GraphTimeout = cmp.Or(x.settings.GraphTimeout, 10*time.Second)
	x.settings.ReconcileWait = cmp.Or(x.settings.ReconcileWait, 90*time.Second)
	x.addCommands()
	x.addRecords()
	x.addCalls()
	x.addRequests()
	for i := range h.Events {
		e := &h.Events[i]
		x.call(e.Call()).events = append(x.call(e.Call()).events, e)
		if s := x.sims[commands.NormalCallID(e.CallID)]; s != nil {
			s.events = append(s.events, e)
		}
	}
	for i := range h.Dead {
		if c := x.byID[h.Dead[i].Key()]; c != nil {
			c.letters = append(c.letters, &h.Dead[i])
		}
	}
	for _, i := range h.Incidents {
		if i.harmful() {
			x.harm = append(x.harm, i)
		}
		if i.cutsGraph() {
			x.graphCut = append(x.graphCut, i)
		}
	}
	return x
}

func (x *index) call(key commands.CallKey) *call {
	c := x.calls[key]
	if c == nil {
		c = &call{key: key}
		x.calls[key] = c
		x.inOrder = append(x.inOrder, c)
	}
	return c
}

func (x *index) addCommands() {
	for i := range x.h.Commands {
		p := &x.h.Commands[i]
		c := &command{Command: p, key: p.Key}
		if !commands.ValidID(c.key.ID) {
			c.key.ID = fmt.Sprintf("_%d", p.Seq) // what the worker calls it
		}
		var body struct {
			NotBefore time.Time     `json:"notBefore"`
			Wait      commands.Wait `json:"wait"`
		}
		if json.Unmarshal(p.Body, &body) == nil {
			c.notBefore, c.waitTurn = !body.NotBefore.IsZero(), body.Wait == commands.WaitTurn
		}
		c.waitTurn = c.waitTurn || p.Turn
		if x.byID[c.key] != nil {
			continue // the history is wrong; the first one counts
		}
		x.byID[c.key] = c
		of := x.call(c.key.Call())
		c.place = len(of.commands)
		of.commands = append(of.commands, c)
		x.commands = append(x.commands, c)
	}
}

func (x *index) addRecords() {
	for i := range x.h.Records {
		r := &x.h.Records[i]
		of := x.call(r.Key().Call())
		of.records = append(of.records, r)
		c := x.byID[r.Key()]
		if c == nil {
			x.stray = append(x.stray, r)
			continue
		}
		c.records = append(c.records, r)
		switch {
		case r.Status == commands.Started:
			c.starts = append(c.starts, r)
		case r.Status.Final() && r.Corrects == 0 && c.final == nil:
			c.final = r
		case r.Status.Final() && r.Corrects != 0 && c.correction == nil:
			c.correction = r
		}
	}
}

func (x *index) addCalls() {
	for i := range x.h.Calls {
		s := &simCall{Call: &x.h.Calls[i]}
		x.sims[commands.NormalCallID(s.ID)] = s
		x.simOrder = append(x.simOrder, s)
		key, attempt, ok := origin(s.CallbackURI)
		if !ok {
			continue
		}
		s.name, s.placeKey, s.attempt, s.place = key.Call(), key, attempt, x.byID[key]
		x.call(s.name).sims = append(x.call(s.name).sims, s)
	}
}

func (x *index) addRequests() {
	for i := range x.h.Requests {
		r := &x.h.Requests[i]
		if s := x.sims[commands.NormalCallID(r.CallID)]; s != nil {
			s.requests = append(s.requests, r)
		}
		if key, ok := attribute(r); ok {
			if c := x.byID[key]; c != nil {
				c.requests = append(c.requests, r)
			}
		}
	}
}

// last is the command's outcome as it stands, nil while there is none.
func (c *command) last() *Record {
	if c.correction != nil {
		return c.correction
	}
	return c.final
}

// startBefore is the last "started" that was stored at a time, nil for none.
func (c *command) startBefore(at time.Time) *Record {
	var last *Record
	for _, s := range c.starts {
		if s.Stored.After(at) {
			break
		}
		last = s
	}
	return last
}

// status is the outcome as it stands, "" for none.
func (c *command) status() commands.Status {
	if r := c.last(); r != nil {
		return r.Status
	}
	return ""
}

// told is the first event that says that the call is in a state, whoever found
// it out; nil when none does.
func (s *simCall) told(state string) *Event {
	i := slices.IndexFunc(s.events, func(e *Event) bool { return e.State == state && e.Kind != commands.KindEnded })
	if i < 0 {
		return nil
	}
	return s.events[i]
}

// notified is the first event of the call that Graph itself told of.
func (s *simCall) notified(state string) *Event {
	i := slices.IndexFunc(s.events, func(e *Event) bool {
		return e.State == state && e.Kind != commands.KindEnded && e.Source != commands.SourceRead
	})
	if i < 0 {
		return nil
	}
	return s.events[i]
}

// reached is when the simulated call first was in a state, zero for never.
func (s *simCall) reached(state string) time.Time {
	for _, n := range s.Notifications {
		if n.Kind == state {
			return n.Time
		}
	}
	return time.Time{}
}

// heard tells whether a notification of the call was delivered.
func (s *simCall) heard() bool {
	return slices.ContainsFunc(s.Notifications, func(n graphsim.Notification) bool { return n.Outcome == "sent" })
}

// slack is what the clocks of processes on one machine and the keeping of a diary
// may be apart.
const slack = 2 * time.Second

func (i Incident) overlaps(from, to time.Time) bool {
	return !i.From.After(to.Add(slack)) && (i.To.IsZero() || !i.To.Add(slack).Before(from))
}

// harmful tells whether the incident can cost a worker an answer, or an event its
// folding. A clean stop must not.
func (i Incident) harmful() bool {
	return i.Kind != "faults" && i.Kind != "term" && i.Target != "callbacks"
}

// of tells whether the incident can have hurt a worker.
func (i Incident) of(worker string) bool {
	name, _, _ := strings.Cut(i.Target, "/")
	return worker == "" || !strings.HasPrefix(name, "worker") || !strings.HasPrefix(worker, "worker") || name == worker
}

// cutsGraph tells whether the incident is one of connections to Graph.
func (i Incident) cutsGraph() bool {
	return i.harmful() && strings.HasSuffix(i.Target, "/graph")
}

// hurt tells whether something was done to a worker, or to all, in a time. An empty
// name is any worker.
func (x *index) hurt(worker string, from, to time.Time) bool {
	return slices.ContainsFunc(x.harm, func(i Incident) bool { return i.of(worker) && i.overlaps(from, to) })
}
