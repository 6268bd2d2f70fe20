package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/alecthomas/kong"
)

// deadCmd is all about dead letters. What is in somebody's environment chooses
// no letter, but for the producer's variable, which narrows and is said.
type deadCmd struct {
	List   deadListCmd   `cmd:"" help:"List dead letters, the oldest first."`
	Show   deadShowCmd   `cmd:"" help:"Show one dead letter: why, the command's records, and the command."`
	Replay deadReplayCmd `cmd:"" help:"Publish the commands of dead letters again, under new ids, and drop the letters."`
	Drop   deadDropCmd   `cmd:"" help:"Delete dead letters that have been dealt with."`
}

// letterFlags say which letters are meant.
type letterFlags struct {
	Cause []string `env:"-" placeholder:"CAUSE" help:"Only letters with this cause, such as unknown or phoneNotAllowed (repeatable)."`
	Since past     `env:"-" placeholder:"TIME" help:"Only letters written since: RFC 3339, or how long ago, such as 10m."`
}

func (c *letterFlags) filter(producerName string) (producer.LetterFilter, error) {
	f := producer.LetterFilter{Producer: producerName, Since: c.Since.Time}
	for _, cause := range c.Cause {
		f.Causes = append(f.Causes, commands.Cause(cause))
	}
	return f, f.Validate()
}

// causes are the words of --cause.
func causes() string {
	words := make([]string, len(commands.Causes))
	for i, cause := range commands.Causes {
		words[i] = string(cause)
	}
	return strings.Join(words, ", ")
}

const deadRights = ` An operator's tool: it needs an operator's rights in NATS (docs/operators.md).`

// causesHelp says what --cause may be.
func causesHelp() string { return "\n\nCauses: " + causes() + "." }

type deadListCmd struct {
	letterFlags `embed:""`
}

func (c *deadListCmd) Help() string {
	return `Lists the dead letters of all producers unless --producer (or its variable) names one. NUMBER is the letter's name for the other commands.` + deadRights + causesHelp()
}

func (c *deadListCmd) Run(s *session, k *kong.Context) error {
	f, err := c.filter(s.narrowTo(k, "dead letters"))
	if err != nil {
		return usage(err)
	}
	client, end, err := s.connectAs(producer.Everyone)
	if err != nil {
		return err
	}
	defer end()
	n := 0
	err = client.Letters(s.ctx, f, func(l producer.Letter) error {
		if n++; n == 1 && !s.json() {
			fmt.Fprintln(s.std.out, join(pad("NUMBER", 7), pad("TIME", len(clock)), pad("CALL", 24), pad("ACTION", 12), pad("CAUSE", 15), "ID, WHY"))
		}
		s.listLetter(l)
		return nil
	})
	if err == nil && !s.json() {
		fmt.Fprintln(s.std.out, plural(n, "dead letter"))
	}
	return err
}

type deadShowCmd struct {
	Number   uint64 `arg:"" name:"number" help:"The letter's number, as publisher dead list shows it."`
	Original bool   `env:"-" help:"Write the command and nothing else, byte for byte and unmasked: it may hold numbers and names of people."`
}

func (c *deadShowCmd) Help() string {
	return `Shows one dead letter. Numbers, names, passcodes and URLs' queries in the command and in what Graph said are masked, with -o json too; --original writes the command as it was published.` + deadRights
}

func (c *deadShowCmd) Run(s *session) error {
	client, end, err := s.connectAs(producer.Everyone)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithTimeout(s.ctx, operateWithin)
	defer cancel()
	l, err := client.Letter(ctx, c.Number)
	if err != nil {
		return letterError(err)
	}
	if !c.Original {
		s.showLetter(l)
		return nil
	}
	body, err := l.Dead.OriginalBody()
	if err != nil {
		return fmt.Errorf("dead letter %d does not hold the whole command: %w", c.Number, err)
	}
	_, err = s.std.out.Write(body)
	return err
}

type deadDropCmd struct {
	Numbers []uint64 `arg:"" name:"number" help:"The letters' numbers, as publisher dead list shows them."`
	DryRun  bool     `env:"-" help:"Show the letters, delete nothing."`
}

func (c *deadDropCmd) Help() string {
	return `Deletes dead letters for good. The records of their commands stay for as long as results are kept.` + deadRights
}

// Run drops what there is and says what there is not; a letter that is not there
// is a mistake in the number, or somebody else has dropped it.
func (c *deadDropCmd) Run(s *session) error {
	client, end, err := s.connectAs(producer.Everyone)
	if err != nil {
		return err
	}
	defer end()
	missing := 0
	for _, number := range c.Numbers {
		err := s.drop(client, number, c.DryRun)
		if errors.Is(err, producer.ErrNoLetter) {
			missing++
			fmt.Fprintf(s.std.err, "publisher: %v\n", letterError(err))
			continue
		}
		if err != nil {
			return err
		}
	}
	if missing > 0 {
		return &exitError{code: exitNotStored}
	}
	return nil
}

func (s *session) drop(client *producer.Client, number uint64, dry bool) error {
	ctx, cancel := context.WithTimeout(s.ctx, operateWithin)
	defer cancel()
	l, err := client.Letter(ctx, number)
	if err != nil {
		return err
	}
	done := "dropped"
	if dry {
		done = "would be dropped"
	} else if err := client.DropLetter(ctx, number); err != nil {
		return err
	}
	if s.json() {
		s.printJSON(map[string]any{"number": number, "dropped": !dry})
		return nil
	}
	fmt.Fprintln(s.std.out, join(fmt.Sprint(number), nameOf(l), done))
	return nil
}

// letterError says where numbers come from.
func letterError(err error) error {
	if errors.Is(err, producer.ErrNoLetter) {
		return fmt.Errorf("%w (publisher dead list shows those there are)", err)
	}
	return err
}

// nameOf is which command a letter is about.
func nameOf(l producer.Letter) string {
	if l.Unreadable != "" || l.Dead.CommandID == "" {
		return l.Dead.Subject
	}
	return join(l.Dead.Key().Call().String(), string(l.Dead.Action), l.Dead.CommandID, string(l.Dead.Cause))
}

// letterLine is what -o json says of a letter in a list.
type letterLine struct {
	Number     uint64          `json:"number"`
	Time       time.Time       `json:"time"`
	Producer   string          `json:"producer,omitempty"`
	CallRef    string          `json:"callRef,omitempty"`
	CommandID  string          `json:"commandId,omitempty"`
	Action     commands.Action `json:"action,omitempty"`
	Cause      commands.Cause  `json:"cause,omitempty"`
	ReplayOf   string          `json:"replayOf,omitempty"`
	Error      *commands.Error `json:"error,omitempty"`
	Unreadable string          `json:"unreadable,omitempty"`
}

// listLetter writes one line of a list.
func (s *session) listLetter(l producer.Letter) {
	d := l.Dead.Redacted()
	if s.json() {
		s.printJSON(letterLine{l.Number, l.Stored.UTC(), d.Producer, d.CallRef, d.CommandID, d.Action, d.Cause, commands.ReplayOf(d.Headers), d.Error, l.Unreadable})
		return
	}
	call, why := d.Key().Call().String(), d.CommandID
	switch {
	case l.Unreadable != "":
		call, why = d.Subject, l.Unreadable
	case d.Error != nil:
		why = join(why, d.Error.Message)
	}
	fmt.Fprintln(s.std.out, strings.Join([]string{pad(fmt.Sprint(l.Number), 7), l.Stored.UTC().Format(clock), pad(clean(call), 24), pad(clean(string(d.Action)), 12), pad(clean(string(d.Cause)), 15), clean(why)}, " "))
}
