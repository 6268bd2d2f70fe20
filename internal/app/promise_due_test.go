package app

import (
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// TestADelayedCommandDoesNotMeetWhatWentBeforeIt: it falls due while a younger
// command, which had stepped over it, is with Graph. They are sent one after the
// other, also when the younger one's answer was lost and it has to be sent again.
func TestADelayedCommandDoesNotMeetWhatWentBeforeIt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		fault graphsim.Fault
	}{
		{"the answer takes long", graphsim.Fault{Operation: "unmute", Count: 1, Delay: 600 * time.Millisecond}},
		{"the answer is lost", graphsim.Fault{Operation: "unmute", Count: 1, DropAnswer: true, Delay: 600 * time.Millisecond}},
		{"a prompt's answer is lost", graphsim.Fault{Operation: "playPrompt", Count: 1, DropAnswer: true, Delay: 600 * time.Millisecond}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := openCounter(t, graphsim.Options{PromptDuration: 50 * time.Millisecond, Faults: []graphsim.Fault{row.fault}}, quick)
			c.want("a", "p", commands.Place, toGroup, nil)
			late, early := key("a", "late"), key("a", "early")
			due := time.Now().Add(700 * time.Millisecond)
			c.send(late.Call(), commands.Mute, body("late", "", map[string]any{"notBefore": due.UTC().Format(time.RFC3339Nano)}))
			// The fault's delay lies over the moment when the older one is due.
			eventually(t, patience, "the older one is nearly due", func() (bool, string) { return time.Until(due) < 300*time.Millisecond, "" })
			action, parameters := commands.Unmute, ""
			if row.fault.Operation == "playPrompt" {
				action, parameters = commands.PlayPrompt, aPrompt
			}
			c.send(early.Call(), action, body("early", parameters, nil))
			for _, k := range []commands.Key{early, late} {
				if r := c.final(k); r.Status != commands.Succeeded {
					t.Errorf("%s ended %s %+v; want it to succeed", k.ID, r.Status, r.Error)
				}
			}
			var before graphsim.Request
			seen := 0
			for _, r := range c.sim.Sim.Requests() {
				if r.CallRef != "a" || r.Operation != "mute" && r.Operation != row.fault.Operation {
					continue
				}
				if seen++; r.Start.Before(before.End) {
					t.Errorf("%s began %s before %s had ended", r.Operation, before.End.Sub(r.Start), before.Operation)
				}
				before = r
			}
			if seen < 2 || before.Operation != "mute" {
				t.Errorf("Graph saw %d requests, the last one %s; want the delayed mute last", seen, before.Operation)
			}
			c.idle()
		})
	}
}
