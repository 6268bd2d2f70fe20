package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/alecthomas/kong"
	"github.com/oklog/ulid/v2"
)

// hangupCmd hangs up one call, or all of them. A variable left in somebody's
// environment neither makes a hang-up an emergency stop nor keeps one from
// being one.
type hangupCmd struct {
	commandFlags `embed:""`

	All    bool `group:"stop" env:"-" help:"Hang up every call, also those that wait to be placed; --producer and --tenant narrow it."`
	DryRun bool `group:"stop" env:"-" help:"With --all: show the calls, hang up nothing."`
}

func (c *hangupCmd) Help() string {
	return `publisher hangup --all is the emergency stop, an operator's tool: it needs an operator's rights in NATS, for it reads the registry of calls and the queue. It hangs up every call that lives, rings or waits to be placed, of all producers unless --producer (or its variable) names one. With --tenant, calls that are known to be of another tenant are left alone. It looks again until it finds nothing new and waits for what becomes of each, --timeout at most in all. Producers that go on placing calls have to be stopped first.

All hang-ups of one stop have ids that begin with the name it prints, stop-<ULID>. Exit codes: 0 every call is over, 1 a hang-up could not be published, 2 usage, 3 a call is not known to be over, 4 no outcome in --timeout.`
}

func (c *hangupCmd) Run(s *session, k *kong.Context) error {
	if !c.All {
		if c.DryRun {
			return usagef("hangup: --dry-run belongs to --all")
		}
		return s.publish(action(k), &c.commandFlags, nil, nil)
	}
	if err := c.checkAll(s, k); err != nil {
		return err
	}
	filter := c.narrow(s, k)
	client, end, err := s.connectAs(producer.Everyone)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithTimeout(s.ctx, c.Timeout)
	defer cancel()
	if c.DryRun {
		return s.showTargets(ctx, client, filter)
	}
	return s.hangUpAll(ctx, client, filter)
}

// allFlags are the flags that mean something with --all, beside those of the
// connection.
var allFlags = []string{"all", "dry-run", "producer", "tenant", "timeout", "output", "prefix"}

// checkAll refuses what belongs to the hang-up of one call. What is in the
// environment was not said about this stop and is passed over.
func (c *hangupCmd) checkAll(s *session, k *kong.Context) error {
	if c.CallRef != "" {
		return usagef("hangup: --all and CALLREF %s exclude each other: want one of them", clean(c.CallRef))
	}
	for _, step := range k.Path {
		if f := step.Flag; f != nil && !slices.Contains(allFlags, f.Name) && !strings.HasPrefix(f.Name, "nats-") {
			return usagef("hangup: --all and --%s exclude each other: --all takes --producer, --tenant, --timeout and --dry-run", f.Name)
		}
	}
	if c.Timeout <= 0 {
		return usagef("--timeout is %s: want more than nothing", c.Timeout)
	}
	if c.Tenant == "" {
		return nil
	}
	body, err := json.Marshal(commands.Body{ID: "any", TenantID: c.Tenant})
	if err != nil {
		return err
	}
	if _, err := commands.Decode(commands.CallKey{Producer: "any", CallRef: "any"}, commands.Hangup, body, s.checkOptions()); err != nil {
		return usage(fmt.Errorf("--tenant: %w", err))
	}
	return nil
}

// narrow is what the stop is about. Without a word it is about all producers,
// whatever --producer is by default; what narrows it is said, for it may be a
// variable that nobody thought of.
func (c *hangupCmd) narrow(s *session, k *kong.Context) producer.StopFilter {
	f := producer.StopFilter{Producer: s.narrowTo(k, "calls")}
	if by := givenBy(k, "tenant"); by != "" {
		f.Tenant = c.Tenant
		fmt.Fprintf(s.std.err, "publisher: only calls of tenant %s, or of none that is known (%s)\n", clean(f.Tenant), by)
	}
	return f
}

// givenBy tells where the value of a flag comes from: the command line, a
// variable, or, empty, neither.
func givenBy(k *kong.Context, name string) string {
	for _, step := range k.Path {
		if step.Flag != nil && step.Flag.Name == name {
			return "--" + name
		}
	}
	for _, f := range k.Flags() {
		for _, env := range f.Envs {
			if f.Name == name && os.Getenv(env) != "" {
				return env
			}
		}
	}
	return ""
}

// hangUpAll is the stop itself.
func (s *session) hangUpAll(ctx context.Context, client *producer.Client, filter producer.StopFilter) error {
	t := newStopTally(s, filter, "stop-"+ulid.Make().String())
	err := client.HangUpAll(ctx, producer.StopOptions{StopFilter: filter, ID: t.ID, Found: t.found, Ended: t.ended})
	if err == nil || t.Found > 0 {
		t.finish()
	}
	return t.verdict(err)
}

// showTargets is the dry run.
func (s *session) showTargets(ctx context.Context, client *producer.Client, filter producer.StopFilter) error {
	targets, err := client.Targets(ctx, filter)
	if err != nil {
		return err
	}
	t := newStopTally(s, filter, "")
	t.count(targets)
	for _, target := range targets {
		t.show(target)
	}
	t.finish()
	return nil
}
