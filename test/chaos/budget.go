package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/pacing"
	"callbus/test/chaos/fleet"
)

// budgetFlags shape the run against the live-call budget.
type budgetFlags struct {
	Places  int           `default:"1000" help:"Places published at once."`
	Limit   int           `default:"100" help:"Calls that may live at once, of the workers and of Graph."`
	Workers int           `default:"3" help:"Worker processes."`
	Lives   time.Duration `default:"4s" help:"How long an answered call lives."`
	Within  time.Duration `default:"1s" help:"The longest from a call's end to the start of the next call."`
}

// endsItself is a callee who answers and then hangs up.
const endsItself = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d333"}}}]}`

// Run places more calls than may live at once, and kills a worker on the way.
func (f *budgetFlags) Run(ctx context.Context) error {
	b, end, err := startBudget(ctx, f.Workers, []string{
		fmt.Sprintf("--limits=concurrent=%d", f.Limit), "--answer-after=50ms", fmt.Sprintf("--hangup-after=%s", f.Lives),
	}, []string{fmt.Sprintf("--max-live-calls=%d", f.Limit), "--reconcile-wait=15s", "--graph-timeout=5s", "--ack-wait=6s"})
	if err != nil {
		return err
	}
	defer end()
	red := false
	if err := b.place(ctx, "calm", f.Places, endsItself, time.Time{}); err != nil {
		return err
	}
	if err := b.finals(ctx, "calm", f.Places, commands.Succeeded); err != nil {
		return err
	}
	if red, err = f.judgeCalm(ctx, b); err != nil {
		return err
	}
	again, err := f.kill(ctx, b)
	if err != nil {
		return err
	}
	if red || again {
		return errRed
	}
	return nil
}

// budgetRun is a fleet whose budgets are looked at.
type budgetRun struct {
	*backlog
}

func startBudget(ctx context.Context, workers int, sim, worker []string) (*budgetRun, func(), error) {
	dir, err := os.MkdirTemp("", "callbus-budget-")
	if err != nil {
		return nil, nil, err
	}
	bin, err := fleet.Build(ctx, fleet.BuildOptions{Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	fl, err := fleet.Start(ctx, fleet.Options{
		Binaries: bin, Workers: workers, SimArgs: append([]string{"--log-level=warn", "--log-size=200000"}, sim...),
		Worker: func(int) fleet.WorkerOptions { return fleet.WorkerOptions{Args: worker} },
	})
	if err != nil {
		return nil, nil, err
	}
	end := func() { fl.Close(); _ = os.RemoveAll(dir) }
	if err := fl.Ready(ctx); err != nil {
		end()
		return nil, nil, err
	}
	js, err := connect(fl.NATSURL())
	if err != nil {
		end()
		return nil, nil, err
	}
	return &budgetRun{&backlog{fleet: fl, js: js}}, func() { js.Conn().Close(); end() }, nil
}

func numbered(name string, n int) commands.CallKey {
	return commands.CallKey{Producer: "budget", CallRef: fmt.Sprintf("%s-%04d", name, n)}
}

// place publishes places at once.
func (b *budgetRun) place(ctx context.Context, name string, n int, parameters string, expires time.Time) error {
	return b.publishAll(ctx, n, func(i int) *nats.Msg {
		msg := b.message(numbered(name, i), commands.Place, "p", parameters)
		if !expires.IsZero() {
			msg.Data = fmt.Appendf(nil, `{"id":"p","expiresAt":%q,"parameters":%s}`, expires.UTC().Format(time.RFC3339), parameters)
		}
		return msg
	})
}

// finals waits for the outcome of every place and holds it to one status; none:
// any.
func (b *budgetRun) finals(ctx context.Context, name string, n int, want commands.Status) error {
	for i := range n {
		c := numbered(name, i)
		r, err := final(ctx, b.js, commands.Key{Producer: c.Producer, CallRef: c.CallRef, ID: "p"}, 4*time.Minute)
		if err != nil {
			return err
		}
		if want != "" && r.Status != want {
			return fmt.Errorf("%s ended %s %+v; want %s", c, r.Status, r.Error, want)
		}
	}
	return nil
}

// calls are the simulated Graph's, of one name.
func (b *budgetRun) calls(name string) ([]graphsim.Call, error) {
	all, err := simulated[struct{ Calls []graphsim.Call }](b.fleet, "calls")
	return slices.DeleteFunc(all.Calls, func(c graphsim.Call) bool { return !strings.Contains(c.CallbackURI, "/"+name+"-") }), err
}

// refusals counts the places that Graph refused with a code.
func (b *budgetRun) refusals(code string) (at []time.Time, err error) {
	all, err := requests(b.fleet)
	for _, r := range all {
		if r.Operation == "createCall" && r.Code == code {
			at = append(at, r.Start)
		}
	}
	return at, err
}

// ended is when a call was over; zero while it lives.
func ended(c graphsim.Call) time.Time { return c.Ended }

// peak is how many calls lived at once at most.
func peak(calls []graphsim.Call) (most int) {
	type step struct {
		at time.Time
		by int
	}
	var steps []step
	for _, c := range calls {
		steps = append(steps, step{c.Created, 1})
		if at := ended(c); !at.IsZero() {
			steps = append(steps, step{at, -1})
		}
	}
	slices.SortFunc(steps, func(a, b step) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.by - b.by
	})
	now := 0
	for _, s := range steps {
		now += s.by
		most = max(most, now)
	}
	return most
}

// gaps are the times from each end to the start of the call that it made room
// for: of n calls that may live, call n+i may start with the i-th end.
func gaps(calls []graphsim.Call, limit int) (all []time.Duration) {
	var starts, ends []time.Time
	for _, c := range calls {
		starts = append(starts, c.Created)
		if at := ended(c); !at.IsZero() {
			ends = append(ends, at)
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	slices.SortFunc(ends, time.Time.Compare)
	for i := limit; i < len(starts) && i-limit < len(ends); i++ {
		all = append(all, starts[i].Sub(ends[i-limit]))
	}
	return all
}

func quantiles(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(q int) time.Duration { return all[min(len(all)*q/100, len(all)-1)].Round(time.Millisecond) }
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, longest %s, of %d", at(50), at(90), at(99), all[len(all)-1].Round(time.Millisecond), len(all))
}

// judgeCalm looks at a run in which nothing was killed.
func (f *budgetFlags) judgeCalm(ctx context.Context, b *budgetRun) (red bool, err error) {
	if _, err := b.drained(ctx); err != nil {
		return true, err
	}
	all, err := b.calls("calm")
	if err != nil {
		return true, err
	}
	refused, err := b.refusals("8530")
	if err != nil {
		return true, err
	}
	waits := gaps(all, f.Limit)
	most := peak(all)
	fmt.Printf("%d places by %d workers, %d calls at once allowed: %d calls, %d lived at once at most, %d refused by Graph (8530)\n",
		f.Places, f.Workers, f.Limit, len(all), most, len(refused))
	fmt.Printf("from a call's end to the start of the next one: %s\n", quantiles(waits))
	return len(all) != f.Places || most > f.Limit || len(refused) > 0 || len(waits) == 0 || waits[len(waits)-1] > f.Within, nil
}

// slots is how many are taken.
func (b *budgetRun) slots(ctx context.Context) (int, error) {
	u, err := pacing.Look(ctx, b.js, commands.DefaultPrefix)
	if err != nil {
		return 0, err
	}
	used := 0
	for _, l := range u.Live {
		used += l.Used
	}
	return used, nil
}

// drained waits until no call lives and no slot is taken.
func (b *budgetRun) drained(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	for {
		used, err := b.slots(ctx)
		if err != nil {
			return 0, err
		}
		live := liveCalls(b.fleet)
		if used == 0 && live == 0 {
			return time.Since(begun), nil
		}
		if time.Since(begun) > 3*time.Minute {
			return 0, fmt.Errorf("%d slots are taken and %d calls live after %s", used, live, time.Since(begun).Round(time.Second))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// kill kills a worker that has places in work, for good, and sees the others
// heal the budget.
func (f *budgetFlags) kill(ctx context.Context, b *budgetRun) (red bool, err error) {
	n := f.Places / 2
	if err := b.place(ctx, "killed", n, endsItself, time.Time{}); err != nil {
		return true, err
	}
	for deadline := time.Now().Add(time.Minute); liveCalls(b.fleet) < f.Limit*9/10; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return true, fmt.Errorf("%d calls live, want nearly %d", liveCalls(b.fleet), f.Limit)
		}
	}
	at := time.Now()
	b.fleet.Workers()[0].Kill()
	if err := b.finals(ctx, "killed", n, ""); err != nil {
		return true, err
	}
	done := time.Since(at)
	unknown := 0
	for i := range n {
		c := numbered("killed", i)
		r, err := final(ctx, b.js, commands.Key{Producer: c.Producer, CallRef: c.CallRef, ID: "p"}, time.Second)
		if err != nil {
			return true, err
		}
		if r.Status == commands.Unknown {
			unknown++
		}
	}
	if _, err := b.drained(ctx); err != nil {
		return true, err
	}
	healed := time.Since(at)
	all, err := b.calls("killed")
	if err != nil {
		return true, err
	}
	most := peak(all)
	fmt.Printf("kill -9 of a worker that held places: %d places, all final after %.1f s, %d unknown, %d calls, %d lived at once at most\n", n, done.Seconds(), unknown, len(all), most)
	fmt.Printf("every slot is free again %.1f s after the kill\n", healed.Seconds())
	return most > f.Limit, nil
}
