package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
	"callbus/test/chaos/check"
	"callbus/test/chaos/fleet"
)

// keepaliveFlags shape a run of long calls in short time.
type keepaliveFlags struct {
	Calls    int           `default:"500" help:"Calls that are answered and last."`
	Lasting  time.Duration `default:"3h" help:"How long they last, as they see it."`
	Ratio    float64       `default:"60" help:"How much shorter everything is here: intervals, limits, and the run."`
	Interval time.Duration `default:"15m" help:"The workers' --keepalive-interval, before it is shortened."`
	Limit    time.Duration `default:"45m" help:"How long Graph lets a call live without, before it is shortened."`
	Dir      string        `help:"Keep logs and stores here."`
}

func (f *keepaliveFlags) short(d time.Duration) time.Duration {
	return time.Duration(float64(d) / f.Ratio).Round(time.Millisecond)
}

// Run lets many calls last while workers are restarted and scaled, and holds the
// simulated Graph's record of keepAlive to what Graph wants.
func (f *keepaliveFlags) Run(ctx context.Context) error {
	if f.Ratio <= 0 || f.Calls < 10 {
		return errors.New("want a --ratio above 0 and 10 --calls or more")
	}
	dir, err := os.MkdirTemp("", "callbus-keepalive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := fleet.Build(ctx, fleet.BuildOptions{Dir: dir})
	if err != nil {
		return err
	}
	fl, err := fleet.Start(ctx, fleet.Options{
		Binaries: bin, Dir: f.Dir, Workers: 3,
		SimArgs: []string{"--answer-after=100ms", "--log-level=warn", "--keep-alive-timeout=" + f.short(f.Limit).String()},
		Worker: func(int) fleet.WorkerOptions {
			return fleet.WorkerOptions{Args: []string{"--ack-wait=4s", "--graph-timeout=2s", "--grace-period=10s", "--keepalive-interval=" + f.short(f.Interval).String()}}
		},
	})
	if err != nil {
		return err
	}
	defer fl.Close()
	if err := fl.Ready(ctx); err != nil {
		return err
	}
	js, err := connect(fl.NATSURL())
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	k := &keepalive{keepaliveFlags: *f, fleet: fl, js: js}
	fmt.Printf("%d calls for %s, %.0f times shorter: keepAlive every %s, Graph ends a call after %s, the run takes %s\n",
		f.Calls, f.Lasting, f.Ratio, f.short(f.Interval), f.short(f.Limit), f.short(f.Lasting))
	return k.run(ctx)
}

// keepalive is one run.
type keepalive struct {
	keepaliveFlags
	fleet *fleet.Fleet
	js    jetstream.JetStream
	begun time.Time
}

func (k *keepalive) run(ctx context.Context) error {
	begun := time.Now()
	for n := range k.Calls {
		if err := k.publish(ctx, n, commands.Place, "p", placeOne); err != nil {
			return err
		}
	}
	for n := range k.Calls {
		if r, err := final(ctx, k.js, k.key(n, "p"), time.Minute); err != nil {
			return err
		} else if r.Status != commands.Succeeded {
			return fmt.Errorf("%s: place %s", k.key(n, "p").Call(), r.Status)
		}
	}
	k.begun = time.Now()
	k.tell("%d calls established, in %.1f s", k.Calls, k.begun.Sub(begun).Seconds())
	if err := k.disturb(ctx); err != nil {
		return err
	}
	mid := liveCalls(k.fleet)
	k.tell("%d calls live after the %s, %d expected; hanging up", mid, k.Lasting, k.Calls-2*k.few())
	for n := 2 * k.few(); n < k.Calls; n++ {
		if err := k.publish(ctx, n, commands.Hangup, "bye", ""); err != nil {
			return err
		}
	}
	for n := 2 * k.few(); n < k.Calls; n++ {
		if _, err := final(ctx, k.js, k.key(n, "bye"), time.Minute); err != nil {
			return err
		}
	}
	// A keepAlive of an ended call would come within the next interval.
	if err := k.until(ctx, time.Now().Add(k.short(k.Interval)*11/10)); err != nil {
		return err
	}
	return k.verdict(ctx, mid)
}

// few is how many calls end early in either way.
func (k *keepalive) few() int { return k.Calls / 10 }

// disturb restarts and scales the workers, and ends some calls, over the time that
// the calls last.
func (k *keepalive) disturb(ctx context.Context) error {
	w := k.fleet.Workers()
	kill := func(i int) func() error {
		return func() error { w[i].Kill(); return w[i].Revive(ctx) }
	}
	restart := func(all ...int) func() error {
		return func() error {
			for _, i := range all {
				if err := k.stop(ctx, w[i]); err != nil {
					return err
				}
				if err := w[i].Revive(ctx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for _, step := range []struct {
		at   float64 // of the whole time
		says string
		do   func() error
	}{
		{0.10, "worker-1 killed and started again", kill(0)},
		{0.15, "the other side hangs up some calls, and the notification of that is lost", func() error { return k.leave(ctx) }},
		{0.20, "all workers restarted, one after the other", restart(0, 1, 2)},
		{0.30, "scaled to 1 worker", func() error { return errors.Join(k.stop(ctx, w[1]), k.stop(ctx, w[2])) }},
		{0.45, "the only worker killed and started again", kill(0)},
		{0.50, "some calls hung up by their producer", func() error { return k.hangups(ctx) }},
		{0.60, "scaled to 3 workers", func() error { return errors.Join(w[1].Revive(ctx), w[2].Revive(ctx)) }},
		{0.65, "all timers lost, worker-1 restarted", func() error {
			timers, err := k.js.Stream(ctx, commands.DefaultPrefix.Stream(streams.Timers))
			if err == nil {
				err = timers.Purge(ctx)
			}
			return errors.Join(err, restart(0)())
		}},
		{0.70, "all workers killed at once and started again", func() error {
			for _, p := range w {
				p.Kill()
			}
			var all sync.WaitGroup
			failed := make([]error, len(w))
			for i, p := range w {
				all.Go(func() { failed[i] = p.Revive(ctx) })
			}
			all.Wait()
			return errors.Join(failed...)
		}},
		{0.80, "scaled to 1 worker, the second", func() error { return errors.Join(k.stop(ctx, w[0]), k.stop(ctx, w[2])) }},
		{0.90, "scaled to 3 workers", func() error { return errors.Join(w[0].Revive(ctx), w[2].Revive(ctx)) }},
		{1, "the time is over", func() error { return nil }},
	} {
		if err := k.until(ctx, k.begun.Add(time.Duration(step.at*float64(k.short(k.Lasting))))); err != nil {
			return err
		}
		k.tell("%s", step.says)
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	return nil
}

func (k *keepalive) stop(ctx context.Context, p *fleet.Proc) error {
	if err := p.Term(); err != nil {
		return err
	}
	return p.Wait(ctx)
}

// leave ends a few calls from the other side and loses what Graph says of it, so
// that only the next keepAlive can find out.
func (k *keepalive) leave(ctx context.Context) error {
	if err := setFaults(k.fleet, graphsim.Fault{Operation: "notification", Kind: "terminated", Notifications: graphsim.Lose}); err != nil {
		return err
	}
	for n := range k.few() {
		r, err := final(ctx, k.js, k.key(n, "p"), time.Second)
		if err != nil {
			return err
		}
		resp, err := http.Post(k.fleet.SimURL()+"/_sim/calls/"+r.CallID+"/hangup", "", nil)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("hang up %s from the other side: %s", r.CallID, resp.Status)
		}
	}
	return setFaults(k.fleet)
}

func (k *keepalive) hangups(ctx context.Context) error {
	for n := k.few(); n < 2*k.few(); n++ {
		if err := k.publish(ctx, n, commands.Hangup, "bye", ""); err != nil {
			return err
		}
	}
	for n := k.few(); n < 2*k.few(); n++ {
		if _, err := final(ctx, k.js, k.key(n, "bye"), time.Minute); err != nil {
			return err
		}
	}
	return nil
}

func (k *keepalive) verdict(ctx context.Context, mid int) error {
	h, err := check.Collect(ctx, k.js, commands.DefaultPrefix, k.fleet.SimURL())
	if err != nil {
		return err
	}
	registered, err := liveEntries(ctx, k.js)
	if err != nil {
		return err
	}
	a := check.KeptAlive(h)
	fmt.Printf("\nkeepAlive requests taken        %d, a median of %s apart (--keepalive-interval %s)\n", a.Taken, a.Median.Round(time.Millisecond), k.short(k.Interval))
	fmt.Printf("longest gap of a living call    %s, allowed %s\n", a.Longest.Round(time.Millisecond), k.short(k.Limit))
	fmt.Printf("most of them within one second  %d of %d calls\n", a.Peak, k.Calls)
	fmt.Printf("ends found by a keepAlive       %d, of %d whose notification was lost\n", a.Found, k.few())
	fmt.Printf("keepAlive after a known end     %d\n", a.After)
	fmt.Printf("calls ended 408/8537            %d\n", a.TimedOut)
	fmt.Printf("calls live at the end of the time %d, expected %d\n", mid, k.Calls-2*k.few())
	fmt.Printf("ends told                       %d of %d, live in the registry %d\n", a.Ended, k.Calls, registered)
	if a.Longest > k.short(k.Limit) || a.After > 0 || a.TimedOut > 0 || mid != k.Calls-2*k.few() || a.Found != k.few() || a.Ended != k.Calls || registered != 0 {
		fmt.Println("\nred")
		return errRed
	}
	fmt.Println("\ngreen")
	return nil
}

func (k *keepalive) tell(format string, args ...any) {
	fmt.Printf("%7.1fs  %s\n", time.Since(k.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (k *keepalive) until(ctx context.Context, at time.Time) error {
	select {
	case <-time.After(time.Until(at)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (k *keepalive) key(n int, id string) commands.Key {
	return commands.Key{Producer: "lasting", CallRef: fmt.Sprintf("call-%d", n), ID: id}
}

func (k *keepalive) publish(ctx context.Context, n int, a commands.Action, id, parameters string) error {
	_, err := k.js.PublishMsg(ctx, command(k.key(n, id), a, parameters))
	return err
}
