package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"callbus/internal/commands"
	"callbus/internal/traces"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Ack is the queue's word that a command is stored.
type Ack struct {
	Stream   string
	Sequence uint64
	// Duplicate means that the same id was published moments ago and the queue
	// kept that one; Sequence is then the earlier message's.
	Duplicate bool
}

var errNoAck = errors.New("no acknowledgement")

// Send publishes one command and blocks until it is stored, at most ten
// seconds, or ten more when nobody took it at first, as while the queue's
// leader is elected; it does not look into the body. A name that
// cannot be used is a *[commands.DecodeError]; every other error is a
// *[RefusedError] that says why nothing was stored.
func (c *Client) Send(ctx context.Context, call commands.CallKey, action commands.Action, body []byte) (Ack, error) {
	return c.sendWith(ctx, Message{Call: call, Action: action, Body: body}, nil)
}

// sendWith is Send with more headers.
func (c *Client) sendWith(ctx context.Context, m Message, header nats.Header) (Ack, error) {
	for {
		ack, err := c.sendOnce(ctx, m, header)
		if !nobodyListens(err) || c.queue.lasts(c.electionWait) {
			return ack, err
		}
		if pause(ctx, absencePause); ctx.Err() != nil {
			return ack, err // certainly not stored
		}
	}
}

// sendOnce is Send that offers the command once.
func (c *Client) sendOnce(ctx context.Context, m Message, header nats.Header) (Ack, error) {
	call, action, body := m.Call, m.Action, m.Body
	if err := checkCall(call); err != nil {
		return Ack{}, err
	}
	if !action.Known() {
		return Ack{}, &RefusedError{Why: OtherRefusal, Problem: fmt.Sprintf("action %q is unknown: want one of %s", cut(string(action), 40), words(commands.Actions))}
	}
	if len(body) > commands.MaxBody {
		return Ack{}, &RefusedError{Why: TooLarge, Problem: fmt.Sprintf("the command has %d bytes: a body may have %d", len(body), commands.MaxBody)}
	}
	msg := &nats.Msg{Subject: c.prefix.Command(call, action), Data: body, Header: nats.Header{}}
	maps.Copy(msg.Header, header)
	id := BodyID(body)
	if id != "" {
		msg.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%s.%s.%s", call.Producer, call.CallRef, id))
	}
	ctx, span := c.traces.Publish(ctx, traces.Subject{Producer: call.Producer, CallRef: call.CallRef, CommandID: id, Action: string(action)})
	if parent := span.TraceParent(""); parent != "" {
		msg.Header.Set(commands.HeaderTraceParent, parent)
	}
	ack, err := c.publish(ctx, msg)
	span.End("", err != nil)
	if !nobodyListens(err) {
		c.queue.ends()
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return Ack{}, refused
	}
	if err != nil {
		return Ack{}, c.refusal(msg.Subject, len(body), err)
	}
	return ack, nil
}

// publish watches for the server's out-of-turn refusals while it waits, so
// that a missing permission shows at once and not as a timeout.
func (c *Client) publish(ctx context.Context, msg *nats.Msg) (Ack, error) {
	if err := ctx.Err(); err != nil {
		return Ack{}, context.Cause(ctx)
	}
	future, err := c.js.PublishMsgAsync(msg)
	if err != nil {
		return Ack{}, err
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	limit := time.NewTimer(c.ackWait)
	defer limit.Stop()
	for {
		select {
		case ack := <-future.Ok():
			return Ack{Stream: ack.Stream, Sequence: ack.Sequence, Duplicate: ack.Duplicate}, nil
		case err := <-future.Err():
			return Ack{}, err
		case <-ctx.Done():
			return Ack{}, ctx.Err()
		case <-limit.C:
			return Ack{}, errNoAck
		case <-look.C:
			if err := c.violation(msg.Subject); err != nil {
				return Ack{}, err
			}
		}
	}
}

// BodyID reads the id of a command body; empty when it cannot be used, and
// results then come under [SequenceID].
func BodyID(body []byte) string {
	members, err := readObject(body)
	if err != nil {
		return ""
	}
	var id string
	if json.Unmarshal(members.get("id"), &id) != nil || !commands.ValidID(id) {
		return ""
	}
	return id
}

// SequenceID is the commandId of a command without a usable id.
func SequenceID(ack Ack) string { return fmt.Sprintf("_%d", ack.Sequence) }
