package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"time"

	"callbus/internal/commands"
	"callbus/internal/pacing"
)

// pauseFlags say what is paused. A variable left in somebody's environment does
// not choose it.
type pauseFlags struct {
	Scope string `env:"-" placeholder:"TENANT" help:"Only commands of this tenant; of all tenants by default."`
	Lane  string `env:"-" enum:"place,all" default:"place" help:"place: places; all: everything but hang-ups and keep-alives."`
}

func (f *pauseFlags) pause() pacing.Pause {
	p := pacing.Pause{Scope: f.Scope, Lane: f.Lane}
	if p.Scope == "" {
		p.Scope = pacing.EveryScope
	}
	return p
}

// pauseCmd holds commands back.
type pauseCmd struct {
	pauseFlags `embed:""`
	Show       bool   `env:"-" help:"Show the pauses that stand, change nothing."`
	By         string `env:"-" help:"Whose pause it is; the user and host name by default."`
}

func (c *pauseCmd) Help() string {
	return `An operator's tool: it needs an operator's rights in NATS (docs/operators.md). Commands that are held wait in the queue, with the reason "paused", until the pause is taken back or they expire; a pause stands until then, whatever is restarted. What is under way is not touched: publisher hangup --all ends calls.`
}

func (c *pauseCmd) Run(s *session) error {
	return s.operate(func(ctx context.Context, o *operator) error {
		if !c.Show {
			p := c.pause()
			if p.By = c.By; p.By == "" {
				p.By = whoami()
			}
			if err := pacing.SetPause(ctx, o.js, o.prefix, p); err != nil {
				return err
			}
		}
		u, err := pacing.Look(ctx, o.js, o.prefix)
		if err != nil {
			return err
		}
		s.showPauses(u.Pauses)
		return nil
	})
}

// whoami is the user and host of this process, as far as they are known.
func whoami() string {
	name, host := "", ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = "@" + h
	}
	return name + host
}

// resumeCmd takes a pause back.
type resumeCmd struct {
	pauseFlags `embed:""`
}

func (c *resumeCmd) Help() string {
	return `Takes back the pause of the same --scope and --lane; others stand. What was held comes back a few at a time.`
}

func (c *resumeCmd) Run(s *session) error {
	return s.operate(func(ctx context.Context, o *operator) error {
		p := c.pause()
		stood, err := pacing.Resume(ctx, o.js, o.prefix, p)
		if err != nil {
			return err
		}
		u, err := pacing.Look(ctx, o.js, o.prefix)
		if err != nil {
			return err
		}
		s.showPauses(u.Pauses)
		if !stood {
			return fmt.Errorf("no pause of %s stood for %s (publisher pause --show lists them)", p.Lane, ofScope(p.Scope))
		}
		return nil
	})
}

func ofScope(scope string) string {
	if scope == pacing.EveryScope {
		return "all tenants"
	}
	return "tenant " + clean(scope)
}

// holds is what a pause holds, in words.
func holds(p pacing.Pause) string {
	if p.Lane == pacing.PausePlaces {
		return "places"
	}
	return "all but hang-ups and keep-alives"
}

func (s *session) showPauses(all []pacing.Pause) {
	if s.json() {
		for _, p := range all {
			s.printJSON(p)
		}
		return
	}
	if len(all) == 0 {
		fmt.Fprintln(s.std.out, "nothing is paused")
	}
	for _, p := range all {
		by := ""
		if p.By != "" {
			by = " by " + clean(p.By)
		}
		fmt.Fprintf(s.std.out, "paused  %s  %s  since %s%s\n", ofScope(p.Scope), holds(p), p.Since.UTC().Format(time.RFC3339), by)
	}
}

// operateWithin bounds what an operator's command asks of the server.
const operateWithin = 15 * time.Second

// operate runs f with an operator's connection, which has no producer's name.
func (s *session) operate(f func(context.Context, *operator) error) error {
	prefix := commands.Prefix(s.flags.Prefix)
	if err := prefix.Check(); err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	o, end, err := s.dialOperator(prefix)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithTimeout(s.ctx, operateWithin)
	defer cancel()
	return f(ctx, o)
}
