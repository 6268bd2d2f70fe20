package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/pacing"
)

// toBrief is somebody who answers and hangs up a second later.
const toBrief = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d333"}}}]}`

func (c *counter) usage() pacing.Usage {
	c.t.Helper()
	u, err := pacing.Look(c.t.Context(), c.js, commands.DefaultPrefix)
	if err != nil {
		c.t.Fatal(err)
	}
	return u
}

// told waits until a place is told to wait for a reason.
func (c *counter) told(k commands.Key, reason string) (r commands.Result) {
	c.t.Helper()
	eventually(c.t, patience, k.CallRef+" waits: "+reason, func() (bool, string) {
		ok := c.last("CALL_RESULTS", commands.DefaultPrefix.Result(k), &r)
		return ok && r.Status == commands.Waiting && r.Reason == reason, string(r.Status) + " " + r.Reason
	})
	return r
}

// TestNoMoreCallsLiveThanTheBudgetAllows: places of two workers wait for the end
// of a call, and every slot is free in the end.
func TestNoMoreCallsLiveThanTheBudgetAllows(t *testing.T) {
	t.Parallel()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	// Graph refuses a third call: it must never have to.
	sim := startSim(t, graphsim.Options{AnswerAfter: 20 * time.Millisecond, HangupAfter: 300 * time.Millisecond, Limits: graphsim.Limits{Concurrent: 3}})
	for _, name := range []string{"first", "second"} {
		startWorker(t, name, srv.URL(), sim, func(o *Options) { o.Budget.MaxLiveCalls = 3 })
	}
	c := &counter{t: t, js: connect(t, srv.URL()), sim: sim}
	const places = 12
	for i := range places {
		c.send(key(fmt.Sprintf("c%d", i), "p").Call(), commands.Place, body("p", toBrief, nil))
	}
	for i := range places {
		if r := c.final(key(fmt.Sprintf("c%d", i), "p")); r.Status != commands.Succeeded {
			t.Errorf("c%d ended %s %+v", i, r.Status, r.Error)
		}
	}
	for _, r := range sim.Sim.Requests() {
		if r.Code == "8530" {
			t.Error("Graph had to refuse a call")
		}
	}
	eventually(t, patience, "all slots are free", func() (bool, string) {
		u := c.usage()
		return u.Live[0].Used == 0, fmt.Sprintf("%+v", u.Live)
	})
	eventually(t, patience, "all calls are counted", func() (bool, string) {
		u := c.usage()
		return u.Month[0].Used == places && u.Month[0].By[0].Producer == "crm", fmt.Sprintf("%+v", u.Month)
	})
}

// TestAPauseHoldsPlacesAndReleasesThem, over a restart of the worker.
func TestAPauseHoldsPlacesAndReleasesThem(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	c.want("up", "p", commands.Place, toUser, nil)
	all := pacing.Pause{Scope: pacing.EveryScope, Lane: pacing.PausePlaces}
	if err := pacing.SetPause(t.Context(), c.js, commands.DefaultPrefix, all); err != nil {
		t.Fatal(err)
	}
	if n := len(c.usage().Pauses); n != 1 {
		t.Errorf("%d pauses are shown; want 1", n)
	}
	// A worker that has not heard of it yet may still place one.
	eventually(t, patience, "the pause is heard of", func() (bool, string) {
		_, held := c.w.pauses.Paused(graphsim.DefaultTenantID, commands.Place)
		return held, ""
	})
	k := key("held", "p")
	c.send(k.Call(), commands.Place, body("p", toUser, nil))
	c.told(k, "paused")
	c.want("up", "get", commands.GetCall, "", nil) // control goes on
	c.want("up", "bye", commands.Hangup, "", nil)
	if stood, err := pacing.Resume(t.Context(), c.js, commands.DefaultPrefix, all); !stood || err != nil {
		t.Fatalf("Resume() = %t, %v", stood, err)
	}
	if r := c.final(k); r.Status != commands.Succeeded {
		t.Errorf("the place ended %s %+v", r.Status, r.Error)
	}
	c.dialledOnce(2)
}

// TestAUsedUpMonthHoldsPlacesAndNothingElse: one place asks again, and the rest
// follow when Graph takes it.
func TestAUsedUpMonthHoldsPlacesAndNothingElse(t *testing.T) {
	t.Parallel()
	// The month ends soon enough for places to wait for it, and not within the test.
	soon := time.Now().UTC().Add(24 * time.Hour)
	c := openCounter(t, graphsim.Options{Limits: graphsim.Limits{Monthly: 1}}, func(o *Options) {
		o.Budget.MonthlyProbe, o.Budget.MonthlyReset = 2*time.Second, soon.Format("2T15:04")
	})
	c.want("up", "p", commands.Place, toUser, nil)
	keys := []commands.Key{key("a", "p"), key("b", "p"), key("c", "p")}
	for _, k := range keys {
		c.send(k.Call(), commands.Place, body("p", toUser, map[string]any{"expiresAt": time.Now().Add(70 * time.Hour)}))
	}
	for _, k := range keys {
		if r := c.told(k, "monthlyCalls"); r.Until == nil || r.Until.Format("2T15:04") != soon.Format("2T15:04") {
			t.Errorf("%s waits until %v; want the month's end, %s", k.CallRef, r.Until, soon)
		}
	}
	c.want("up", "get", commands.GetCall, "", nil)
	if u := c.usage(); !u.Month[0].Shut || u.Month[0].NextProbe.IsZero() {
		t.Errorf("an operator sees %+v; want the month shut, and the next probe", u.Month)
	}
	brief := key("brief", "p") // lives for ten minutes: it cannot wait that long
	c.send(brief.Call(), commands.Place, body("p", toUser, nil))
	if r := c.final(brief); r.Status != commands.Failed || r.Error.Class != commands.ClassQuota || r.Error.RetryAfter == nil {
		t.Errorf("a place that cannot wait ended %s %+v; want failed, quota, with retryAfter", r.Status, r.Error)
	}
	if err := c.sim.Sim.SetLimits(graphsim.Limits{}); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if r := c.final(k); r.Status != commands.Succeeded {
			t.Errorf("%s ended %s %+v", k.CallRef, r.Status, r.Error)
		}
	}
}

func TestBudgetsAreChecked(t *testing.T) {
	for flag, o := range map[string]BudgetOptions{
		"--max-live-calls is -1: want 0 (no limit) to 10000":         {MaxLiveCalls: -1},
		"--max-live-calls is 10001":                                  {MaxLiveCalls: 10_001},
		"--monthly-calls is -1: want 0 (no limit) or more":           {MonthlyCalls: -1},
		"--monthly-calls-hard needs --monthly-calls":                 {MonthlyHard: true},
		`--monthly-reset is "32": want a day of the month from 1 to`: {MonthlyReset: "32"},
		"--monthly-probe is -1s":                                     {MonthlyProbe: -time.Second},
	} {
		if wrong := o.validate(); len(wrong) != 1 || !strings.Contains(wrong[0].Error(), flag) {
			t.Errorf("validate(%+v) = %v; want %q", o, wrong, flag)
		}
	}
	for _, o := range []BudgetOptions{{}, DefaultOptions().Budget} {
		if wrong := o.validate(); len(wrong) > 0 {
			t.Errorf("validate(%+v) = %v", o, wrong)
		}
	}
}
