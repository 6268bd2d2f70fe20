package check

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// puzzle is an unknown and why it was.
type puzzle struct {
	name string
	tell func(*run)
	want UnknownCause
	flaw string // a part of the violation, "" for none
}

func solve(t *testing.T, puzzles []puzzle) {
	t.Helper()
	for _, tt := range puzzles {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun()
			tt.tell(r)
			rep := Check(r.History)
			if diff := cmp.Diff(map[UnknownCause]int{tt.want: 1}, rep.Unknowns); diff != "" {
				t.Errorf("Check().Unknowns (-want +got):\n%s\n%s\n%s", diff, join(rep.Violations), r.Story("order-1"))
			}
		})
	}
	var tales []tale
	for _, p := range puzzles {
		var want []string
		if p.flaw != "" {
			want = []string{"unknown: " + p.flaw}
		}
		tales = append(tales, tale{p.name, p.tell, want})
	}
	try(t, tales)
}

// lostPlace is a place that ends unknown for want of a proof. request is what was
// sent after started.
func lostPlace(r *run, request func()) {
	r.publish(commands.Place, "p")
	r.write("p", commands.Started)
	request()
	r.pass(90 * time.Second)
	r.lost("p", "answerLost")
}

func TestUnknownPlace(t *testing.T) {
	refused := func(status int, fault string) func(*graphsim.Request) {
		return func(q *graphsim.Request) { q.Executed, q.Status, q.Fault = false, status, fault }
	}
	solve(t, []puzzle{
		{"killed before the request was sent", func(r *run) {
			lostPlace(r, func() { r.harm("kill", "worker-1", time.Second) })
		}, NotSent, ""},
		{"NATS was away before the request was sent", func(r *run) {
			lostPlace(r, func() { r.harm("natsKill", "nats-1", time.Second) })
		}, NotSent, ""},
		{"nothing happened and nothing was sent", func(r *run) {
			lostPlace(r, func() {})
		}, Avoidable, "nothing reached Graph"},
		{"another worker was killed", func(r *run) {
			lostPlace(r, func() { r.harm("kill", "worker-2", time.Second) })
		}, Avoidable, "nothing was done to worker-1"},
		{"only notifications were cut off", func(r *run) {
			lostPlace(r, func() { r.harm("cut", "callbacks", time.Second) })
		}, Avoidable, "nothing was done to worker-1"},
		{"the worker was stopped cleanly", func(r *run) {
			lostPlace(r, func() { r.harm("term", "worker-1", time.Second) })
		}, Avoidable, "nothing was done to worker-1"},
		{"killed long before", func(r *run) {
			r.harm("kill", "worker-1", time.Second)
			r.pass(time.Minute)
			lostPlace(r, func() {})
		}, Avoidable, "nothing reached Graph"},
		{"the request was lost on the way", func(r *run) {
			lostPlace(r, func() { r.request("createCall", r.uri("p", 1), refused(0, "dropRequest")) })
		}, NotSent, ""},
		{"a gateway answered", func(r *run) {
			lostPlace(r, func() { r.request("createCall", r.uri("p", 1), refused(504, "status")) })
		}, NotSent, ""},
		{"Graph refused it and said so", func(r *run) {
			lostPlace(r, func() { r.request("createCall", r.uri("p", 1), refused(429, "status")) })
		}, Avoidable, "Graph answered 429"},
		{"Graph refused it and the worker was killed", func(r *run) {
			lostPlace(r, func() {
				r.request("createCall", r.uri("p", 1), refused(429, "status"))
				r.harm("kill", "worker-1", time.Second)
			})
		}, NotSent, ""},
		{"answer and notifications were lost", func(r *run) {
			lostPlace(r, func() {
				r.dial("p", lostAnswer)
				r.tell("establishing", "lost")
			})
		}, AnswerAndNotificationLost, ""},
		{"the worker was frozen and the notifications were refused", func(r *run) {
			lostPlace(r, func() {
				r.dial("p")
				r.harm("pause", "worker-1", 20*time.Second)
				r.tell("establishing", "refused")
			})
		}, AnswerAndNotificationLost, ""},
		{"Graph answered and nothing happened", func(r *run) {
			lostPlace(r, func() {
				r.dial("p")
				r.tell("establishing", "lost")
			})
		}, Avoidable, "Graph did it and answered 201"},
		{"Graph answered when the worker had given up", func(r *run) {
			lostPlace(r, func() {
				r.dial("p", func(q *graphsim.Request) { q.End = q.Start.Add(12 * time.Second) })
				r.tell("establishing", "lost")
			})
		}, AnswerAndNotificationLost, ""},
		{"a notification had come in time", func(r *run) {
			lostPlace(r, func() {
				r.dial("p", lostAnswer)
				r.tell("establishing", "sent")
				r.end("lost")
			})
		}, Avoidable, "exists (state establishing) had been told at"},
		{"a notification came just before the end of the wait", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p", lostAnswer)
			r.pass(89 * time.Second)
			r.tell("establishing", "sent")
			r.end("lost")
			r.lost("p", "answerLost")
		}, EndedUnseen, ""},
		{"the answer came later and corrected nothing", func(r *run) {
			lostPlace(r, func() { r.dial("p", lostAnswer) })
			r.tell("established", "sent")
			r.end("lost")
		}, Avoidable, "no correction followed"},
		{"the answer came when the name was used again", func(r *run) {
			lostPlace(r, func() { r.dial("p", lostAnswer) })
			first := *r.sim()
			r.placed("p2")
			r.event("established", func(e *Event) { e.CallID, e.CommandID = first.ID, "p" })
			r.Calls[0].Ended = r.tick()
			r.over("h")
		}, AnswerAndNotificationLost, ""},
		{"a call that was to be hung up came up and was, and nothing was corrected", func(r *run) {
			lostPlace(r, func() { r.dial("p", lostAnswer) })
			r.publish(commands.Hangup, "h")
			r.write("h", commands.Started)
			r.ask("h")
			r.write("h", commands.Succeeded)
			r.end("lost")
			r.tell("terminated", "sent", func(e *Event) { e.ResultInfo = &commands.ResultInfo{Code: 200, Subcode: 7000} })
		}, Avoidable, "no correction followed"},
		{"proof came later, and the end was lost", func(r *run) {
			lostPlace(r, func() { r.dial("p", lostAnswer) })
			r.tell("establishing", "sent")
			r.end("lost")
		}, EndedUnseen, ""},
	})
}

// accepted is a command that Graph took and that ends unknown; ring is what happens
// before.
func accepted(r *run, a commands.Action, id, code string, meanwhile func()) {
	r.publish(a, id)
	r.write(id, commands.Started)
	if a == commands.Place {
		r.dial(id)
	} else {
		r.ask(id)
	}
	r.write(id, commands.Accepted, r.withCall, func(rec *Record) {
		if a == commands.PlayPrompt {
			rec.Operation = &commands.Operation{ID: "0a6f-11"}
		}
	})
	meanwhile()
	r.lost(id, code, r.withCall)
}

// busy is the end of a call that was not answered.
func busy(e *Event) { e.ResultInfo = &commands.ResultInfo{Code: 486} }

// played is the event that a prompt has ended.
func played(id string) func(*Event) {
	return func(e *Event) {
		e.Operation = &commands.Operation{ID: "0A6F11", Status: "completed", ClientContext: id}
	}
}

func TestUnknownOutcome(t *testing.T) {
	solve(t, []puzzle{
		{"a call is gone and its end was lost", func(r *run) {
			accepted(r, commands.Place, "p", "endedUnseen", func() { r.tell("established", "lost"); r.end("lost") })
		}, EndedUnseen, ""},
		{"a call ended as answered ones do, and the answer was lost", func(r *run) {
			accepted(r, commands.Place, "p", "endedUnseen", func() { r.tell("established", "lost"); r.end("sent"); r.pass(10 * time.Second) })
		}, EndedUnseen, ""},
		{"a call ended as answered ones do, and was never answered", func(r *run) {
			accepted(r, commands.Place, "p", "endedUnseen", func() { r.end("sent"); r.pass(10 * time.Second) })
		}, Avoidable, "was never answered, and its end was told"},
		{"a call was busy, as had been told", func(r *run) {
			accepted(r, commands.Place, "p", "endedUnseen", func() { r.end("lost"); r.tell("terminated", "sent", busy); r.pass(10 * time.Second) })
		}, Avoidable, "the end of the call had been told"},
		{"a call was busy, as was told afterwards", func(r *run) {
			accepted(r, commands.Place, "p", "endedUnseen", func() { r.end("lost") })
			r.tell("terminated", "sent", busy)
		}, Avoidable, "no correction followed"},
		{"a transfer's call is gone, as had been told", func(r *run) {
			r.placed("p")
			accepted(r, commands.Transfer, "cmd-x", "endedUnseen", func() { r.end("sent"); r.pass(10 * time.Second) })
		}, Avoidable, "the end of the call had been told"},
		{"a transfer's call is gone, and its end was lost", func(r *run) {
			r.placed("p")
			accepted(r, commands.Transfer, "cmd-x", "endedUnseen", func() { r.end("lost") })
		}, EndedUnseen, ""},
		{"a call is gone and its answer had been told", func(r *run) {
			accepted(r, commands.Place, "p", "endedUnseen", func() { r.tell("established", "sent"); r.end("lost"); r.pass(10 * time.Second) })
		}, Avoidable, "that the call was answered had been told"},
		{"a prompt's end was lost", func(r *run) {
			r.placed("p")
			accepted(r, commands.PlayPrompt, "pp", "operationUnseen", func() { r.tell("operation", "lost") })
			r.over("h")
		}, OperationUnseen, ""},
		{"a prompt's end was not lost", func(r *run) {
			r.placed("p")
			accepted(r, commands.PlayPrompt, "pp", "operationUnseen", func() {})
			r.over("h")
		}, Avoidable, "no notification of call"},
		{"a prompt's end had been told by its id", func(r *run) {
			r.placed("p")
			accepted(r, commands.PlayPrompt, "pp", "operationUnseen", func() {
				r.tell("operation", "sent", played(""))
				r.pass(10 * time.Second)
			})
			r.over("h")
		}, Avoidable, "the end of the operation had been told"},
	})
}

func TestUnknownPrompt(t *testing.T) {
	lost := func(r *run, meanwhile func()) {
		r.publish(commands.PlayPrompt, "pp")
		r.write("pp", commands.Started)
		r.ask("pp", lostAnswer)
		meanwhile()
		r.pass(90 * time.Second)
		r.lost("pp", "answerLost")
	}
	solve(t, []puzzle{
		{"answer and notification were lost", func(r *run) {
			r.placed("p")
			lost(r, func() { r.tell("operation", "lost") })
			r.over("h")
		}, AnswerAndNotificationLost, ""},
		{"its end had been told", func(r *run) {
			r.placed("p")
			lost(r, func() { r.tell("operation", "sent", played("pp")) })
			r.over("h")
		}, Avoidable, "the end of the operation had been told"},
		{"its end came later and corrected nothing", func(r *run) {
			r.placed("p")
			lost(r, func() {})
			r.tell("operation", "sent", played("pp"))
			r.over("h")
		}, Avoidable, "no correction followed"},
		{"its call had ended", func(r *run) {
			r.placed("p")
			lost(r, func() { r.end("sent") })
		}, Avoidable, "had decided it before"},
		{"its call ended later", func(r *run) {
			r.placed("p")
			lost(r, func() {})
			r.over("h")
		}, AnswerAndNotificationLost, ""},
	})
}

func TestUnknownHangup(t *testing.T) {
	r := newRun()
	lostPlace(r, func() { r.dial("p", lostAnswer); r.tell("establishing", "lost") })
	r.publish(commands.Hangup, "h")
	r.lost("h", "placeUnknown", func(rec *Record) { rec.CallID = "" })
	rep := Check(r.History)
	want := map[UnknownCause]int{AnswerAndNotificationLost: 1, HangupOfUnknown: 1}
	if diff := cmp.Diff(want, rep.Unknowns); diff != "" || !rep.OK() {
		t.Errorf("Check().Unknowns (-want +got):\n%s\n%s", diff, join(rep.Violations))
	}
	solve(t, []puzzle{{"the place is known after all", func(r *run) {
		r.placed("p")
		r.publish(commands.Hangup, "h")
		r.lost("h", "placeUnknown")
		r.end("sent")
	}, Avoidable, "no place before it is still unknown"}})
}
