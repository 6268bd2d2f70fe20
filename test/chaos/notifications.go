package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/test/chaos/check"
	"callbus/test/chaos/fleet"
	"callbus/test/chaos/load"
)

// notificationsFlags shape a run in which only the notifications are bad.
type notificationsFlags struct {
	Calls   int           `default:"1000" help:"Calls made, of the mixed load."`
	Rate    float64       `default:"60" help:"Commands a second."`
	Workers int           `default:"3" help:"Worker processes."`
	Lose    float64       `default:"0.10" help:"Share of notifications that are lost."`
	Double  float64       `default:"0.10" help:"Share that comes twice."`
	Swap    float64       `default:"0.20" help:"Share that a later one overtakes."`
	Late    float64       `default:"0.10" help:"Share that comes late."`
	LateBy  time.Duration `default:"3s" help:"How late."`
	Seed    uint64        `help:"What happens follows from it; a random one by default."`
	Dir     string        `help:"Keep logs and stores here."`
}

// faults are the shares, each of all notifications: the simulator draws for one
// fault after the other, until one strikes.
func (f *notificationsFlags) faults() (list []graphsim.Fault, err error) {
	left := 1.0
	for _, share := range []struct {
		what  graphsim.NotificationFault
		part  float64
		delay time.Duration
	}{{graphsim.Lose, f.Lose, 0}, {graphsim.Double, f.Double, 0}, {graphsim.Swap, f.Swap, time.Second}, {graphsim.Late, f.Late, f.LateBy}} {
		if share.part < 0 || share.part > left {
			return nil, fmt.Errorf("shares of notifications: want each 0 or more and their sum 1 at most")
		}
		if share.part == 0 {
			continue
		}
		list = append(list, graphsim.Fault{Operation: "notification", Notifications: share.what, Probability: share.part / left, Delay: share.delay})
		left -= share.part
	}
	return list, nil
}

// Run makes the calls, waits for their outcomes, and compares both sides.
func (f *notificationsFlags) Run(ctx context.Context) error {
	faults, err := f.faults()
	if err != nil {
		return err
	}
	if f.Seed == 0 {
		f.Seed = rand.Uint64()
	}
	dir, err := os.MkdirTemp("", "callbus-notifications-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := campaign{campaignFlags: campaignFlags{Workers: f.Workers, Nodes: 1, Seed: f.Seed, Crashes: "none", Dir: f.Dir}, out: os.Stdout}
	fmt.Fprintf(c.out, "seed %d, %d calls, notifications lost %.0f %%, doubled %.0f %%, swapped %.0f %%, late %.0f %%\n", f.Seed, f.Calls, 100*f.Lose, 100*f.Double, 100*f.Swap, 100*f.Late)
	if err := c.build(ctx, dir); err != nil {
		return err
	}
	fl, err := fleet.Start(ctx, c.fleetOptions())
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
	settled, err := follow(ctx, js)
	if err != nil {
		return err
	}
	defer settled.stop()
	if err := setFaults(fl, faults...); err != nil {
		return err
	}
	l := load.New(js, load.Options{Prefix: commands.DefaultPrefix, Seed: f.Seed, Rate: f.Rate, Calls: f.Calls})
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go c.progress(watching, l, settled)
	if err := l.Run(ctx); err != nil {
		return err
	}
	stop()
	c.settle(ctx, fl, js, l, settled)
	if err := allOver(ctx, js); err != nil {
		return err
	}
	h, err := check.Collect(ctx, js, commands.DefaultPrefix, fl.SimURL())
	if err != nil {
		return err
	}
	h.Commands = l.Published()
	h.Settings = check.Settings{AckWait: ackWait, GraphTimeout: graphTimeout, ReconcileWait: reconcileWait}
	report := check.Check(h)
	rows, differ := check.Sides(h)
	report.Violations = append(report.Violations, differ...)
	if err := struck(h); err != nil {
		return err
	}
	if err := check.WriteSides(c.out, rows); err != nil {
		return err
	}
	if err := rebuilt(ctx, c.bin.Worker, fl.NATSURL()); err != nil {
		return err
	}
	return c.verdict(report, h)
}

// rebuilt prints how the registry, if it were made anew, would differ.
func rebuilt(ctx context.Context, worker, natsURL string) error {
	cmd := exec.CommandContext(ctx, worker, "provision", "--rebuild-registry", "--dry-run", "--ack-wait="+ackWait.String(), "--nats-url="+natsURL)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("rebuild the registry: %w: %s", err, text)
	}
	fmt.Printf("\n%s\n", text)
	return nil
}

// allOver waits until no call lives by the registry: one whose last notification
// was lost is read 10 s after it was hung up.
func allOver(ctx context.Context, js jetstream.JetStream) error {
	for deadline := time.Now().Add(settleWait); ; time.Sleep(200 * time.Millisecond) {
		n, err := liveEntries(ctx, js)
		if n == 0 || err != nil || time.Now().After(deadline) {
			return err
		}
	}
}

// struck prints what became of the notifications, by fault.
func struck(h check.History) error {
	n, by := 0, map[string]int{}
	for _, call := range h.Calls {
		for _, note := range call.Notifications {
			n++
			by[note.Fault]++
		}
	}
	if n == 0 {
		return fmt.Errorf("no notification was sent")
	}
	fmt.Printf("%d notifications: %d lost, %d doubled, %d swapped, %d late\n\n", n, by[string(graphsim.Lose)], by[string(graphsim.Double)], by[string(graphsim.Swap)], by[string(graphsim.Late)])
	return nil
}
