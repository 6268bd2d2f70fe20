package producer

import (
	"encoding/json"
	"fmt"
	"time"

	"callbus/internal/commands"
)

// Line is one NDJSON line of "publisher send" and "worker demo": a command
// body plus callRef and action, and what is to be done and seen besides.
type Line struct {
	Number   int    // where it stands, from 1
	Producer string // empty: the sender's own
	CallRef  string
	Action   commands.Action
	// ID is the body's id; empty when it has none or one that cannot be used.
	ID string
	// Expect is how the command is to end; nil: succeeded.
	Expect *Expect
	// Delay is waited before the line is sent, after the line before it.
	Delay time.Duration
	// Incoming makes the simulator ring in first (demo only), an object; the
	// line's callId is then set to that call with [Line.WithCallID].
	Incoming json.RawMessage

	body object
}

// Key names the line's command; producer is used where the line names none.
func (l Line) Key(producer string) commands.Key {
	if l.Producer != "" {
		producer = l.Producer
	}
	return commands.Key{Producer: producer, CallRef: l.CallRef, ID: l.ID}
}

// Body is the command body: the line without the members that are not the
// command's, the others in the order and spelling they were written in.
func (l Line) Body() []byte { return l.body.bytes() }

// HasID tells whether the line says an id, be it usable or not.
func (l Line) HasID() bool { return l.body.has("id") }

// WithID gives the line another id.
func (l Line) WithID(id string) Line {
	l.body = l.body.set("id", quoted(id))
	l.ID = id
	return l
}

// WithCallID binds the line's callRef to a call that was not placed here.
func (l Line) WithCallID(callID string) Line {
	l.body = l.body.set("callId", quoted(callID))
	return l
}

// Check reads the command as the worker will and says what is wrong with it.
// Placeholders and the callId of an incoming call, which are not known yet,
// are taken for right.
func (l Line) Check(producer string, opts commands.DecodeOptions) error {
	const someCall = "00000000-0000-0000-0000-000000000000"
	if l.Incoming != nil && !l.body.has("callId") {
		l = l.WithCallID(someCall)
	}
	l, err := l.Resolve(func(Placeholder) (string, error) { return someCall, nil })
	if err != nil {
		return err
	}
	if _, err := commands.Decode(l.Key(producer).Call(), l.Action, l.Body(), opts); err != nil {
		return fmt.Errorf("line %d: %w", l.Number, err)
	}
	return nil
}

// LineError is one line that cannot be used.
type LineError struct {
	Line    int
	Member  string // empty: the line as a whole
	Problem string
	Allowed string // empty: the problem says it
}

func (e *LineError) Error() string {
	text := fmt.Sprintf("line %d: ", e.Line)
	if e.Member != "" {
		text += e.Member + ": "
	}
	text += e.Problem
	if e.Allowed != "" {
		text += ": want " + e.Allowed
	}
	return text
}

func quoted(s string) json.RawMessage {
	text, _ := json.Marshal(s) // a string always can be
	return text
}
