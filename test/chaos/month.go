package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/pacing"
)

// monthFlags shape the run against the monthly budget.
type monthFlags struct {
	Places  int           `default:"60" help:"Places published at once."`
	Monthly int           `default:"20" help:"Calls that Graph takes in the month."`
	Probe   time.Duration `default:"10s" help:"How often one place may ask; an hour outside of this."`
	Workers int           `default:"3" help:"Worker processes."`
}

// Run uses the month's calls up and waits for its end.
func (f *monthFlags) Run(ctx context.Context) error {
	// A month ends on a full minute, here soon.
	reset := time.Now().UTC().Add(45 * time.Second).Truncate(time.Minute).Add(time.Minute)
	b, end, err := startBudget(ctx, f.Workers, []string{fmt.Sprintf("--limits=monthly=%d", f.Monthly), "--answer-after=50ms"}, []string{
		fmt.Sprintf("--monthly-calls=%d", 2*f.Monthly), fmt.Sprintf("--monthly-probe=%s", f.Probe), "--monthly-reset=" + reset.Format("2T15:04"),
	})
	if err != nil {
		return err
	}
	defer end()
	begun := time.Now()
	if err := b.place(ctx, "month", f.Places, placeOne, reset.Add(time.Hour)); err != nil {
		return err
	}
	if err := f.awaitShut(ctx, b); err != nil {
		return err
	}
	took, err := f.control(ctx, b, reset.Add(-time.Second))
	if err != nil {
		return err
	}
	if err := f.showOperator(ctx, b); err != nil {
		return err
	}
	refused, err := b.refusals("8529")
	if err != nil {
		return err
	}
	// Graph's month ends with ours.
	time.Sleep(time.Until(reset))
	if err := setLimits(b.fleet.SimURL(), graphsim.Limits{}); err != nil {
		return err
	}
	if err := b.finals(ctx, "month", f.Places, commands.Succeeded); err != nil {
		return err
	}
	return f.judge(begun, reset, refused, took)
}

// awaitShut waits until the gate is seen to be shut.
func (f *monthFlags) awaitShut(ctx context.Context, b *budgetRun) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		u, err := pacing.Look(ctx, b.js, commands.DefaultPrefix)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(u.Month, func(m pacing.MonthUsage) bool { return m.Shut }) {
			return nil
		}
	}
	return fmt.Errorf("places are not held after %d of %d were taken", f.Monthly, f.Places)
}

// control reads live calls until the time, and returns how long each took.
func (f *monthFlags) control(ctx context.Context, b *budgetRun, end time.Time) (took []time.Duration, err error) {
	live, err := b.calls("month")
	if err != nil || len(live) == 0 {
		return nil, fmt.Errorf("no call lives: %w", err)
	}
	names := map[string]bool{}
	for i := range f.Places {
		c := numbered("month", i)
		for _, l := range live {
			if bytes.Contains([]byte(l.CallbackURI), []byte("/"+c.CallRef+"/")) {
				names[c.CallRef] = true
			}
		}
	}
	for n := 0; time.Now().Before(end); n++ {
		for name := range names {
			call := commands.CallKey{Producer: "budget", CallRef: name}
			id := fmt.Sprintf("read-%d", n)
			begun := time.Now()
			if err := b.publish(ctx, call, commands.GetCall, id, ""); err != nil {
				return nil, err
			}
			r, err := b.final(ctx, call, id)
			if err != nil {
				return nil, err
			}
			if r.Status != commands.Succeeded {
				return nil, fmt.Errorf("%s of %s ended %s %+v", id, call, r.Status, r.Error)
			}
			took = append(took, time.Since(begun))
			if time.Now().After(end) {
				break
			}
		}
	}
	return took, nil
}

// showOperator prints what an operator sees, and what a waiting place tells.
func (f *monthFlags) showOperator(ctx context.Context, b *budgetRun) error {
	u, err := pacing.Look(ctx, b.js, commands.DefaultPrefix)
	if err != nil {
		return err
	}
	for _, m := range u.Month {
		fmt.Printf("operator: month %s, scope %s, %d of %d calls, shut by Graph (8529): %t, until %s, next probe %s\n",
			m.Month, m.Scope, m.Used, m.Limit, m.Shut, m.Until.UTC().Format(time.TimeOnly), m.NextProbe.UTC().Format(time.TimeOnly))
		if !m.Shut || m.Used != f.Monthly {
			return fmt.Errorf("want it shut after %d calls", f.Monthly)
		}
	}
	waiting, why := 0, ""
	s, err := b.js.Stream(ctx, commands.DefaultPrefix.Stream("RESULTS"))
	if err != nil {
		return err
	}
	for i := range f.Places {
		c := numbered("month", i)
		msg, err := s.GetLastMsgForSubject(ctx, commands.DefaultPrefix.Result(commands.Key{Producer: c.Producer, CallRef: c.CallRef, ID: "p"}))
		var r commands.Result
		if err != nil || json.Unmarshal(msg.Data, &r) != nil || r.Status != commands.Waiting {
			continue
		}
		waiting++
		if r.Until != nil {
			why = fmt.Sprintf("%s until %s", r.Reason, r.Until.UTC().Format(time.TimeOnly))
		}
	}
	fmt.Printf("producers: %d places waiting, %s\n", waiting, why)
	return nil
}

// judge looks at when Graph was asked in vain.
func (f *monthFlags) judge(begun, reset time.Time, refused []time.Time, took []time.Duration) error {
	slices.SortFunc(refused, time.Time.Compare)
	if len(refused) == 0 {
		return errors.New("no place was refused")
	}
	// What was under way when the first refusal came is no probe.
	first := refused[0]
	atOnce, shortest := 0, time.Hour
	var probes []time.Time
	for _, at := range refused {
		if at.Sub(first) < f.Probe/2 {
			atOnce++
			continue
		}
		if len(probes) > 0 {
			shortest = min(shortest, at.Sub(probes[len(probes)-1]))
		}
		probes = append(probes, at)
	}
	allowed := int(reset.Sub(first)/f.Probe) + 1
	fmt.Printf("%d places, %d taken in the month: %d refused at once, then %d probes in %.0f s (one every %s at most), the shortest time between two %s\n",
		f.Places, f.Monthly, atOnce, len(probes), reset.Sub(first).Seconds(), f.Probe, shortest.Round(time.Millisecond))
	fmt.Printf("control meanwhile: %s\n", quantiles(took))
	fmt.Printf("all places succeeded; the last one %.1f s after the month's end, %.0f s after it was published\n", time.Since(reset).Seconds(), time.Since(begun).Seconds())
	if len(probes) > allowed || len(probes) > 1 && shortest < f.Probe {
		return errRed
	}
	return nil
}

// setLimits changes the simulated Graph's limits.
func setLimits(url string, l graphsim.Limits) error {
	body, err := json.Marshal(l)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPut, url+"/_sim/limits", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("set limits: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("set limits: %s: %s", resp.Status, text)
	}
	return nil
}
