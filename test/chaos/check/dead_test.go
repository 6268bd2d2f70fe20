package check

import (
	"testing"

	"callbus/internal/commands"
)

func TestDead(t *testing.T) {
	conflict := func(c *Command) { c.Conflicts = 1 }
	other := func(d *commands.DeadLetter) { d.Sequence, d.Original = 99, `{"id":"m","other":1}` }
	try(t, []tale{
		{"a rejected command without a letter", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Rejected)
		}, []string{"dead: place is rejected and has no dead letter"}},
		{"a rejected command with a letter of another cause", func(r *run) {
			r.publish(commands.Place, "p")
			r.bury("p", commands.CauseUnknown)
			r.write("p", commands.Rejected)
		}, []string{"dead: dead letter, unknown, of a place", "dead: has no dead letter"}},
		{"another body under a used id", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m", conflict)
			r.bury("m", commands.CauseIDConflict, other)
			r.over("h")
		}, nil},
		{"the same letter twice", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m", conflict)
			r.bury("m", commands.CauseIDConflict, other)
			r.bury("m", commands.CauseIDConflict, other)
			r.over("h")
		}, nil},
		{"another body without a letter", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m", conflict)
			r.over("h")
		}, []string{"dead: 0 dead letters idConflict; another body was published 1 times"}},
		{"a conflict that nobody made", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m")
			r.bury("m", commands.CauseIDConflict, other)
			r.over("h")
		}, []string{"dead: 1 dead letters idConflict; another body was published 0 times"}},
		{"the first command buried as the conflict", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m", conflict)
			r.bury("m", commands.CauseIDConflict, func(d *commands.DeadLetter) { d.Original = `{"id":"m"}` })
			r.over("h")
		}, []string{"dead: published first is the dead letter"}},
		{"a letter of a command that nobody published", func(r *run) {
			r.placed("p")
			r.over("h")
			r.bury("q", commands.CauseInvalid)
		}, []string{"dead: nobody published"}},
		{"a letter of a command that went well", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m")
			r.bury("m", commands.CauseInternal)
			r.over("h")
		}, []string{"dead: dead letter, internal, of a mute that is succeeded"}},
		{"a letter of an unknown that a proof forestalled", func(r *run) {
			r.placed("p")
			r.publish(commands.PlayPrompt, "pp")
			r.write("pp", commands.Started)
			r.ask("pp")
			r.bury("pp", commands.CauseUnknown)
			r.write("pp", commands.Succeeded)
			r.over("h")
		}, nil},
		{"a letter of an unknown after the end", func(r *run) {
			r.placed("p")
			r.did(commands.PlayPrompt, "pp")
			r.bury("pp", commands.CauseUnknown)
			r.over("h")
		}, []string{"dead: dead letter, unknown, of a playPrompt that is succeeded"}},
		{"a letter of a rejection that a hang-up forestalled", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.publish(commands.Hangup, "h")
			r.bury("m", commands.CauseInvalid)
			r.write("m", commands.Superseded)
			r.finish("h")
			r.end("sent")
		}, nil},
		{"a letter of a call that lived, whose writer was killed", func(r *run) {
			r.placed("p")
			r.over("h")
			r.publish(commands.Place, "p2")
			r.bury("p2", commands.CauseCallLives)
			r.harm("kill", "worker-1", 0)
			r.answered("p2")
			r.over("h2")
		}, nil},
		{"a letter of a call that lived, of a place that went well", func(r *run) {
			r.placed("p")
			r.over("h")
			r.publish(commands.Place, "p2")
			r.bury("p2", commands.CauseCallLives)
			r.answered("p2")
			r.over("h2")
		}, []string{"dead: dead letter, callLives, of a place that is succeeded"}},
		{"a letter without the ledger", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Waiting)
			r.bury("p", commands.CauseInvalid, func(d *commands.DeadLetter) { d.Ledger = nil })
			r.write("p", commands.Rejected)
		}, []string{"dead: has no ledger"}},
	})
}

func TestQueue(t *testing.T) {
	try(t, []tale{
		{"a command that is left", func(r *run) { r.Queued = []string{"calls.commands.crm.order-1.mute"} },
			[]string{"queue: calls.commands.crm.order-1.mute is still in the queue"}},
	})
}
