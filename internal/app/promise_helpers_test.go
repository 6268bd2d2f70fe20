package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// Bodies and callees of the stories about promises.
const (
	// toSharer is answered, and Graph tells of content that is shared.
	toSharer = `{"callOptions":{"isContentSharingNotificationEnabled":true},"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`
	// toNobody rings for as long as the simulator has patience, toNobodies in a conference.
	toNobody   = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d487"}}}]}`
	toNobodies = `{"targets":[{"identity":{"user":{"id":"98da8a1a-1b87-452c-a713-65d3f10b5487"}}},{"identity":{"user":{"id":"bf5aae9a-d11d-47a8-93b1-782504c95487"}}}]}`
)

// quick makes lost answers a matter of three seconds.
func quick(o *Options) {
	o.GraphTimeout, o.Streams.AckWait = 800*time.Millisecond, 1800*time.Millisecond
	o.ReconcileWait = 2700 * time.Millisecond
}

// heldBack keeps notifications from the worker until the call has another one
// that is not held back.
func heldBack(callbackPath, kind string) graphsim.Fault {
	return graphsim.Fault{Operation: "notification", CallRef: callbackPath, Kind: kind, Notifications: graphsim.Swap, Delay: time.Hour}
}

func lostAnswer(operation string, count int) graphsim.Fault {
	return graphsim.Fault{Operation: operation, Count: count, DropAnswer: true}
}

// faults replaces what goes wrong at Graph.
func (c *counter) faults(list ...graphsim.Fault) {
	c.t.Helper()
	if err := c.sim.Sim.SetFaults(list...); err != nil {
		c.t.Fatal(err)
	}
}

// release lets Graph tell what it had held back of a call, and more.
func (c *counter) release(callID string) {
	c.t.Helper()
	c.faults()
	if err := c.sim.Sim.ShareContent(callID, graphsim.ShareStart); err != nil {
		c.t.Fatal(err)
	}
}

// reaches waits for a record of the command that ok accepts.
func (c *counter) reaches(k commands.Key, what string, ok func(commands.Result) bool) (r commands.Result) {
	c.t.Helper()
	eventually(c.t, patience, k.CallRef+" "+k.ID+" "+what, func() (bool, string) {
		r = commands.Result{}
		return c.last("CALL_RESULTS", commands.DefaultPrefix.Result(k), &r) && ok(r), string(r.Status) + " " + r.Reason
	})
	return r
}

func (c *counter) waits(k commands.Key, reason string) commands.Result {
	c.t.Helper()
	return c.reaches(k, "waits, "+reason, func(r commands.Result) bool { return r.Status == commands.Waiting && r.Reason == reason })
}

// life is the statuses of a command's records, in order.
func (c *counter) life(k commands.Key) string {
	c.t.Helper()
	var list []string
	for _, r := range allResults(c.t, c.js) {
		if r.Key() == k {
			word := string(r.Status)
			if r.Corrects != 0 {
				word += " (corrects)"
			}
			list = append(list, word)
		}
	}
	return strings.Join(list, ", ")
}

// asked counts Graph's requests for an operation on one callRef.
func (c *counter) asked(callRef, operation string) (n int) {
	for _, r := range c.sim.Sim.Requests() {
		if r.CallRef == callRef && r.Operation == operation {
			n++
		}
	}
	return n
}

// events reads the call's events of one kind.
func (c *counter) events(callRef string, kind commands.Kind) (all []commands.Event) {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), "CALL_EVENTS")
	if err != nil {
		c.t.Fatal(err)
	}
	for seq := uint64(1); ; {
		subject := commands.DefaultPrefix.Event(commands.CallKey{Producer: "crm", CallRef: callRef}, kind)
		msg, err := s.GetMsg(c.t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return all // none is left
		}
		var e commands.Event
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			c.t.Fatal(err)
		}
		all, seq = append(all, e), msg.Sequence+1
	}
}

// elsewhere asks Graph for something behind callbus's back.
func (c *counter) elsewhere(callID, operation string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.sim.GraphURL()+"/communications/calls/"+callID+"/"+operation, strings.NewReader(`{}`))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+devToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		c.t.Fatalf("Graph answered %s to %s", resp.Status, operation)
	}
}

func in(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }

// of is the counter for a row of a table.
func (c *counter) of(t *testing.T) *counter {
	row := *c
	row.t = t
	return &row
}
