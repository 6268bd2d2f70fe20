package app

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/producer"
)

// TestEmergencyStop hangs up calls in every stage of their life at once: up,
// ringing, being dialled and waiting to be dialled, of two producers.
func TestEmergencyStop(t *testing.T) {
	t.Parallel()
	const toNobody = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d487"}}}]}`
	c := openCounter(t, graphsim.Options{
		RingTimeout: time.Minute,
		Faults:      []graphsim.Fault{{Operation: "createCall", CallRef: "dialled", Delay: 2 * time.Second}},
	}, nil)
	client, err := producer.New(c.js.Conn(), commands.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	erp := commands.Key{Producer: "erp", CallRef: "up", ID: "p"}
	c.want("up", "p", commands.Place, toUser, nil)
	c.want("gone", "p", commands.Place, toUser, nil)
	c.want("gone", "h", commands.Hangup, "", nil)
	c.send(erp.Call(), commands.Place, body("p", toGroup, nil))
	c.final(erp)
	c.send(key("ringing", "p").Call(), commands.Place, body("p", toNobody, nil))
	for i := range 20 {
		call := key(fmt.Sprintf("later-%d", i), "p").Call()
		c.send(call, commands.Place, body("p", toUser, map[string]any{"notBefore": time.Now().Add(time.Hour), "expiresAt": time.Now().Add(2 * time.Hour)}))
	}
	c.send(key("dialled", "p").Call(), commands.Place, body("p", toUser, nil))
	for _, k := range []commands.Key{key("ringing", "p"), key("dialled", "p")} {
		eventually(t, patience, k.CallRef+" under way", func() (bool, string) {
			var r commands.Result
			ok := c.last("CALL_RESULTS", commands.DefaultPrefix.Result(k), &r)
			return ok && r.Status == map[string]commands.Status{"ringing": commands.Accepted, "dialled": commands.Started}[k.CallRef], string(r.Status)
		})
	}
	// The end of a call is known a moment after its hang-up.
	eventually(t, patience, "the end of gone in the registry", func() (bool, string) {
		targets, err := client.Targets(t.Context(), producer.StopFilter{})
		return err == nil && len(targets) == 24, fmt.Sprint(len(targets), err)
	})

	endings := map[string]producer.Ending{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = client.HangUpAll(ctx, producer.StopOptions{ID: "stop", Ended: func(o producer.StopOutcome) { endings[o.Target.Call.String()] = o.Ending }})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]producer.Ending{"crm.up": producer.HungUp, "erp.up": producer.HungUp, "crm.ringing": producer.HungUp, "crm.dialled": producer.HungUp}
	for i := range 20 {
		want[fmt.Sprintf("crm.later-%d", i)] = producer.NeverPlaced
	}
	if diff := cmp.Diff(want, endings); diff != "" {
		t.Errorf("endings (-want +got):\n%s", diff)
	}
	c.idle()
	eventually(t, patience, "no live call at Graph", func() (bool, string) {
		live := ""
		for _, call := range c.sim.Sim.Calls() {
			if call.Ended.IsZero() {
				live += " " + call.CallRef
			}
		}
		return live == "", live
	})
	if n := len(c.sim.Sim.Calls()); n != 5 {
		t.Errorf("%d calls were made; want the 5 that were made before the stop", n)
	}
	for callRef, status := range map[string]commands.Status{"ringing": commands.Cancelled, "later-0": commands.Cancelled, "later-19": commands.Cancelled} {
		if r := c.final(key(callRef, "p")); r.Status != status {
			t.Errorf("the place of %s ended %s; want %s", callRef, r.Status, status)
		}
	}
	eventually(t, patience, "nothing left to stop", func() (bool, string) {
		targets, err := client.Targets(t.Context(), producer.StopFilter{})
		return err == nil && len(targets) == 0, fmt.Sprint(targets, err)
	})
}
