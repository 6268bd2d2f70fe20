package check

import (
	"testing"
	"time"

	"callbus/internal/commands"
)

func TestFinal(t *testing.T) {
	try(t, []tale{
		{"a command without a final record", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Started)
			r.ask("m")
			r.over("h")
		}, []string{"final: its last is started"}},
		{"a command without any record", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.over("h")
		}, []string{"final: its last is none"}},
		{"two final records", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m")
			r.write("m", commands.Failed)
			r.over("h")
		}, []string{"final: failed, comes after the final"}},
		{"started after the end", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m")
			r.write("m", commands.Started)
			r.over("h")
		}, []string{"final: started, comes after the final"}},
		{"started after accepted", func(r *run) {
			r.placed("p")
			r.publish(commands.PlayPrompt, "pp")
			r.write("pp", commands.Started)
			r.ask("pp")
			r.write("pp", commands.Accepted)
			r.write("pp", commands.Started)
			r.write("pp", commands.Succeeded)
			r.over("h")
		}, []string{"final: started after accepted"}},
		{"succeeded without having been begun", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Succeeded)
			r.over("h")
		}, []string{"final: succeeded after no record", "truth: mute succeeded and Graph has not done it"}},
		{"a hang-up that finds nothing to do", func(r *run) {
			r.placed("p")
			r.end("sent")
			r.publish(commands.Hangup, "h")
			r.write("h", commands.Waiting)
			r.write("h", commands.Succeeded, func(rec *Record) { rec.Reason = "alreadyEnded" })
		}, nil},
		{"a record that nobody's command has", func(r *run) {
			r.placed("p")
			r.write("m", commands.Waiting)
			r.over("h")
		}, []string{"final: nobody published"}},
		{"an invalid command that is rejected", func(r *run) {
			r.publish(commands.Place, "p", func(c *Command) { c.Invalid = true })
			r.bury("p", commands.CauseInvalid)
			r.write("p", commands.Rejected)
		}, nil},
		{"an invalid command without an id", func(r *run) {
			r.publish(commands.Place, "", func(c *Command) { c.Invalid, c.Seq, c.Body = true, 7, []byte("{") })
			r.bury("_7", commands.CauseUnreadable)
			r.actions[r.key("_7")] = r.actions[r.key("")]
			r.write("_7", commands.Rejected)
		}, nil},
		{"an invalid command that a hang-up takes away", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m", func(c *Command) { c.Invalid = true })
			r.publish(commands.Hangup, "h")
			r.write("m", commands.Superseded)
			r.finish("h")
			r.end("sent")
		}, nil},
		{"an invalid command that is done", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m", func(c *Command) { c.Invalid = true })
			r.over("h")
		}, []string{"final: an invalid mute ended succeeded"}},
		{"a record of another body", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Waiting, func(rec *Record) { rec.Body = "other" })
			r.finish("m")
			r.over("h")
		}, []string{"final: of another body"}},
		{"final that is not marked so", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Waiting, func(rec *Record) { rec.Final = true })
			r.finish("m")
			r.over("h")
		}, []string{"final: waiting with final true"}},
	})
}

// doubted is a place that ended unknown and whose call turns up later.
func doubted(r *run, correct func(unknown uint64)) {
	r.publish(commands.Place, "p")
	r.write("p", commands.Started)
	r.dial("p", lostAnswer)
	r.pass(90 * time.Second)
	unknown := r.lost("p", "answerLost")
	r.tell("established", "sent")
	correct(unknown)
	r.over("h")
}

func TestCorrection(t *testing.T) {
	correct := func(r *run, s commands.Status, of uint64) {
		r.write("p", s, r.withCall, func(rec *Record) { rec.Corrects = of })
	}
	try(t, []tale{
		{"an unknown that is corrected", func(r *run) {
			doubted(r, func(u uint64) { correct(r, commands.Succeeded, u) })
		}, nil},
		{"a correction of another record", func(r *run) {
			doubted(r, func(u uint64) { correct(r, commands.Succeeded, u-1) })
		}, []string{"final: which is not the command's unknown"}},
		{"two corrections", func(r *run) {
			doubted(r, func(u uint64) {
				correct(r, commands.Succeeded, u)
				correct(r, commands.Succeeded, u)
			})
		}, []string{"final: second correction"}},
		{"a correction of what was not unknown", func(r *run) {
			r.placed("p")
			correct(r, commands.Succeeded, 3)
			r.over("h")
		}, []string{"final: which is not the command's unknown"}},
		{"a correction that says unknown", func(r *run) {
			doubted(r, func(u uint64) { correct(r, commands.Unknown, u) })
		}, []string{"final: corrects the unknown with unknown"}},
	})
}
