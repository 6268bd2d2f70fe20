// Chaos holds callbus to its five promises while real processes are killed,
// frozen and cut off from each other, and Graph misbehaves. Run it with "make
// chaos"; everything it does follows from a seed, which it prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"callbus/internal/signals"
)

// cli is the command line.
type cli struct {
	Run     campaignFlags `cmd:"" default:"withargs" help:"A mixed load under every fault, then the verdict."`
	Mutants mutantsFlags  `cmd:"" help:"Break each promise on purpose and see that the verdict is red."`
	Crashes crashesFlags  `cmd:"" help:"Kill a worker between every two steps, for each action: a table of outcomes."`
	Backlog backlogFlags  `cmd:"" help:"Ten thousand queued places and a hundred thousand waiting commands, then a hang-up."`
	Pacing  pacingFlags   `cmd:"" help:"How well the pace is kept: quotas that nobody knows, an outage, tenants side by side, a parked backlog."`
	Budget  budgetFlags   `cmd:"" help:"A thousand places, a hundred calls at once, and a killed worker: the live-call budget."`
	Month   monthFlags    `cmd:"" help:"The month's calls are used up: who waits, who asks again, who goes on."`
	Rolling rollingFlags  `cmd:"" help:"A rolling update under load: old and new workers on one queue, the old ones stopped one by one."`
	Stop    stopFlags     `cmd:"" help:"SIGTERM with many requests in flight."`

	Keepalive     keepaliveFlags     `cmd:"" help:"Hundreds of calls that last, in short time, while workers are restarted and scaled."`
	Notifications notificationsFlags `cmd:"" help:"A mixed load while notifications are lost, doubled, swapped and late: both sides compared."`
}

// errRed says that a promise was broken. What was wrong has been printed.
var errRed = errors.New("red")

func main() {
	ctx := signals.Context()
	var flags cli
	k := kong.Parse(&flags, kong.Name("chaos"), kong.Description("Holds callbus to its promises under every fault that can be caused."), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := k.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v\n", err)
		os.Exit(1)
	}
}
