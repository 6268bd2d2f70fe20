package app

import (
	"context"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/natsconn"
	"callbus/internal/streams"
)

// Provision creates or checks what is in JetStream and writes what it found to
// out, a line a difference. With dryRun nothing is changed and differences are
// no error.
func Provision(ctx context.Context, conn natsconn.ConnOptions, o streams.Options, mode streams.Mode, dryRun bool, out io.Writer) error {
	if err := o.Prefix.Check(); err != nil {
		return fmt.Errorf("%w: --%w", ErrOptions, err)
	}
	nc, err := natsconn.ConnectContext(ctx, conn)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	plan, err := streams.Provision(ctx, js, o, mode, dryRun)
	for _, d := range plan.Differences {
		fmt.Fprintln(out, d)
	}
	for _, name := range plan.Created {
		fmt.Fprintln(out, "created", name)
	}
	for _, name := range plan.Updated {
		fmt.Fprintln(out, "updated", name)
	}
	if err == nil && len(plan.Differences) == 0 {
		fmt.Fprintln(out, "everything is as it should be")
	}
	return err
}
