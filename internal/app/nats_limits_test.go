package app

import (
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// TestLimitsOutliveAFailureToArmThem: the call was answered, and its place
// succeeded, before what is to end it could be armed.
func TestLimitsOutliveAFailureToArmThem(t *testing.T) {
	t.Parallel()
	c, log := openLogged(t, graphsim.Options{})
	c.limit("CALL_TIMERS", -1, 1)
	k := key("limited", "p")
	c.send(k.Call(), commands.Place, body("p", toUser, map[string]any{"limits": map[string]any{"callSeconds": 4}}))
	log.wait("command put off")
	if r := c.final(k); r.Status != commands.Succeeded {
		t.Fatalf("the place ended %s %+v; want it to succeed", r.Status, r.Error)
	}
	c.limit("CALL_TIMERS", -1, -1)
	c.idle()
	eventually(t, 15*time.Second, "the call is ended after callSeconds", func() (bool, string) {
		calls := c.sim.Sim.Calls()
		return len(calls) == 1 && calls[0].State == "terminated", calls[0].State
	})
}
