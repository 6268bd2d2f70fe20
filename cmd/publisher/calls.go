package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/alecthomas/kong"
)

// callsCmd lists the calls that live. A variable left in somebody's environment
// does not narrow it, but for the producer's, which is said.
type callsCmd struct {
	Tenant string   `env:"-" help:"Leave out calls that are known to be of another tenant."`
	State  []string `env:"-" placeholder:"STATE" help:"Only calls in this state: establishing, established, transferring, … (repeatable)."`
}

func (c *callsCmd) Help() string {
	return `Shows the calls that live, of all producers unless --producer (or its variable) names one, as the registry has them: also those that came in and that nobody has claimed yet (producer _incoming). FOR is how long a call has been up, or, in brackets, how long ago Graph took it. Calls that wait to be placed are not there: publisher hangup --all --dry-run shows them too.

An operator's tool: it needs an operator's rights in NATS (docs/operators.md). All about one call: publisher history.`
}

func (c *callsCmd) Run(s *session, k *kong.Context) error {
	f := producer.StopFilter{Producer: s.narrowTo(k, "calls"), Tenant: c.Tenant}
	client, end, err := s.connectAs(producer.Everyone)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithTimeout(s.ctx, operateWithin)
	defer cancel()
	live, err := client.LiveCalls(ctx, f)
	if err != nil {
		return err
	}
	live = slices.DeleteFunc(live, func(l producer.LiveCall) bool {
		return len(c.State) > 0 && !slices.ContainsFunc(c.State, func(state string) bool { return strings.EqualFold(state, l.State) })
	})
	if s.json() {
		for _, l := range live {
			s.printJSON(l)
		}
		return nil
	}
	s.showCalls(live, time.Now())
	return nil
}

// narrowTo is the producer that an operator's command is about: everyone, unless
// the command line or the environment names one, which is then said, for it may
// be a variable that nobody thought of.
func (s *session) narrowTo(k *kong.Context, what string) string {
	by := givenBy(k, "producer")
	if by == "" || s.flags.Producer == producer.Everyone {
		return producer.Everyone
	}
	fmt.Fprintf(s.std.err, "publisher: only %s of producer %s (%s)\n", what, clean(s.flags.Producer), by)
	return s.flags.Producer
}

func (s *session) showCalls(live []producer.LiveCall, now time.Time) {
	if len(live) == 0 {
		fmt.Fprintln(s.std.out, "no calls live")
		return
	}
	w := tabwriter.NewWriter(s.std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CALL\tSTATE\tFOR\tTENANT\tCALL ID\tNOTE")
	states := map[string]int{}
	for _, l := range live {
		states[l.State]++
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", clean(l.Call().String()), clean(l.State), lasting(l, now), clean(l.TenantID), clean(l.CallID), clean(callNote(l)))
	}
	_ = w.Flush() // a pipe that is closed has had enough
	var counts []string
	for _, state := range slices.Sorted(maps.Keys(states)) {
		counts = append(counts, fmt.Sprintf("%d %s", states[state], state))
	}
	fmt.Fprintf(s.std.out, "%s: %s\n", plural(len(live), "call"), clean(strings.Join(counts, ", ")))
}

// lasting is how long a call has been up, or in brackets how long ago it was
// accepted.
func lasting(l producer.LiveCall, now time.Time) string {
	if l.Since().IsZero() {
		return ""
	}
	text := max(now.Sub(l.Since()), 0).Truncate(time.Second).String()
	if l.EstablishedAt.IsZero() {
		return "(" + text + ")"
	}
	return text
}

// callNote is what is under way with a call.
func callNote(l producer.LiveCall) string {
	var parts []string
	if l.Producer == commands.IncomingProducer && !l.RespondBy.IsZero() {
		parts = append(parts, "respond by "+l.RespondBy.UTC().Format(clock))
	}
	if l.PlaceID == "" && l.Producer != commands.IncomingProducer && l.State != "" && l.CallID != "" {
		parts = append(parts, "not placed here")
	}
	if l.Hangup != "" {
		parts = append(parts, "is to end: "+l.Hangup)
	}
	for _, o := range l.Open {
		parts = append(parts, fmt.Sprintf("%s %s is open", o.Action, o.ID))
	}
	return strings.Join(parts, ", ")
}
