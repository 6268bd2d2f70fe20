package check

import (
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// swapped is a call whose mute and unmute were executed the wrong way round.
func swapped(r *run, change ...func(*Command)) {
	r.placed("p")
	r.publish(commands.Mute, "m", change...)
	r.did(commands.Unmute, "u")
	r.finish("m")
	r.over("h")
}

// late is a mute whose first request, given up by its worker, arrives when all is
// over.
func late(r *run) {
	r.placed("p")
	r.publish(commands.Mute, "m")
	r.write("m", commands.Started)
	r.pass(2 * time.Second)
	r.finish("m")
	r.did(commands.Unmute, "u")
	r.ask("m")
	r.over("h")
}

func TestOrder(t *testing.T) {
	try(t, []tale{
		{"a later command before an earlier one", func(r *run) { swapped(r) }, []string{"order: after unmute of the later u"}},
		{"a delayed command is stepped over", func(r *run) {
			swapped(r, func(c *Command) { c.Body = []byte(`{"id":"m","notBefore":"2026-11-23T10:00:01Z"}`) })
		}, nil},
		{"a repetition after a later command", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Started)
			r.ask("m", lostAnswer)
			r.did(commands.Unmute, "u")
			r.finish("m")
			r.over("h")
		}, []string{"order: mute was executed at"}},
		{"a refused try before an earlier command is none", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.publish(commands.Unmute, "u")
			r.write("u", commands.Started)
			r.ask("u", func(q *graphsim.Request) { q.Executed, q.Status, q.Fault = false, 503, "status" })
			r.write("u", commands.Waiting)
			r.finish("m")
			r.finish("u")
			r.over("h")
		}, nil},
		{"a transfer before a prompt", func(r *run) {
			r.placed("p")
			r.publish(commands.PlayPrompt, "pp")
			r.publish(commands.Transfer, "cmd-x")
			r.write("cmd-x", commands.Started)
			r.ask("cmd-x")
			r.write("cmd-x", commands.Accepted)
			r.finish("pp")
			r.tell("transferAccepted", "sent")
			r.write("cmd-x", commands.Succeeded)
			r.end("sent")
		}, []string{"order: after transfer of the later cmd-x"}},
		{"a request that arrives when its worker has long given it up", late, []string{"order: mute was executed at"}},
		{"the same, held back by a connection", func(r *run) {
			late(r)
			r.harm("freeze", "worker-1/graph", time.Second)
		}, nil},
	})
}

func TestTurn(t *testing.T) {
	turn := func(c *Command) { c.Turn = true }
	try(t, []tale{
		{"a hang-up in turn when all is final", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m")
			r.did(commands.Hangup, "h", turn)
			r.end("sent")
		}, nil},
		{"a hang-up in turn while a prompt runs", func(r *run) {
			r.placed("p")
			r.publish(commands.PlayPrompt, "pp")
			r.write("pp", commands.Started)
			r.ask("pp")
			r.write("pp", commands.Accepted)
			r.did(commands.Hangup, "h", turn)
			r.end("sent")
			r.write("pp", commands.Succeeded)
		}, []string{"turn: before playPrompt pp was final"}},
		{"the same, said in the body", func(r *run) {
			r.placed("p")
			r.publish(commands.PlayPrompt, "pp")
			r.write("pp", commands.Started)
			r.ask("pp")
			r.write("pp", commands.Accepted)
			r.did(commands.Mute, "m", func(c *Command) { c.Body = []byte(`{"id":"m","wait":"turn"}`) })
			r.write("pp", commands.Succeeded)
			r.over("h")
		}, []string{"turn: before playPrompt pp was final"}},
		{"a hang-up that overtakes", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.publish(commands.Hangup, "h")
			r.write("m", commands.Superseded)
			r.finish("h")
			r.end("sent")
		}, nil},
	})
}

// both are two requests, the second of which arrives while the first one is under
// way for a time.
func both(r *run, takes time.Duration) {
	r.placed("p")
	r.publish(commands.Mute, "m")
	r.write("m", commands.Started)
	r.ask("m", func(q *graphsim.Request) { q.End = q.Start.Add(takes) })
	r.write("m", commands.Succeeded)
	r.pass(time.Second)
	r.did(commands.Unmute, "u")
	r.pass(takes)
	r.over("h")
}

func TestOverlap(t *testing.T) {
	try(t, []tale{
		{"one after the other", func(r *run) { both(r, time.Millisecond) }, nil},
		{"two commands at a time", func(r *run) { both(r, 3*time.Second) }, []string{"overlap: while mute of m"}},
		{"a connection to Graph was cut under the first", func(r *run) {
			both(r, 3*time.Second)
			first := r.Requests[1].Start
			r.Incidents = append(r.Incidents, Incident{Kind: "cut", Target: "worker-1/graph", From: first.Add(time.Millisecond), To: first.Add(time.Second)})
		}, nil},
		{"the worker had no patience left", func(r *run) {
			r.Settings = Settings{GraphTimeout: 500 * time.Millisecond}
			both(r, 3*time.Second)
		}, nil},
		{"two requests of one command at a time", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Started)
			r.ask("m", func(q *graphsim.Request) { q.End = q.Start.Add(time.Second) })
			r.finish("m")
			r.over("h")
		}, []string{"overlap: while mute of m"}},
		{"a hang-up and a read beside a prompt", func(r *run) {
			r.placed("p")
			r.publish(commands.PlayPrompt, "pp")
			r.write("pp", commands.Started)
			r.ask("pp", func(q *graphsim.Request) { q.End = q.Start.Add(time.Minute) })
			r.request("getCall", r.sim().CallbackURI)
			r.publish(commands.Hangup, "h")
			r.finish("h")
			r.end("sent")
			r.write("pp", commands.Failed)
		}, nil},
	})
}
