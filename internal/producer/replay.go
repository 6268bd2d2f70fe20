package producer

import (
	"context"
	"errors"
	"fmt"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go"
)

// ReplayOptions shape [Client.Replay].
type ReplayOptions struct {
	// MayDialTwice repeats what makes somebody's telephone ring also when it may
	// have been done before.
	MayDialTwice bool
	DryRun       bool // look at everything, publish and delete nothing
}

// ReplayEnding is what became of one letter.
type ReplayEnding string

// The closed set of endings.
const (
	Replayed       ReplayEnding = "replayed"       // published and dropped
	ReplayedBefore ReplayEnding = "replayedBefore" // it had been published before; dropped
	WouldReplay    ReplayEnding = "wouldReplay"    // a dry run
	ReplayRefused  ReplayEnding = "refused"        // it must not be repeated, or would be in vain; the letter stays
	NoLetterLeft   ReplayEnding = "gone"           // somebody else has dropped the letter
	NotReplayed    ReplayEnding = "notStored"      // publishing failed; the letter stays
	NotDropped     ReplayEnding = "notDropped"     // published, but the letter could not be deleted
)

// ReplayEndings lists them all, the good ones first.
var ReplayEndings = []ReplayEnding{Replayed, ReplayedBefore, WouldReplay, NoLetterLeft, ReplayRefused, NotReplayed, NotDropped}

// Replay is what became of one letter.
type Replay struct {
	Letter Letter
	Ending ReplayEnding
	ID     string // of the new command, where there is one
	Ack    Ack    // of Replayed
	Err    error  // why, of the endings that are no good ones
}

// replayTries bounds how often an id that was taken meanwhile is given up.
const replayTries = 5

// Replay publishes the command of a dead letter again, under the first of the
// ids "<id>-r1", "<id>-r2", … that no other command has, with a header that makes
// its results say replayOf "<id>"; of a replay that is a dead letter itself that is
// the id of the first command. Then it deletes the letter once the queue has
// acknowledged it. A letter whose command has been published so before, by a
// replay that was cut short, is only deleted: run again it goes on where it
// stopped.
//
// It needs an operator's rights and blocks until all that is done. The error
// says that something could not be read; what became of the letter is in the
// Replay.
func (c *Client) Replay(ctx context.Context, number uint64, o ReplayOptions) (Replay, error) {
	letter, err := c.Letter(ctx, number)
	out := Replay{Letter: letter}
	if errors.Is(err, ErrNoLetter) {
		out.Letter.Number = number
		out.Ending, out.Err = NoLetterLeft, err
		return out, nil
	}
	if err != nil {
		return out, err
	}
	plan, err := c.allowedReplay(ctx, letter, o)
	out.ID = plan.id
	switch {
	case isNotRepeatable(err):
		out.Ending, out.Err = ReplayRefused, err
		return out, nil
	case err != nil:
		return out, err
	case plan.before:
		out.Ending = ReplayedBefore
	case o.DryRun:
		out.Ending = WouldReplay
	default:
		out.Ending = Replayed
		if out.Ack, err = c.publishReplay(ctx, letter, &plan, o); err != nil {
			out.Ending, out.Err = NotReplayed, err
			return out, nil
		}
		out.ID = plan.id
	}
	if o.DryRun {
		return out, nil
	}
	// From here on the letter has to go, whoever interrupts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.ackWait)
	defer cancel()
	if err := c.DropLetter(ctx, number); err != nil && !errors.Is(err, ErrNoLetter) {
		out.Ending, out.Err = NotDropped, err
	}
	return out, nil
}

func (c *Client) allowedReplay(ctx context.Context, l Letter, o ReplayOptions) (plan replayPlan, err error) {
	err = c.permitted(ctx, "read the queue and the results", func(ctx context.Context) (err error) {
		plan, err = c.planReplay(ctx, l, o)
		return err
	})
	return plan, err
}

// publishReplay publishes what was planned. It goes on with the trace of the
// original unless this program makes one of its own. When the queue says that it
// had the id before, somebody else has taken it meanwhile, for the same letter or
// for another one: then it is planned anew.
func (c *Client) publishReplay(ctx context.Context, l Letter, plan *replayPlan, o ReplayOptions) (Ack, error) {
	header := nats.Header{commands.HeaderReplayOf: {plan.of}}
	if parent := nats.Header(l.Dead.Headers).Get(commands.HeaderTraceParent); parent != "" {
		header.Set(commands.HeaderTraceParent, parent)
	}
	for try := 0; ; try++ {
		ack, err := c.sendWith(ctx, Message{Call: l.Dead.Key().Call(), Action: l.Dead.Action, Body: plan.body}, header)
		if err != nil || !ack.Duplicate {
			return ack, err
		}
		if *plan, err = c.allowedReplay(ctx, l, o); err != nil || plan.before {
			return ack, err
		}
		if try == replayTries {
			return ack, fmt.Errorf("the ids of its replays are being taken by somebody else: try again")
		}
	}
}
