package producer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go"
)

// Until says which record ends a wait.
type Until string

// UntilAccepted ends with the first record that says Graph took the command,
// or with a final one; UntilFinal only with a final one.
const (
	UntilAccepted Until = "accepted"
	UntilFinal    Until = "final"
)

// Reached tells whether a record ends the wait.
func (u Until) Reached(r commands.Result) bool {
	return r.Final || (u == UntilAccepted && r.Status == commands.Accepted)
}

// ErrNoOutcome means that the wait ended before the command did.
var ErrNoOutcome = errors.New("no outcome in time")

// ErrIDConflict means that the id belongs to another command of the call:
// this one will not be executed and is a dead letter.
var ErrIDConflict = errors.New("the id was used before for another command of this call: use a new id")

// Message is one command on its way: what [Client.Send] takes.
type Message struct {
	Call   commands.CallKey
	Action commands.Action
	Body   []byte
}

// SendAndWait publishes a command and follows it. It listens before it sends,
// so no record is missed, and looks into the stream for those that were there
// before. sent is called once it is stored, onResult for each record; both may
// be nil. The error is [Client.Send]'s, or wraps [ErrNoOutcome] when ctx ended
// first, or [ErrIDConflict].
func (c *Client) SendAndWait(ctx context.Context, m Message, until Until, sent func(commands.Key, Ack), onResult func(commands.Result)) (commands.Result, error) {
	if err := checkCall(m.Call); err != nil {
		return commands.Result{}, err
	}
	// The whole call, for without a usable id the subject is only known later.
	records, stop, err := c.listen(c.prefix.Results(m.Call))
	if err != nil {
		return commands.Result{}, err
	}
	defer stop()
	ack, err := c.Send(ctx, m.Call, m.Action, m.Body)
	if err != nil {
		return commands.Result{}, err
	}
	key := commands.Key{Producer: m.Call.Producer, CallRef: m.Call.CallRef, ID: BodyID(m.Body)}
	if key.ID == "" {
		key.ID = SequenceID(ack)
	}
	if sent != nil {
		sent(key, ack)
	}
	f := follower{client: c, key: key, until: until, onResult: onResult, identity: commands.BodyHash(m.Action, m.Body)}
	return f.follow(ctx, records)
}

// Wait follows a command that was published before, by anyone who may. It
// blocks until the record that until names, or ctx ends ([ErrNoOutcome]).
func (c *Client) Wait(ctx context.Context, key commands.Key, until Until, onResult func(commands.Result)) (commands.Result, error) {
	if err := checkCall(key.Call()); err != nil {
		return commands.Result{}, err
	}
	records, stop, err := c.listen(c.prefix.Result(key))
	if err != nil {
		return commands.Result{}, err
	}
	defer stop()
	f := follower{client: c, key: key, until: until, onResult: onResult}
	return f.follow(ctx, records)
}

// listen subscribes and returns when the server knows of it.
func (c *Client) listen(subject string) (<-chan *nats.Msg, func(), error) {
	// More than a call has records in a burst; what does not fit is found by
	// looking into the stream.
	records := make(chan *nats.Msg, 256)
	sub, err := c.nc.ChanSubscribe(subject, records)
	if err != nil {
		return nil, nil, fmt.Errorf("subscribe %s: %w", subject, err)
	}
	if err := c.nc.FlushTimeout(c.ackWait); err != nil {
		_ = sub.Unsubscribe()
		return nil, nil, fmt.Errorf("subscribe %s: %w", subject, err)
	}
	return records, func() { _ = sub.Unsubscribe() }, nil
}

// follower shows each record of one command once, whichever way it came.
type follower struct {
	client   *Client
	key      commands.Key
	until    Until
	identity string // the command's body hash; empty: any
	onResult func(commands.Result)

	last commands.Result
	seen [][]byte
}

func (f *follower) follow(ctx context.Context, records <-chan *nats.Msg) (commands.Result, error) {
	look := time.NewTimer(0) // at once: the command may have been done before
	defer look.Stop()
	answered := false
	for {
		select {
		case <-ctx.Done():
			return f.last, f.noOutcome()
		case msg := <-records:
			if done, err := f.hear(ctx, msg); done || err != nil {
				return f.last, err
			}
		case <-look.C:
			msg, err := f.client.lastRecord(ctx, "RESULTS", f.client.prefix.Result(f.key))
			again := f.client.poll
			switch {
			case ctx.Err() != nil: // which ends the next round
			case hopeless(err):
				return f.last, err
			case !errors.Is(err, errNoDirectGet):
				answered = true
				f.client.records.ends()
			case f.client.records.lasts(f.client.electionWait) && !answered:
				return f.last, err
			default:
				again = min(again, absencePause)
			}
			look.Reset(again)
			// What came meanwhile is older than what was read.
			for len(records) > 0 {
				if done, err := f.hear(ctx, <-records); done || err != nil {
					return f.last, err
				}
			}
			if msg == nil {
				continue
			}
			if done, err := f.take(msg); done || err != nil {
				return f.last, err
			}
		}
	}
}

// hear takes a record from the subscription. A final one is looked up first:
// only what is stored counts. An accepted one may have lost against another
// writer's, but then that one says the same.
func (f *follower) hear(ctx context.Context, msg *nats.Msg) (bool, error) {
	if msg.Subject == f.client.prefix.Result(f.key) && final(msg) {
		if msg = f.client.confirm(ctx, msg); msg == nil {
			return false, nil
		}
	}
	return f.take(msg)
}

// take tells whether the record ends the wait.
func (f *follower) take(msg *nats.Msg) (bool, error) {
	if msg.Subject != f.client.prefix.Result(f.key) {
		return false, nil // another command's of the same call
	}
	for _, body := range f.seen {
		if bytes.Equal(body, msg.Data) {
			return false, nil
		}
	}
	if theirs := msg.Header.Get(commands.HeaderBody); f.identity != "" && theirs != "" && theirs != f.identity {
		return true, fmt.Errorf("%w (id %s)", ErrIDConflict, f.key.ID)
	}
	var r commands.Result
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		return false, fmt.Errorf("a record on %s is not a result: %w", msg.Subject, err)
	}
	f.seen = append(f.seen, msg.Data)
	f.last = r
	if f.onResult != nil {
		f.onResult(r)
	}
	return f.until.Reached(r), nil
}

func (f *follower) noOutcome() error {
	if f.last.Status == "" {
		return fmt.Errorf("%w: no record of %s yet", ErrNoOutcome, f.key.ID)
	}
	if f.last.Reason != "" {
		return fmt.Errorf("%w: the last record says %s, %s", ErrNoOutcome, f.last.Status, f.last.Reason)
	}
	return fmt.Errorf("%w: the last record says %s", ErrNoOutcome, f.last.Status)
}
