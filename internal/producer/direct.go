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

var errNoDirectGet = errors.New("no direct get")

// hopeless tells whether there is no use in looking again. That nobody answers
// never counts here: it may be an election, a server that starts or a replica
// that takes over.
func hopeless(err error) bool {
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Why == NotPermitted {
		return true
	}
	return errors.Is(err, nats.ErrConnectionClosed)
}

// lookWait is how long one small question waits for its answer before it is
// asked again.
func (c *Client) lookWait() time.Duration { return min(c.ackWait, 5*time.Second) }

// lastRecord reads the last message on a literal subject; nil when there is
// none. It asks in the subject form of direct get, the only form in which a
// producer's permissions can be kept to its own subjects.
func (c *Client) lastRecord(ctx context.Context, stream, subject string) (*nats.Msg, error) {
	stream = c.prefix.Stream(stream)
	request := fmt.Sprintf("$JS.API.DIRECT.GET.%s.%s", stream, subject)
	ctx, cancel := context.WithTimeout(ctx, c.lookWait())
	defer cancel()
	msg, err := c.nc.RequestMsgWithContext(ctx, nats.NewMsg(request))
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("%w: no stream %s answers: is it there (worker provision), or has it no leader just now?", errNoDirectGet, stream)
	case err != nil:
		if refused := c.violation(request); refused != nil {
			return nil, refused
		}
		return nil, fmt.Errorf("read the last record on %s: %w", subject, err)
	}
	if status := msg.Header.Get("Status"); status != "" && len(msg.Data) == 0 {
		if status == "404" {
			return nil, nil
		}
		return nil, fmt.Errorf("read the last record on %s: server says %s %s", subject, status, msg.Header.Get("Description"))
	}
	msg.Subject = subject
	return msg, nil
}

// confirmFor bounds how long a record that was heard may take to be stored.
const confirmFor = time.Second

// confirm tells whether a record that was heard on its subject is in the
// stream, and returns what is: a subscription also hears records that lost
// against another writer's and were never stored. nil means that this is one, or
// that nobody could be asked; what is stored is then found by looking later.
func (c *Client) confirm(ctx context.Context, heard *nats.Msg) *nats.Msg {
	ctx, cancel := context.WithTimeout(ctx, confirmFor)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait *= 2 {
		stored, err := c.lastRecord(ctx, "RESULTS", heard.Subject)
		if err == nil && stored != nil && (bytes.Equal(stored.Data, heard.Data) || final(stored)) {
			return stored
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return nil
		}
	}
}

// final tells whether a message is a final record.
func final(msg *nats.Msg) bool {
	var r commands.Result
	return json.Unmarshal(msg.Data, &r) == nil && r.Final
}
