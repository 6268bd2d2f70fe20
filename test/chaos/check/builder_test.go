package check

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// run makes a history, one step after the other, 10 ms apart. Its steps make what
// a sound system would have left behind; what is to be wrong is changed in the
// step.
type run struct {
	History
	at       time.Time
	seq      uint64
	name     commands.CallKey
	last     map[commands.CallKey]uint64
	attempts map[commands.Key]int
	actions  map[commands.Key]*Command
}

func newRun() *run {
	return &run{
		at:       time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		name:     commands.CallKey{Producer: "crm", CallRef: "order-1"},
		last:     map[commands.CallKey]uint64{},
		attempts: map[commands.Key]int{},
		actions:  map[commands.Key]*Command{},
	}
}

func (r *run) tick() time.Time {
	r.at = r.at.Add(10 * time.Millisecond)
	return r.at
}

func (r *run) pass(d time.Duration) { r.at = r.at.Add(d) }

func (r *run) key(id string) commands.Key {
	return commands.Key{Producer: r.name.Producer, CallRef: r.name.CallRef, ID: id}
}

func (r *run) publish(a commands.Action, id string, change ...func(*Command)) {
	c := Command{Key: r.key(id), Action: a, Body: []byte(fmt.Sprintf(`{"id":%q}`, id)), Published: r.tick(), Copies: 1}
	r.seq++
	c.Seq = r.seq
	for _, f := range change {
		f(&c)
	}
	r.Commands = append(r.Commands, c)
	r.actions[r.key(id)] = &c
}

// write stores a record; the chain and the attempts are right.
func (r *run) write(id string, s commands.Status, change ...func(*Record)) uint64 {
	key, of := r.key(id), r.actions[r.key(id)]
	if of == nil {
		of = &Command{Action: commands.Mute}
	}
	if s == commands.Started {
		r.attempts[key]++
	}
	r.seq++
	rec := Record{
		Result: commands.Result{
			Producer: key.Producer, CallRef: key.CallRef, CommandID: id, Action: of.Action, Status: s, Final: s.Final(),
			Attempts: r.attempts[key], Worker: "worker-1",
		},
		Seq: r.seq, Stored: r.tick(), Body: commands.BodyHash(of.Action, of.Body),
		ExpectedLast: r.last[key.Call()], ExpectedSubject: commands.DefaultPrefix.Results(key.Call()),
	}
	if s.Final() && s != commands.Succeeded {
		rec.Error = &commands.Error{Class: commands.ClassInternal, Code: "x"}
	}
	if of.Action != commands.Place && len(r.Calls) > 0 {
		rec.CallID = r.sim().ID
	}
	for _, f := range change {
		f(&rec)
	}
	r.last[key.Call()] = rec.Seq
	r.Records = append(r.Records, rec)
	return rec.Seq
}

// request notes a request to Graph that was executed and answered.
func (r *run) request(operation, callbackURI string, change ...func(*graphsim.Request)) {
	q := graphsim.Request{Operation: operation, CallbackURI: callbackURI, Executed: true, Status: 200, Start: r.tick(), End: r.tick()}
	if operation != "createCall" && len(r.Calls) > 0 {
		q.CallID = r.sim().ID
	}
	for _, f := range change {
		f(&q)
	}
	q.Seq = len(r.Requests) + 1
	r.Requests = append(r.Requests, q)
}

func (r *run) uri(place string, attempt int) string {
	return fmt.Sprintf("http://127.0.0.1:1/v1/notifications/%s/%s/%s/%d", r.name.Producer, r.name.CallRef, place, attempt)
}

// dial makes a call in Graph.
func (r *run) dial(place string, change ...func(*graphsim.Request)) {
	id := fmt.Sprintf("4d1e9c55-0a6f-3b2d-1e90-%012d", len(r.Calls)+1)
	uri := r.uri(place, max(r.attempts[r.key(place)], 1))
	r.request("createCall", uri, append([]func(*graphsim.Request){func(q *graphsim.Request) { q.CallID, q.Status = id, 201 }}, change...)...)
	r.Calls = append(r.Calls, graphsim.Call{ID: id, CallbackURI: uri, Created: r.at, Creates: 1, State: "establishing", Direction: "outgoing"})
}

// sim is the call that was dialled last.
func (r *run) sim() *graphsim.Call { return &r.Calls[len(r.Calls)-1] }

// ask sends a command's request for the call that was dialled last.
func (r *run) ask(id string, change ...func(*graphsim.Request)) {
	a := r.actions[r.key(id)].Action
	operation, body := string(a), fmt.Sprintf(`{"clientContext":%q}`, id)
	switch a {
	case commands.Hangup:
		operation, body = "deleteCall", ""
	case commands.Transfer:
		body = fmt.Sprintf(`{"transferTarget":{"identity":{"user":{"id":"u","displayName":%q}}}}`, id)
	}
	r.request(operation, r.sim().CallbackURI, append([]func(*graphsim.Request){func(q *graphsim.Request) {
		q.Body = json.RawMessage(body)
	}}, change...)...)
}

// tell sends a notification of the last call: "sent" is stored as an event.
func (r *run) tell(kind, outcome string, change ...func(*Event)) {
	s := r.sim()
	n := graphsim.Notification{MessageID: fmt.Sprintf("m-%s-%d", s.ID, len(s.Notifications)), Time: r.tick(), Kind: kind, ChangeType: "updated", Outcome: outcome, Attempts: 1}
	s.Notifications = append(s.Notifications, n)
	if outcome == "sent" {
		r.event(kind, func(e *Event) { e.MessageID = n.MessageID + ".0" }, change...)
	}
}

// event stores an event of the last call.
func (r *run) event(state string, how func(*Event), change ...func(*Event)) {
	s := r.sim()
	place, attempt, _ := origin(s.CallbackURI)
	r.seq++
	e := Event{
		Event: commands.Event{
			Producer: place.Producer, CallRef: place.CallRef, CommandID: place.ID, Attempt: attempt, CallID: s.ID,
			Kind: commands.KindState, State: state, Time: r.at,
		},
		Seq: r.seq, Stored: r.tick(),
	}
	if state == "operation" {
		e.Kind, e.State = commands.KindOperation, ""
	}
	for _, f := range append([]func(*Event){how}, change...) {
		f(&e)
	}
	r.Events = append(r.Events, e)
}

// end ends the last call; its notification has an outcome. The end is told once.
func (r *run) end(outcome string) {
	r.sim().Ended, r.sim().State = r.tick(), "terminated"
	r.tell("terminated", outcome)
	if outcome != "sent" {
		r.event("terminated", func(e *Event) { e.Source = commands.SourceRead })
	}
	r.event("terminated", func(e *Event) { e.Kind = commands.KindEnded })
}

func (r *run) bury(id string, cause commands.Cause, change ...func(*commands.DeadLetter)) {
	key, of := r.key(id), r.actions[r.key(id)]
	d := commands.DeadLetter{Producer: key.Producer, CallRef: key.CallRef, CommandID: id, Cause: cause, Time: r.tick(), Original: "{}"}
	if of != nil {
		d.Action, d.Sequence = of.Action, of.Seq
	}
	for _, rec := range r.Records {
		if rec.Key() == key {
			d.Ledger = append(d.Ledger, rec.Result)
		}
	}
	for _, f := range change {
		f(&d)
	}
	r.Dead = append(r.Dead, d)
}

// harm is an incident that lasts from a second ago until d from now.
func (r *run) harm(kind, target string, d time.Duration) {
	r.Incidents = append(r.Incidents, Incident{Kind: kind, Target: target, From: r.at.Add(-time.Second), To: r.at.Add(d)})
}

// placed is a place that goes well.
func (r *run) placed(id string, change ...func(*Command)) {
	r.publish(commands.Place, id, change...)
	r.answered(id)
}

func (r *run) answered(id string) {
	r.write(id, commands.Started)
	r.dial(id)
	r.write(id, commands.Accepted, r.withCall)
	r.tell("establishing", "sent")
	r.tell("established", "sent")
	r.write(id, commands.Succeeded, r.withCall)
}

func (r *run) withCall(rec *Record) { rec.CallID = r.sim().ID }

// did is a command that goes well.
func (r *run) did(a commands.Action, id string, change ...func(*Command)) {
	r.publish(a, id, change...)
	r.finish(id)
}

func (r *run) finish(id string) {
	if !r.actions[r.key(id)].Action.Read() {
		r.write(id, commands.Started)
	}
	r.ask(id)
	r.write(id, commands.Succeeded)
}

// over is a hang-up that goes well.
func (r *run) over(id string) {
	r.did(commands.Hangup, id)
	r.end("sent")
}

// lost ends a command as unknown.
func (r *run) lost(id, code string, change ...func(*Record)) uint64 {
	r.bury(id, commands.CauseUnknown)
	return r.write(id, commands.Unknown, append([]func(*Record){func(rec *Record) {
		rec.Error = &commands.Error{Class: commands.ClassAmbiguous, Code: code}
	}}, change...)...)
}

// tale is a history and what is wrong with it: a rule and a part of the text for
// each violation, in the order of the rules.
type tale struct {
	name string
	tell func(*run)
	want []string
}

func try(t *testing.T, tales []tale) {
	t.Helper()
	for _, tt := range tales {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun()
			tt.tell(r)
			rep := Check(r.History)
			good := len(rep.Violations) == len(tt.want)
			for i := 0; good && i < len(tt.want); i++ {
				rule, text, _ := strings.Cut(tt.want[i], ": ")
				good = rep.Violations[i].Rule == rule && strings.Contains(rep.Violations[i].Text, text)
			}
			if !good {
				t.Errorf("Check() found\n%s\nwant\n%s\nof\n%s", join(rep.Violations), strings.Join(tt.want, "\n"), r.Story("order-1"))
			}
		})
	}
}

func join(list []Violation) string {
	var lines []string
	for _, v := range list {
		lines = append(lines, v.String())
	}
	return strings.Join(lines, "\n")
}
