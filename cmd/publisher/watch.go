package main

import (
	"slices"
	"strings"

	"callbus/internal/commands"
	"callbus/internal/producer"
)

type watchCmd struct {
	CallRef string `arg:"" optional:"" name:"callref" help:"Only this call."`

	Kind   []string `placeholder:"KIND" help:"Only these: result, event, or a kind of event: incoming, state, ended, roster, operation, contentSharing, keepAlive, other (repeatable)."`
	Status []string `placeholder:"STATUS" help:"Only results with this status (repeatable)."`
	Final  bool     `help:"Only final results."`
	Since  past     `placeholder:"TIME" help:"Begin with what was stored since: RFC 3339, or how long ago, such as 10m."`
}

func (c *watchCmd) Help() string {
	return "Shows the calls of --producer (--producer '*': of all, where permissions allow it). With --status or --final, events are shown only if --kind asks for them."
}

func (c *watchCmd) Run(s *session) error {
	filter, err := c.filter(s.flags.Producer)
	if err != nil {
		return usage(err)
	}
	client, end, err := s.connect()
	if err != nil {
		return err
	}
	defer end()
	return client.Watch(s.ctx, filter, s.printRecord)
}

// filter turns the flags around: no kind asked for means all of them.
func (c *watchCmd) filter(name string) (producer.Filter, error) {
	f := producer.Filter{Producer: name, CallRef: c.CallRef, Final: c.Final, Since: c.Since.Time}
	for _, status := range c.Status {
		f.Statuses = append(f.Statuses, commands.Status(status))
	}
	onlyResults := len(c.Status) > 0 || c.Final
	f.Results = len(c.Kind) == 0 || onlyResults || slices.Contains(c.Kind, "result")
	f.Events = len(c.Kind) == 0 && !onlyResults
	for _, kind := range c.Kind {
		switch {
		case kind == "result":
		case kind == "event":
			f.Events = true
		case slices.Contains(commands.Kinds, commands.Kind(kind)):
			f.Events = true
			f.Kinds = append(f.Kinds, commands.Kind(kind))
		default:
			return f, usagef("--kind %s is unknown: want result, event, %s", kind, kinds())
		}
	}
	if slices.Contains(c.Kind, "event") {
		f.Kinds = nil
	}
	return f, f.Validate()
}

func kinds() string {
	names := make([]string, len(commands.Kinds))
	for i, k := range commands.Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}
