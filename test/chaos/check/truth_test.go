package check

import (
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// unanswered is a place whose call ends before anybody answers it.
func unanswered(r *run, s commands.Status, ring func()) {
	r.publish(commands.Place, "p")
	r.write("p", commands.Started)
	r.dial("p")
	r.write("p", commands.Accepted, r.withCall)
	ring()
	r.end("sent")
	r.write("p", s, r.withCall)
}

func TestTruthOfPlaces(t *testing.T) {
	try(t, []tale{
		{"a call that nobody answers", func(r *run) { unanswered(r, commands.Failed, func() {}) }, nil},
		{"a call that is hung up while it rings", func(r *run) {
			unanswered(r, commands.Cancelled, func() { r.publish(commands.Hangup, "h"); r.finish("h") })
		}, nil},
		{"succeeded without an answer", func(r *run) { unanswered(r, commands.Succeeded, func() {}) },
			[]string{"truth: was never answered"}},
		{"succeeded before the answer", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p")
			r.write("p", commands.Accepted, r.withCall)
			r.write("p", commands.Succeeded, r.withCall)
			r.pass(5 * time.Second)
			r.tell("established", "sent")
			r.over("h")
		}, []string{"truth: was answered at"}},
		{"succeeded with another's call", func(r *run) {
			r.placed("p")
			r.Records[2].CallID = "another"
			r.over("h")
		}, []string{"truth: which it did not create"}},
		{"failed, and the answer had been told before the end", func(r *run) {
			unanswered(r, commands.Failed, func() { r.tell("established", "sent") })
		}, []string{"truth: said so before its end was known"}},
		{"cancelled, and the answer had been told before the end", func(r *run) {
			unanswered(r, commands.Cancelled, func() { r.tell("established", "sent") })
		}, []string{"truth: said so before its end was known"}},
		{"failed, and the news of the answer was lost", func(r *run) {
			unanswered(r, commands.Failed, func() { r.tell("established", "lost") })
		}, nil},
		{"failed while the call lives", func(r *run) {
			unanswered(r, commands.Failed, func() {})
			r.sim().Ended = r.at.Add(time.Minute)
		}, []string{"truth: was not over"}},
		{"failed by a refusal", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.request("createCall", r.uri("p", 1), func(q *graphsim.Request) { q.Status, q.Code = 403, "7504" })
			r.write("p", commands.Failed)
		}, nil},
		{"failed without a call, and there is one", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p")
			r.write("p", commands.Failed)
			r.end("lost")
		}, []string{"truth: was created", "ended: which no record of its place knows"}},
		{"failed because Graph said 500 and made it all the same", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p", func(q *graphsim.Request) { q.Status, q.Code, q.Fault = 500, "9999", "status" })
			r.write("p", commands.Failed)
			r.end("lost")
		}, nil},
		{"cancelled before it was sent", func(r *run) {
			r.publish(commands.Place, "p")
			r.publish(commands.Hangup, "h")
			r.write("p", commands.Cancelled)
			r.write("h", commands.Succeeded, func(rec *Record) { rec.Reason = "neverPlaced" })
		}, nil},
		{"cancelled without a call, and there is one", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p")
			r.write("p", commands.Waiting)
			r.write("p", commands.Cancelled)
			r.end("lost")
		}, []string{"truth: place is cancelled, and Graph executed it", "ended: which no record of its place knows"}},
	})
}

func TestTruthOfOthers(t *testing.T) {
	// one is a call with one command that is given an outcome.
	one := func(a commands.Action, how func(*run)) func(*run) {
		return func(r *run) {
			r.placed("p")
			r.publish(a, "cmd-1")
			how(r)
			r.over("h")
		}
	}
	sent := func(s commands.Status, change ...func(*graphsim.Request)) func(*run) {
		return func(r *run) {
			r.write("cmd-1", commands.Started)
			r.ask("cmd-1", change...)
			r.write("cmd-1", s)
		}
	}
	ended := func(rec *Record) { rec.Error = &commands.Error{Class: commands.ClassGone, Code: "callEnded"} }
	try(t, []tale{
		{"a prompt that Graph refused and that succeeded", one(commands.PlayPrompt,
			sent(commands.Succeeded, func(q *graphsim.Request) { q.Status, q.Code = 400, "8503" })), []string{"truth: Graph has not done it"}},
		{"a prompt whose answer was lost and that succeeded", one(commands.PlayPrompt, sent(commands.Succeeded, lostAnswer)), nil},
		{"a refused prompt that expired", one(commands.PlayPrompt,
			sent(commands.Expired, func(q *graphsim.Request) { q.Status, q.Code = 400, "8503" })), nil},
		{"a prompt that was played and expired", one(commands.PlayPrompt, sent(commands.Expired)), []string{"truth: Graph executed it"}},
		{"a mute that was done and superseded", one(commands.Mute, func(r *run) {
			r.write("cmd-1", commands.Started)
			r.ask("cmd-1")
			r.write("cmd-1", commands.Waiting)
			r.write("cmd-1", commands.Superseded)
		}), []string{"truth: Graph executed it"}},
		{"a transfer that was never accepted", one(commands.Transfer, sent(commands.Succeeded)), []string{"truth: was never accepted"}},
		{"a read without a request", one(commands.GetCall, func(r *run) { r.write("cmd-1", commands.Succeeded) }),
			[]string{"truth: Graph has answered none"}},
		{"gone when the call has ended", func(r *run) {
			r.placed("p")
			r.end("sent")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Failed, ended)
		}, nil},
		{"gone long before the call ends", one(commands.Mute, func(r *run) {
			r.write("cmd-1", commands.Failed, ended)
			r.pass(5 * time.Second)
		}), []string{"truth: because call"}},
		{"a fault said that the call was gone", one(commands.Mute, func(r *run) {
			r.write("cmd-1", commands.Started)
			r.ask("cmd-1", func(q *graphsim.Request) { q.Executed, q.Status, q.Fault = false, 404, "status" })
			r.write("cmd-1", commands.Failed, ended)
			r.pass(5 * time.Second)
		}), nil},
		{"a failed transfer that was accepted, as had been told", one(commands.Transfer, func(r *run) {
			r.write("cmd-1", commands.Started)
			r.ask("cmd-1")
			r.write("cmd-1", commands.Accepted)
			r.tell("transferAccepted", "sent")
			r.write("cmd-1", commands.Failed)
		}), []string{"truth: transferAccepted"}},
		{"a failed transfer that was accepted, which was not told", one(commands.Transfer, func(r *run) {
			r.write("cmd-1", commands.Started)
			r.ask("cmd-1")
			r.write("cmd-1", commands.Accepted)
			r.tell("transferAccepted", "lost")
			r.write("cmd-1", commands.Failed)
		}), nil},
	})
}

func TestTruthOfHangups(t *testing.T) {
	try(t, []tale{
		{"hung up, and the call lives on", func(r *run) {
			r.placed("p")
			r.did(commands.Hangup, "h")
		}, []string{"truth: deleted, and call", "ended: lives on"}},
		{"hung up without a DELETE", func(r *run) {
			r.placed("p")
			r.publish(commands.Hangup, "h")
			r.write("h", commands.Succeeded)
			r.end("sent")
		}, []string{"truth: no DELETE"}},
		{"ended already, which it had not", func(r *run) {
			r.placed("p")
			r.publish(commands.Hangup, "h")
			r.write("h", commands.Succeeded, func(rec *Record) { rec.Reason = "alreadyEnded" })
			r.pass(5 * time.Second)
			r.end("sent")
		}, []string{"truth: hangup found at"}},
		{"ended already, and nobody knows whether there is a call", func(r *run) {
			lostPlace(r, func() { r.dial("p", lostAnswer); r.tell("establishing", "lost") })
			r.publish(commands.Hangup, "h", func(c *Command) { c.Turn = true })
			r.write("h", commands.Succeeded, func(rec *Record) { rec.Reason, rec.CallID = "alreadyEnded", "" })
		}, []string{"truth: was unknown: the call may live"}},
		{"ended already, and the call of the unknown place had been found and was over", func(r *run) {
			lostPlace(r, func() { r.dial("p", lostAnswer) })
			r.tell("establishing", "sent")
			r.end("lost")
			r.publish(commands.Hangup, "h")
			r.write("h", commands.Succeeded, func(rec *Record) { rec.Reason = "alreadyEnded" })
		}, nil},
		{"never placed, and the call lives", func(r *run) {
			r.placed("p")
			r.publish(commands.Hangup, "h")
			r.write("h", commands.Succeeded, func(rec *Record) { rec.Reason, rec.CallID = "neverPlaced", "" })
		}, []string{"truth: neverPlaced, and call", "ended: lives on"}},
	})
}

func TestRejected(t *testing.T) {
	reject := func(r *run, id string, cause commands.Cause) {
		r.bury(id, cause)
		r.write(id, commands.Rejected, func(rec *Record) { rec.Error.Code = string(cause) })
	}
	try(t, []tale{
		{"a name that was never placed", func(r *run) {
			r.publish(commands.Mute, "m")
			reject(r, "m", commands.CauseNoSuchCall)
		}, nil},
		{"a name that was placed", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			reject(r, "m", commands.CauseNoSuchCall)
			r.over("h")
		}, []string{"truth: p had placed the call"}},
		{"a second place while the call lives", func(r *run) {
			r.placed("p")
			r.publish(commands.Place, "p2")
			reject(r, "p2", commands.CauseCallLives)
			r.over("h")
		}, nil},
		{"a second place long after the end", func(r *run) {
			r.placed("p")
			r.over("h")
			r.pass(10 * time.Second)
			r.publish(commands.Place, "p2")
			reject(r, "p2", commands.CauseCallLives)
		}, []string{"truth: no call of the name lived"}},
		{"a second place after one that failed", func(r *run) {
			unanswered(r, commands.Failed, func() {})
			r.pass(10 * time.Second)
			r.publish(commands.Place, "p2")
			reject(r, "p2", commands.CauseCallLives)
		}, []string{"truth: no call of the name lived"}},
	})
}
