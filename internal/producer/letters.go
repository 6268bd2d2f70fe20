package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"callbus/internal/commands"
)

// Letter is a dead letter as it is stored.
type Letter struct {
	// Number is its place in the stream of dead letters, by which it is named.
	Number uint64
	Stored time.Time // server time
	Dead   commands.DeadLetter
	// Unreadable says why the message is no dead letter; Dead is then empty but
	// for the names in the subject.
	Unreadable string
}

// ErrNoLetter means that no dead letter has the number.
var ErrNoLetter = errors.New("there is no such dead letter")

// LetterFilter says which dead letters are meant. The zero value means all.
type LetterFilter struct {
	Producer string // empty or [Everyone]: of all producers
	Causes   []commands.Cause
	Since    time.Time // when the letter was stored
}

// Validate says what of the filter cannot be.
func (f LetterFilter) Validate() error {
	if f.Producer != "" && f.Producer != Everyone {
		if err := commands.CheckProducer(f.Producer); err != nil {
			return err
		}
	}
	for _, cause := range f.Causes {
		if !slices.Contains(commands.Causes, cause) {
			return fmt.Errorf("cause %q is unknown: want %s", cut(string(cause), 40), words(commands.Causes))
		}
	}
	return nil
}

// lettersReader is what the consumer of dead letters is called.
const lettersReader = "_letters"

// Letters hands over the dead letters that the filter is about, the oldest
// first. It needs an operator's rights, and blocks until take has had the last
// one.
func (c *Client) Letters(ctx context.Context, f LetterFilter, take func(Letter) error) error {
	if err := f.Validate(); err != nil {
		return err
	}
	producer := f.Producer
	if producer == "" {
		producer = Everyone
	}
	r := reading{
		stream: c.prefix.Stream("DEAD"), filter: c.prefix.Dead(commands.Key{Producer: producer, CallRef: "*", ID: "*"}),
		since: f.Since, names: []string{lettersReader},
	}
	return c.readAll(ctx, r, func(msg stored) error {
		letter := readLetter(msg)
		if len(f.Causes) > 0 && !slices.Contains(f.Causes, letter.Dead.Cause) {
			return nil
		}
		return take(letter)
	})
}

// Letter reads one dead letter; [ErrNoLetter] when there is none of that number.
// It needs an operator's rights.
func (c *Client) Letter(ctx context.Context, number uint64) (Letter, error) {
	var msg *stored
	err := c.permitted(ctx, "read dead letters", func(ctx context.Context) (err error) {
		msg, err = c.leaderGet(ctx, c.prefix.Stream("DEAD"), at(number))
		return err
	})
	if err != nil {
		return Letter{}, err
	}
	if msg == nil {
		return Letter{}, fmt.Errorf("%w: %d", ErrNoLetter, number)
	}
	return readLetter(*msg), nil
}

// DropLetter deletes one dead letter; [ErrNoLetter] when there is none of that
// number. It needs an operator's rights.
func (c *Client) DropLetter(ctx context.Context, number uint64) error {
	dropped := false
	err := c.permitted(ctx, "delete dead letters", func(ctx context.Context) (err error) {
		dropped, err = c.leaderDelete(ctx, c.prefix.Stream("DEAD"), number)
		return err
	})
	if err == nil && !dropped {
		return fmt.Errorf("%w: %d", ErrNoLetter, number)
	}
	return err
}

// readLetter reads what is stored. What stands in the body must be about the
// command that the subject names: a replay goes by it.
func readLetter(msg stored) Letter {
	l := Letter{Number: msg.sequence, Stored: msg.time}
	if err := json.Unmarshal(msg.data, &l.Dead); err != nil {
		l.Dead, l.Unreadable = commands.DeadLetter{Subject: msg.subject}, "it is not JSON of a dead letter"
		return l
	}
	if l.Dead.Producer == "" || l.Dead.CallRef == "" || l.Dead.CommandID == "" {
		l.Unreadable = "it names no command"
	}
	return l
}
