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

// replayWithin bounds the replay of one letter.
const replayWithin = 30 * time.Second

type deadReplayCmd struct {
	Numbers []uint64 `arg:"" optional:"" name:"number" help:"The letters' numbers, as publisher dead list shows them; or choose letters with --cause, --producer and --since."`

	letterFlags  `embed:""`
	MayDialTwice bool `env:"-" help:"Also repeat what makes a telephone ring and may have been done before: ask the people concerned first."`
	DryRun       bool `env:"-" help:"Show what would be published, publish and drop nothing."`
}

func (c *deadReplayCmd) Help() string {
	return `Publishes the command of each letter again, as it was but for its id, which is "<id>-r1", or the next number that is free; its results say replayOf. When the queue has acknowledged it the letter is dropped. Workers treat it like any other command: what is wrong with it still makes a new letter. Nothing is asked: --dry-run shows what would be done.

A letter is refused, and stays, when its command may have made a telephone ring already (cause unknown: --may-dial-twice), when its outcome has become known or it is still under way, when it would be rejected again or its expiresAt has passed, and when the letter does not hold the whole command. A letter that was replayed before by a run that was cut short is not replayed again, but dropped: run it again after an interruption.` + deadRights + `

Exit codes: 0 every letter was replayed, or it was a dry run; 1 one was refused, not published, not dropped or not there; 2 usage.` + causesHelp()
}

func (c *deadReplayCmd) Run(s *session, k *kong.Context) error {
	chosen := len(c.Cause) > 0 || !c.Since.IsZero() || givenBy(k, "producer") == "--producer"
	switch {
	case len(c.Numbers) == 0 && !chosen:
		return usagef("dead replay: which letters? Want their numbers, or one of --cause, --producer and --since ('--producer *': all)")
	case len(c.Numbers) > 0 && chosen:
		return usagef("dead replay: numbers and --cause, --producer, --since exclude each other")
	}
	numbers := c.Numbers
	narrow := producer.Everyone
	if len(numbers) == 0 {
		narrow = s.narrowTo(k, "dead letters")
	}
	f, err := c.filter(narrow)
	if err != nil {
		return usage(err)
	}
	client, end, err := s.connectAs(producer.Everyone)
	if err != nil {
		return err
	}
	defer end()
	if len(numbers) == 0 {
		err := client.Letters(s.ctx, f, func(l producer.Letter) error {
			numbers = append(numbers, l.Number)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.replay(client, numbers, len(c.Numbers) > 0, producer.ReplayOptions{MayDialTwice: c.MayDialTwice, DryRun: c.DryRun})
}

// replay replays letters one after the other, the oldest first as they were
// chosen: so the commands of one call keep their order.
func (s *session) replay(client *producer.Client, numbers []uint64, named bool, o producer.ReplayOptions) error {
	counts := map[producer.ReplayEnding]int{}
	var broken error
	for _, number := range numbers {
		ctx, cancel := context.WithTimeout(s.ctx, replayWithin)
		r, err := client.Replay(ctx, number, o)
		cancel()
		if err == nil {
			counts[r.Ending]++
			s.showReplay(r)
		}
		if s.ctx.Err() != nil {
			broken = errors.New("interrupted: run it again to go on")
			break
		}
		if err != nil {
			broken = fmt.Errorf("dead letter %d: %w", number, err)
			break
		}
	}
	s.summarizeReplays(len(numbers), counts)
	bad := counts[producer.ReplayRefused] + counts[producer.NotReplayed] + counts[producer.NotDropped]
	if named {
		bad += counts[producer.NoLetterLeft] // a number that is wrong; else somebody was faster
	}
	switch {
	case broken != nil:
		return broken
	case bad > 0 && !o.DryRun:
		return &exitError{code: exitNotStored}
	}
	return nil
}

// replayLine is what -o json says of a letter.
type replayLine struct {
	Number    uint64                `json:"number"`
	Producer  string                `json:"producer,omitempty"`
	CallRef   string                `json:"callRef,omitempty"`
	CommandID string                `json:"commandId,omitempty"`
	Action    commands.Action       `json:"action,omitempty"`
	Cause     commands.Cause        `json:"cause,omitempty"`
	Ending    producer.ReplayEnding `json:"ending"`
	ID        string                `json:"id,omitempty"`
	Sequence  uint64                `json:"sequence,omitempty"`
	Error     string                `json:"error,omitempty"`
}

// replayWordsOf is how the table names the endings.
var replayWordsOf = map[producer.ReplayEnding]string{
	producer.Replayed: "replayed as", producer.ReplayedBefore: "was replayed before, as", producer.WouldReplay: "would be replayed as",
	producer.ReplayRefused: "refused:", producer.NotReplayed: "not published:", producer.NoLetterLeft: "not there",
	producer.NotDropped: "replayed, but not dropped, as",
}

func (s *session) showReplay(r producer.Replay) {
	d := r.Letter.Dead
	id := r.ID
	if r.Ending == producer.ReplayRefused || r.Ending == producer.NotReplayed {
		id = "" // nothing has it
	}
	if s.json() {
		line := replayLine{r.Letter.Number, d.Producer, d.CallRef, d.CommandID, d.Action, d.Cause, r.Ending, id, r.Ack.Sequence, ""}
		if r.Err != nil {
			line.Error = r.Err.Error()
		}
		s.printJSON(line)
		return
	}
	why := ""
	if r.Err != nil && r.Ending != producer.NoLetterLeft {
		why = r.Err.Error()
	}
	if r.Ending == producer.NotDropped {
		why = join(why+":", fmt.Sprintf("publisher dead drop %d", r.Letter.Number))
	}
	fmt.Fprintln(s.std.out, join(fmt.Sprint(r.Letter.Number), nameOf(r.Letter), "→", replayWordsOf[r.Ending], id, why))
}

func (s *session) summarizeReplays(letters int, counts map[producer.ReplayEnding]int) {
	if s.json() {
		all := map[producer.ReplayEnding]int{}
		for _, e := range producer.ReplayEndings {
			all[e] = counts[e]
		}
		s.printJSON(map[string]any{"summary": map[string]any{"letters": letters, "endings": all}})
		return
	}
	if letters == 0 {
		fmt.Fprintln(s.std.out, "no dead letters found")
		return
	}
	if letters == 1 {
		return // its line says everything
	}
	var parts []string
	for _, e := range producer.ReplayEndings {
		if n := counts[e]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, shortOf[e]))
		}
	}
	fmt.Fprintln(s.std.out, join(plural(letters, "dead letter")+":", strings.Join(parts, ", ")))
}

// shortOf is how the summary names the endings.
var shortOf = map[producer.ReplayEnding]string{
	producer.Replayed: "replayed", producer.ReplayedBefore: "replayed before", producer.WouldReplay: "would be replayed",
	producer.ReplayRefused: "refused", producer.NotReplayed: "not published", producer.NoLetterLeft: "not there", producer.NotDropped: "not dropped",
}
