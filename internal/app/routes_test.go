package app

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/graphsim"
)

// route is one of the 23 pairs that the application permission
// Calls.Initiate.All covers (Microsoft Graph permissions reference).
type route struct{ Method, Template string }

// routes are all of them, with the command that sends each and the families of
// --graph-route under which it does.
var routes = []struct {
	route
	action   commands.Action
	families []graph.Family
}{
	{route{"POST", "/communications/calls"}, commands.Place, one},
	{route{"GET", "/communications/calls/{id}"}, commands.GetCall, one},
	{route{"DELETE", "/communications/calls/{id}"}, commands.Hangup, one},
	{route{"GET", "/communications/calls/{id}/participants"}, commands.ListParticipants, one},
	{route{"GET", "/communications/calls/{id}/contentSharingSessions"}, commands.ListContentSharingSessions, both},
	{route{"GET", "/communications/calls/{id}/contentSharingSessions/{session}"}, commands.GetContentSharingSession, both},
	{route{"POST", "/communications/calls/{id}/keepAlive"}, commands.KeepAlive, both},
	{route{"POST", "/communications/calls/{id}/mute"}, commands.Mute, one},
	{route{"POST", "/communications/calls/{id}/unmute"}, commands.Unmute, one},
	{route{"POST", "/communications/calls/{id}/playPrompt"}, commands.PlayPrompt, one},
	{route{"POST", "/communications/calls/{id}/cancelMediaProcessing"}, commands.CancelMediaProcessing, one},
	{route{"POST", "/communications/calls/{id}/redirect"}, commands.Redirect, one},
	{route{"POST", "/communications/calls/{id}/transfer"}, commands.Transfer, one},
	{route{"POST", "/app/calls"}, commands.Place, alias},
	{route{"GET", "/app/calls/{id}"}, commands.GetCall, alias},
	{route{"DELETE", "/app/calls/{id}"}, commands.Hangup, alias},
	{route{"GET", "/app/calls/{id}/participants"}, commands.ListParticipants, alias},
	{route{"POST", "/app/calls/{id}/mute"}, commands.Mute, alias},
	{route{"POST", "/app/calls/{id}/unmute"}, commands.Unmute, alias},
	{route{"POST", "/app/calls/{id}/playPrompt"}, commands.PlayPrompt, alias},
	{route{"POST", "/app/calls/{id}/cancelMediaProcessing"}, commands.CancelMediaProcessing, alias},
	{route{"POST", "/app/calls/{id}/redirect"}, commands.Redirect, alias},
	{route{"POST", "/app/calls/{id}/transfer"}, commands.Transfer, alias},
}

var (
	one   = []graph.Family{graph.Communications}
	alias = []graph.Family{graph.App}
	both  = []graph.Family{graph.Communications, graph.App}
)

// TestExactlyThe23Routes sends every action as a command, once under each
// family, and compares what Graph saw with the table: all of it, and nothing
// else.
func TestExactlyThe23Routes(t *testing.T) {
	t.Parallel()
	if len(routes) != 23 {
		t.Fatalf("the table has %d routes; want 23", len(routes))
	}
	for _, family := range both {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			c := openCounter(t, graphsim.Options{PromptDuration: 50 * time.Millisecond}, func(o *Options) { o.GraphRoute = family })
			done := everyAction(c)

			var want []route
			for _, r := range routes {
				if !slices.Contains(r.families, family) {
					continue
				}
				want = append(want, r.route)
				if !done[r.action] {
					t.Errorf("no command %s was sent", r.action)
				}
			}
			if diff := gocmp.Diff(sortedRoutes(want), seenRoutes(c.sim.Sim)); diff != "" {
				t.Errorf("routes seen by Graph (-want +got):\n%s", diff)
			}
		})
	}
}

// everyAction has each of the thirteen actions carried out by a command of its
// own, and says which.
func everyAction(c *counter) map[commands.Action]bool {
	c.t.Helper()
	done := map[commands.Action]bool{}
	do := func(callRef string, action commands.Action, parameters string, more map[string]any) commands.Result {
		c.t.Helper()
		r := c.want(callRef, string(action), action, parameters, more)
		done[action] = true
		return r
	}
	meeting := do("meeting", commands.Place, toGroup, nil)
	do("meeting", commands.GetCall, "", nil)
	do("meeting", commands.ListParticipants, "", nil)
	do("meeting", commands.Mute, "", nil)
	do("meeting", commands.Unmute, "", nil)
	do("meeting", commands.PlayPrompt, aPrompt, nil)
	do("meeting", commands.CancelMediaProcessing, "", nil)
	do("meeting", commands.KeepAlive, "", nil)

	if err := c.sim.Sim.ShareContent(meeting.CallID, graphsim.ShareStart); err != nil {
		c.t.Fatal(err)
	}
	var shared struct {
		Value []struct{ ID string }
	}
	list := do("meeting", commands.ListContentSharingSessions, "", nil)
	if err := json.Unmarshal(list.Data, &shared); err != nil || len(shared.Value) != 1 {
		c.t.Fatalf("listContentSharingSessions = %s, %v; want one session", list.Data, err)
	}
	do("meeting", commands.GetContentSharingSession, `{"contentSharingSessionId":"`+shared.Value[0].ID+`"}`, nil)
	do("meeting", commands.Hangup, "", nil)

	do("moved", commands.Place, toUser, nil)
	do("moved", commands.Transfer, `{"transferTarget":{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27001"}}}}`, nil)

	incoming, err := c.sim.Sim.Incoming(graphsim.IncomingCall{
		CallbackURI: c.w.opts.CallbackURL + "/v1/notifications", Source: json.RawMessage(`{"user":"8d1e6ab6-26c5-4e22-a1bc-06ea73439005"}`),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	do("desk", commands.Redirect, `{"targets":[{"identity":{"user":{"id":"22bfd41f-550e-477d-8789-f6f7bd2a5006"}}}],"timeout":30}`,
		map[string]any{"callId": incoming})
	c.idle()
	return done
}

// seenRoutes are the pairs that Graph was asked for, each once.
func seenRoutes(sim *graphsim.Sim) []route {
	var seen []route
	for _, r := range sim.Stats().Requests {
		if got := (route{r.Method, strings.TrimPrefix(r.Route, "/v1.0")}); !slices.Contains(seen, got) {
			seen = append(seen, got)
		}
	}
	return sortedRoutes(seen)
}

func sortedRoutes(list []route) []route {
	slices.SortFunc(list, func(a, b route) int {
		return cmp.Or(cmp.Compare(a.Template, b.Template), cmp.Compare(a.Method, b.Method))
	})
	return list
}
