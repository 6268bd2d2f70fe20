package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

func TestSides(t *testing.T) {
	prompt := func(status string) func(*run) {
		return func(r *run) {
			r.placed("p")
			r.did(commands.PlayPrompt, "pp")
			r.sim().Operations = []graphsim.Operation{{Kind: "playPromptOperation", ClientContext: "pp", Status: status}}
			r.over("bye")
		}
	}
	busy := func(told *commands.ResultInfo) func(*run) {
		return func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p")
			r.write("p", commands.Accepted, r.withCall)
			r.sim().ResultInfo = &graphsim.ResultInfo{Code: 486}
			r.end("sent")
			r.Events[len(r.Events)-1].ResultInfo = told
			r.write("p", commands.Failed, r.withCall)
		}
	}
	tests := []struct {
		name string
		tell func(*run)
		want string // the row that is not of a call that goes well
	}{
		{"a prompt that was played", prompt("completed"), "playPrompt: completed, succeeded, agrees"},
		{"a prompt that failed and is said to have been played", prompt("failed"), "playPrompt: failed, succeeded, differs"},
		{"a prompt that the end cut off and is said to have been played", prompt("running"), "playPrompt: cut off by the end, succeeded, differs"},
		{"a busy callee", busy(&commands.ResultInfo{Code: 486}), "call: ended 486/0, ended 486/0, agrees"},
		{"a busy callee who is said to have declined", busy(&commands.ResultInfo{Code: 603}), "call: ended 486/0, ended 603/0, differs"},
		{"an answered place that is said to have failed", func(r *run) {
			r.placed("p")
			r.over("bye")
			r.Records[2].Status = commands.Failed
		}, "place: answered, failed, differs"},
		{"an answer of which nothing was heard", func(r *run) {
			r.publish(commands.Place, "p")
			r.write("p", commands.Started)
			r.dial("p")
			r.write("p", commands.Accepted, r.withCall)
			r.tell("established", "lost")
			r.end("sent")
			r.write("p", commands.Failed, r.withCall)
		}, "place: answered, failed, untold"},
		{"an end that was read although it had been told", func(r *run) {
			r.placed("p")
			r.over("bye")
			r.Events[len(r.Events)-1].Reason = "unseen"
		}, "call: ended, unseen, differs"},
		{"an end that nobody told", func(r *run) {
			r.placed("p")
			r.did(commands.Hangup, "bye")
			r.end("lost")
			r.Events[len(r.Events)-1].Reason = "unseen"
		}, "call: ended, unseen, untold"},
		{"a hang-up of a call that lives on", func(r *run) {
			r.placed("p")
			r.did(commands.Hangup, "bye")
		}, "hangup: the call lives, succeeded, differs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun()
			tt.tell(r)
			rows, differ := Sides(r.History)
			var lines []string
			for s := range maps.Keys(rows) {
				lines = append(lines, fmt.Sprintf("%s: %s, %s, %s", s.Of, s.Simulator, s.Callbus, s.Verdict))
			}
			if !slices.Contains(lines, tt.want) || (len(differ) > 0) != strings.HasSuffix(tt.want, "differs") {
				t.Errorf("Sides() = %q, %v; want %q among them", lines, differ, tt.want)
			}
		})
	}
}

func TestKeptAlive(t *testing.T) {
	keep := func(r *run, status int) {
		r.request("keepAlive", r.sim().CallbackURI, func(q *graphsim.Request) { q.Status = status })
	}
	r := newRun()
	r.placed("p")
	for range 3 {
		r.pass(15 * time.Second)
		keep(r, 200)
	}
	r.pass(40 * time.Second)
	r.over("bye")
	a := KeptAlive(r.History)
	if a.Taken != 3 || a.Median.Round(time.Second) != 15*time.Second || a.Longest.Round(time.Second) != 40*time.Second || a.After+a.Found+a.TimedOut != 0 || a.Ended != 1 {
		t.Errorf("KeptAlive() = %+v; want 3, 15s apart, and 40s without at the end", a)
	}
	r.pass(10 * time.Second)
	keep(r, 404)
	if a = KeptAlive(r.History); a.After != 1 {
		t.Errorf("KeptAlive() = %+v; want one after the end", a)
	}

	r = newRun()
	r.placed("p")
	r.sim().Ended = r.tick()
	r.tell("terminated", "lost")
	keep(r, 404)
	r.event("terminated", func(e *Event) { e.Kind = commands.KindEnded })
	if a = KeptAlive(r.History); a.Found != 1 || a.After != 0 {
		t.Errorf("KeptAlive() = %+v; want the end found", a)
	}
	r.sim().ResultInfo = &graphsim.ResultInfo{Code: 408, Subcode: 8537}
	if a = KeptAlive(r.History); a.TimedOut != 1 {
		t.Errorf("KeptAlive() = %+v; want one that timed out", a)
	}
}
