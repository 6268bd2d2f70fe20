package check

import (
	"slices"
	"testing"
	"time"

	"callbus/internal/commands"
)

func isEnd(e Event) bool { return e.Kind == commands.KindEnded }

func TestEnded(t *testing.T) {
	try(t, []tale{
		{"an end that is told twice", func(r *run) {
			r.placed("p")
			r.over("h")
			r.event("terminated", func(e *Event) { e.Kind = commands.KindEnded })
		}, []string{"ended: was told 2 times"}},
		{"an end that is not told", func(r *run) {
			r.placed("p")
			r.over("h")
			r.Events = slices.DeleteFunc(r.Events, isEnd)
		}, []string{"ended: was told 0 times"}},
		{"the end of a call that never was", func(r *run) {
			r.placed("p")
			r.over("h")
			r.event("terminated", func(e *Event) { e.Kind, e.CallID = commands.KindEnded, "another" })
		}, []string{"ended: which never was"}},
		{"ids in another spelling are the same", func(r *run) {
			r.placed("p")
			r.over("h")
			r.Events[len(r.Events)-1].CallID = "4D1E9C550A6F3B2D1E90000000000001"
		}, nil},
		{"a call that lives on", func(r *run) { r.placed("p") }, []string{"ended: lives on"}},
		{"a call that lives on and that nobody heard of", func(r *run) { doubt(r, "lost") }, nil},
		{"a call that lives on and that was heard of", func(r *run) { doubt(r, "sent") }, []string{"ended: lives on"}},
	})
}

// doubt is a place that ended unknown; the first notification of its call arose
// later and had an outcome.
func doubt(r *run, outcome string) {
	r.publish(commands.Place, "p")
	r.write("p", commands.Started)
	r.dial("p", lostAnswer)
	r.pass(90 * time.Second)
	r.lost("p", "answerLost")
	r.tell("establishing", outcome)
}

func TestStored(t *testing.T) {
	try(t, []tale{
		{"a notification that was taken and lost", func(r *run) {
			r.placed("p")
			r.over("h")
			r.Events = slices.Delete(r.Events, 0, 1)
		}, []string{"stored: (establishing)"}},
	})
}
