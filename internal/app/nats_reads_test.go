package app

import (
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// TestFullJournalStopsReads: a read has no "started", and what cannot be
// journalled is not asked for again and again.
func TestFullJournalStopsReads(t *testing.T) {
	t.Parallel()
	c, log := openLogged(t, graphsim.Options{AnswerAfter: 10 * time.Millisecond})
	c.want("live", "p", commands.Place, toUser, nil)
	c.idle()
	makeRoom := c.fill("CALL_RESULTS")
	k := key("live", "g")
	c.send(k.Call(), commands.GetCall, body("g", "", nil))
	log.wait("CALL_RESULTS is full")
	c.still(7*time.Second, "the journal is full")
	makeRoom()
	if r := c.final(k); r.Status != commands.Succeeded {
		t.Errorf("getCall ended %s %+v; want it to succeed", r.Status, r.Error)
	}
}
