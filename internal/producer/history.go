package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbus/internal/commands"
)

// Moment is one thing that happened to a call: exactly one of Command, Result,
// Event and Letter is there, or none when the message could not be read.
type Moment struct {
	// Time is the server's, when it was stored; of a command, when that was
	// published.
	Time time.Time `json:"time"`
	// Sequence is the message's place in its stream; 0 for a command that has
	// left the queue.
	Sequence uint64               `json:"sequence,omitempty"`
	Command  *Published           `json:"command,omitempty"`
	Result   *commands.Result     `json:"result,omitempty"`
	Event    *commands.Event      `json:"event,omitempty"`
	Letter   *commands.DeadLetter `json:"deadLetter,omitempty"`
	// Unreadable is the subject of a message that is not what it should be.
	Unreadable string `json:"unreadable,omitempty"`
}

// Published is a command that was published.
type Published struct {
	ID       string          `json:"id"`
	Action   commands.Action `json:"action"`
	ReplayOf string          `json:"replayOf,omitempty"`
	// Queued says that it is in the queue; false also when that could not be read.
	Queued bool `json:"queued,omitempty"`
}

// History is all that is stored of one call's name, in order of time.
type History struct {
	Moments []Moment
	// Now is what the registry says; nil: nothing, or it could not be read.
	Now *LiveCall
	// Hidden names what only an operator's rights reach: it is left out.
	Hidden []string
}

// HistoryOptions shape [Client.History].
type HistoryOptions struct {
	Since time.Time // zero: all that is kept
	// Operator reads through consumers of an operator's own, and never under the
	// producer's name.
	Operator bool
}

// ErrNoCall means that a history was asked for of no one call.
var ErrNoCall = errors.New("a history is of one call: want a producer and a callRef")

// operatorsReader is what a consumer of an operator's is called: no producer has
// such a name.
const operatorsReader = "_history"

// History reads all about one call: its commands with their records, its events,
// its dead letters, what is in the queue, and what the registry says. A
// producer's rights are enough for records and events, which are read through a
// consumer named like the producer, and through another one when that name is in
// use and rights allow it; what they do not reach is named in Hidden. It blocks
// until everything has been read.
//
// Times are those of the servers that lead the streams: in a cluster whose clocks
// differ, what came close together can be swapped between streams.
func (c *Client) History(ctx context.Context, call commands.CallKey, o HistoryOptions) (History, error) {
	f := Filter{Producer: call.Producer, CallRef: call.CallRef, Results: true, Events: true}
	if err := f.Validate(); err != nil {
		return History{}, err
	}
	if call.CallRef == "" || call.Producer == Everyone {
		return History{}, ErrNoCall
	}
	h := &gathering{client: c, call: call, options: o, published: map[string]*Published{}}
	for _, s := range f.sources(c.prefix) {
		if err := h.read(ctx, s); err != nil {
			return History{}, err
		}
	}
	for _, part := range []struct {
		name string
		read func(context.Context) error
	}{{"dead letters", h.letters}, {"the queue", h.queue}, {"the registry", h.registry}} {
		err := c.permitted(ctx, "read "+part.name, part.read)
		if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Why == NotPermitted {
			h.history.Hidden = append(h.history.Hidden, part.name)
		} else if err != nil {
			return History{}, err
		}
	}
	return h.finish(), nil
}

// MayHear tells whether answers can reach this connection: whether the server
// lets it subscribe to its own inbox. It blocks for one round trip.
func (c *Client) MayHear() (bool, error) {
	inbox := c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return false, fmt.Errorf("subscribe %s: %w", inbox, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.FlushTimeout(c.ackWait); err != nil {
		return false, fmt.Errorf("subscribe %s: %w", inbox, err)
	}
	return c.violation(inbox) == nil, nil
}
