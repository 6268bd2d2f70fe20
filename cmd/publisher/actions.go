package main

import (
	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/alecthomas/kong"
	"github.com/oklog/ulid/v2"
)

// bareCmd is an action without flags of its own; the name it was called by
// says which.
type bareCmd struct {
	commandFlags `embed:""`
}

func (c *bareCmd) Run(s *session, k *kong.Context) error {
	return s.publish(action(k), &c.commandFlags, nil, nil)
}

type placeCmd struct {
	commandFlags `embed:""`

	To          []string `sep:"none" placeholder:"KIND:ID" help:"Whom to call: user:ID, phone:+NUMBER, app:ID or instance:ID (repeatable)."`
	From        string   `placeholder:"instance:ID" help:"Resource account to call as; telephone calls need one."`
	JoinURL     string   `name:"join-url" placeholder:"URL" help:"Join the Teams meeting of this URL."`
	RingSeconds int      `help:"Hang up when nobody has answered after this long."`
	CallSeconds int      `help:"Hang up after this long."`
}

func (c *placeCmd) Run(s *session, k *kong.Context) error {
	p := newParameters()
	if len(c.To) > 0 && c.JoinURL != "" {
		return usagef("--to and --join-url exclude each other: a call goes to people or into a meeting")
	}
	if len(c.To) > 0 {
		p.parties("targets", "--to", c.To)
	}
	if c.From != "" {
		p.party("source", "--from", c.From, "instance")
	}
	if c.JoinURL != "" {
		meeting, err := producer.ParseJoinURL(c.JoinURL)
		if err != nil {
			return usage(err)
		}
		p.merge("--join-url", meeting.Parameters())
	}
	var limits *commands.CallLimits
	if c.RingSeconds != 0 || c.CallSeconds != 0 {
		limits = &commands.CallLimits{RingSeconds: c.RingSeconds, CallSeconds: c.CallSeconds}
	}
	if c.CallRef == "" {
		c.CallRef = ulid.Make().String()
	}
	return s.publish(action(k), &c.commandFlags, p, limits)
}

type listCmd struct {
	commandFlags `embed:""`

	Top       int    `help:"Participants to read at most."`
	SkipToken string `help:"Where the last answer ended, its skipToken."`
}

func (c *listCmd) Run(s *session, k *kong.Context) error {
	p := newParameters()
	if c.Top != 0 {
		p.set("top", "--top", c.Top)
	}
	if c.SkipToken != "" {
		p.set("skipToken", "--skip-token", c.SkipToken)
	}
	return s.publish(action(k), &c.commandFlags, p, nil)
}

type sessionCmd struct {
	commandFlags `embed:""`

	Session string `placeholder:"ID" help:"Id of the content sharing session."`
}

func (c *sessionCmd) Run(s *session, k *kong.Context) error {
	p := newParameters()
	if c.Session != "" {
		p.set("contentSharingSessionId", "--session", c.Session)
	}
	return s.publish(action(k), &c.commandFlags, p, nil)
}

type promptCmd struct {
	commandFlags `embed:""`

	Prompt []string `sep:"none" placeholder:"URL" help:"Sound to play: WAV, mono, 16 bit, 16 kHz, where Microsoft can fetch it (repeatable)."`
}

func (c *promptCmd) Run(s *session, k *kong.Context) error {
	p := newParameters()
	if len(c.Prompt) > 0 {
		p.set("prompts", "--prompt", prompts(c.Prompt))
	}
	return s.publish(action(k), &c.commandFlags, p, nil)
}

type transferCmd struct {
	commandFlags `embed:""`

	To             string `placeholder:"KIND:ID" help:"Who gets the call: user:ID, phone:+NUMBER, app:ID or instance:ID."`
	ReplacesCallID string `name:"replaces-call-id" placeholder:"ID" help:"Graph call id of the consultation call that the transfer replaces."`
}

func (c *transferCmd) Run(s *session, k *kong.Context) error {
	p := newParameters()
	if c.To == "" && c.ReplacesCallID != "" {
		return usagef("--replaces-call-id belongs to --to: with --parameters, write replacesCallId in transferTarget")
	}
	if c.To != "" {
		p.transferTarget(c.To, c.ReplacesCallID)
	}
	return s.publish(action(k), &c.commandFlags, p, nil)
}

type redirectCmd struct {
	commandFlags `embed:""`

	To          []string `sep:"none" placeholder:"KIND:ID" help:"Who is rung instead: user:ID, phone:+NUMBER, app:ID or instance:ID (repeatable)."`
	RingTimeout int      `placeholder:"SECONDS" help:"How long they are rung."`
}

func (c *redirectCmd) Run(s *session, k *kong.Context) error {
	p := newParameters()
	if len(c.To) > 0 {
		p.parties("targets", "--to", c.To)
	}
	if c.RingTimeout != 0 {
		p.set("timeout", "--ring-timeout", c.RingTimeout)
	}
	return s.publish(action(k), &c.commandFlags, p, nil)
}

// action is the one the user called, by whichever of its names.
func action(k *kong.Context) commands.Action { return commands.Action(k.Selected().Name) }
