package check

import (
	"testing"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

func TestChain(t *testing.T) {
	try(t, []tale{
		{"a record that skipped another writer's", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Started)
			r.ask("m")
			r.write("m", commands.Succeeded, func(rec *Record) { rec.ExpectedLast -= 2 })
			r.over("h")
		}, []string{"chain: the one before it is"}},
		{"a first record that expected another", func(r *run) {
			r.placed("p")
			r.Records[0].ExpectedLast = 9
			r.over("h")
		}, []string{"chain: was written after 9; the one before it is 0"}},
		{"a filter of another spelling", func(r *run) {
			r.placed("p")
			r.Records[1].ExpectedSubject = "calls.results.crm.order-1.>"
			r.over("h")
		}, []string{"chain: with the filter"}},
		{"a record without a compare-and-swap", func(r *run) {
			r.placed("p")
			r.Records[1].ExpectedSubject, r.Records[1].ExpectedLast = "", 0
			r.over("h")
		}, []string{"chain: was written after 0", "chain: with the filter"}},
		{"two calls are two chains", func(r *run) {
			r.placed("p")
			r.over("h")
			r.name.CallRef = "order-2"
			r.placed("p")
			r.over("h")
		}, nil},
	})
}

func TestStarted(t *testing.T) {
	try(t, []tale{
		{"a request before started", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.ask("m")
			r.finish("m")
			r.over("h")
		}, []string{"started: request 1 of the command", "started: request 2 of the command"}},
		{"a request that was refused before it was tried", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Started)
			r.ask("m", func(q *graphsim.Request) { q.Executed, q.Status, q.Fault = false, 401, "status" })
			r.ask("m")
			r.write("m", commands.Succeeded)
			r.over("h")
		}, nil},
		{"an attempt that was not begun", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p", func(q *graphsim.Request) { q.CallbackURI = r.uri("p", 2) })
			r.write("p", commands.Accepted, r.withCall)
			r.tell("established", "sent")
			r.write("p", commands.Succeeded, r.withCall)
			r.over("h")
		}, []string{"started: attempt 2 arrived"}},
		{"attempts that are not those begun", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Started)
			r.ask("m")
			r.write("m", commands.Succeeded, func(rec *Record) { rec.Attempts = 2 })
			r.over("h")
		}, []string{"started: says 2 attempts; 1 were begun"}},
	})
}
