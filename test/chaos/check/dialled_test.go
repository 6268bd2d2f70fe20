package check

import (
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

func retry(c *Command) { c.OnUnknownRetry = true }

// again makes the call of a second attempt, after a wait; the first one's answer
// and notifications are lost, and it is never heard of.
func again(r *run, wait time.Duration) {
	r.publish(commands.Place, "p", retry)
	r.write("p", commands.Started)
	r.dial("p", lostAnswer)
	r.tell("establishing", "lost")
	r.pass(wait)
	r.answered("p")
	r.over("h")
}

func TestDialled(t *testing.T) {
	try(t, []tale{
		{"a call is placed, used and hung up", func(r *run) {
			r.placed("p")
			r.did(commands.Mute, "m")
			r.did(commands.GetCall, "g")
			r.did(commands.KeepAlive, "k")
			r.over("h")
		}, nil},
		{"a place refused by 429 is sent again", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.request("createCall", r.uri("p", 1), func(q *graphsim.Request) { q.Executed, q.Status, q.Fault = false, 429, "status" })
			r.write("p", commands.Waiting)
			r.answered("p")
			r.over("h")
		}, nil},
		{"a second call of one place", func(r *run) {
			r.placed("p")
			r.over("h")
			r.dial("p")
			r.end("lost")
		}, []string{
			"dialled: place took effect at", "started: request 2 of the command", "ended: which no record of its place knows",
		}},
		{"a call that no request made", func(r *run) {
			r.placed("p")
			r.over("h")
			r.Calls = append(r.Calls, graphsim.Call{ID: "x", CallbackURI: r.uri("p", 1), Created: r.tick(), Ended: r.tick()})
		}, []string{"dialled: 2 calls were created by 1 requests"}},
		{"a second attempt after the bounded wait", func(r *run) { again(r, 91*time.Second) }, nil},
		{"a second attempt too early", func(r *run) { again(r, 30*time.Second) }, []string{"dialled: the bounded wait is 1m30s"}},
		{"two calls in one attempt", func(r *run) {
			r.publish(commands.Place, "p", retry)
			r.write("p", commands.Started)
			r.dial("p", lostAnswer)
			r.dial("p")
			r.write("p", commands.Accepted, r.withCall)
			r.tell("established", "sent")
			r.write("p", commands.Succeeded, r.withCall)
			r.over("h")
		}, []string{"dialled: took effect twice in one attempt", "started: request 2 of the command"}},
		{"a call of a place that nobody published", func(r *run) {
			r.placed("p")
			r.over("h")
			r.dial("q")
			r.end("lost")
		}, []string{"dialled: nobody published"}},
		{"a call of a callbackUri that is not ours", func(r *run) {
			r.Calls = append(r.Calls, graphsim.Call{ID: "x", CallbackURI: "http://127.0.0.1:1/elsewhere", Created: r.tick(), Ended: r.tick()})
		}, []string{"dialled: which no worker writes"}},
		{"a call that came in is none of ours", func(r *run) {
			r.Calls = append(r.Calls, graphsim.Call{ID: "x", CallbackURI: "http://127.0.0.1:1/v1/notifications", Direction: "incoming", Created: r.tick()})
		}, nil},
		{"a prompt that is played twice", func(r *run) {
			r.placed("p")
			r.publish(commands.PlayPrompt, "pp")
			r.write("pp", commands.Started)
			r.ask("pp", func(q *graphsim.Request) { q.Status, q.Fault = 504, "status" })
			r.pass(30 * time.Second)
			r.finish("pp")
			r.over("h")
		}, []string{"dialled: playPrompt took effect at"}},
		{"a mute may be done twice", func(r *run) {
			r.placed("p")
			r.publish(commands.Mute, "m")
			r.write("m", commands.Started)
			r.ask("m", lostAnswer)
			r.finish("m")
			r.over("h")
		}, nil},
	})
}

func TestLive(t *testing.T) {
	try(t, []tale{
		{"the name is used again after the end", func(r *run) {
			r.placed("p")
			r.over("h")
			r.placed("p2")
			r.over("h2")
		}, nil},
		{"the name is used again while its call lives", func(r *run) {
			r.placed("p")
			r.publish(commands.Place, "p2")
			r.answered("p2")
			r.over("h")
			r.Calls[0].Ended = r.tick()
			first := r.Calls[0].ID
			r.event("terminated", func(e *Event) { e.Kind, e.CallID, e.CommandID = commands.KindEnded, first, "p" })
		}, []string{"live: lived"}},
		{"the earlier call is one that nobody knew of", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p", lostAnswer)
			r.tell("establishing", "lost")
			r.pass(90 * time.Second)
			r.lost("p", "answerLost")
			r.placed("p2")
			r.over("h")
		}, nil},
	})
}

func lostAnswer(q *graphsim.Request) { q.Status, q.Fault = 0, "dropAnswer" }
