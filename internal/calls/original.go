package calls

import (
	"context"
	"encoding/json"

	"callbus/internal/commands"
)

// Original is the message that a command came in. An accepted command has left
// the queue; should it end unknown after all, its dead letter needs it. Until
// then it travels with the timer that looks after the command.
type Original struct {
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Headers  map[string][]string `json:"headers,omitempty"`
	Body     []byte              `json:"body"`
}

// attach is nil for no original.
func (o Original) attach() json.RawMessage {
	if o.Subject == "" {
		return nil
	}
	data, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings, bytes and a number always marshal
	}
	return data
}

// buryUnknown stores the dead letter of a command that ended unknown after it
// was accepted.
func (c *Calls) buryUnknown(ctx context.Context, key commands.Key, a commands.Action, problem *commands.Error) error {
	letter := commands.DeadLetter{
		Producer: key.Producer, CallRef: key.CallRef, CommandID: key.ID, Action: a, Cause: commands.CauseUnknown, Error: problem,
	}
	t, ok, err := c.timers.Find(ctx, key, timerLook)
	if err != nil {
		return err
	}
	var from Original
	if ok && len(t.Attached) > 0 && json.Unmarshal(t.Attached, &from) == nil {
		letter.Subject, letter.Sequence, letter.Headers = from.Subject, from.Sequence, from.Headers
		letter.SetOriginal(from.Body)
	}
	return c.journal.Bury(ctx, letter)
}
