package app

import (
	"context"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/ledger"
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

// RebuildRegistry makes the registry of calls anew from results and events and
// writes what it did to out. Workers may be running. With dryRun nothing is
// changed. It blocks until all is read and written.
func RebuildRegistry(ctx context.Context, conn natsconn.ConnOptions, prefix commands.Prefix, dryRun bool, out io.Writer) error {
	nc, err := natsconn.ConnectContext(ctx, conn)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	journal, err := ledger.New(ctx, js, prefix, nil)
	if err != nil {
		return err
	}
	r, err := calls.Rebuild(ctx, calls.NewRegistry(js, prefix), calls.NewEvents(js, prefix), journal, dryRun)
	if err != nil {
		return err
	}
	verb := "restored"
	if dryRun {
		verb = "missing"
	}
	fmt.Fprintf(out, "registry: %d calls and %d claims, from %d records and %d events\n", r.Calls, r.Claims, r.Records, r.Events)
	fmt.Fprintf(out, "registry: entries %s %d, different %d, in the hands of workers %d, unknown to the streams and left as they are %d\n", verb, r.Restored, r.Replaced, r.Moved, r.Unknown)
	return nil
}
