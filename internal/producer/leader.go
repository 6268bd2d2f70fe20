package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stored is a message as it lies in a stream.
type stored struct {
	subject  string
	sequence uint64
	time     time.Time // the server's, when it was stored
	header   nats.Header
	data     []byte
}

// lastBy and nextBy ask a leader for the last message on a subject, which may
// be a filter, or for the first one at or behind a sequence.
func lastBy(subject string) map[string]any { return map[string]any{"last_by_subj": subject} }

func nextBy(subject string, seq uint64) map[string]any {
	return map[string]any{"seq": seq, "next_by_subj": subject}
}

func at(seq uint64) map[string]any { return map[string]any{"seq": seq} }

// leaderGet reads one message from the stream's leader, for a replica that is
// behind would not know a new one; nil when there is none. It needs an
// operator's rights.
func (c *Client) leaderGet(ctx context.Context, stream string, question map[string]any) (*stored, error) {
	var got struct {
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Time    time.Time `json:"time"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
		} `json:"message"`
	}
	err := c.api(ctx, "STREAM.MSG.GET."+stream, question, &got)
	switch {
	case isCode(err, jetstream.JSErrCodeMessageNotFound):
		return nil, nil
	case isCode(err, jetstream.JSErrCodeStreamNotFound):
		return nil, fmt.Errorf("there is no stream %s: %w", stream, errNotThere)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", stream, err)
	case got.Message == nil:
		return nil, fmt.Errorf("read %s: the answer has no message", stream)
	}
	m := &stored{subject: got.Message.Subject, sequence: got.Message.Seq, time: got.Message.Time, data: append([]byte{}, got.Message.Data...)}
	if len(got.Message.Header) > 0 {
		if m.header, err = nats.DecodeHeadersMsg(got.Message.Header); err != nil {
			return nil, fmt.Errorf("read %s: headers of message %d: %w", stream, m.sequence, err)
		}
	}
	return m, nil
}

// leaderDelete deletes one message and has its bytes overwritten; false when it
// is not there. It needs an operator's rights, those of leaderGet too.
func (c *Client) leaderDelete(ctx context.Context, stream string, seq uint64) (bool, error) {
	var got struct{}
	err := c.api(ctx, "STREAM.MSG.DELETE."+stream, at(seq), &got)
	if err == nil {
		return true, nil
	}
	// Servers have several words for a message that is not there.
	left, lookErr := c.leaderGet(ctx, stream, at(seq))
	switch {
	case lookErr == nil && left == nil:
		return false, nil
	case errors.Is(lookErr, errNotThere):
		return false, lookErr
	}
	return false, fmt.Errorf("delete message %d of %s: %w", seq, stream, err)
}

// api asks JetStream one question.
func (c *Client) api(ctx context.Context, method string, question, answer any) error {
	request, err := json.Marshal(question)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.lookWait())
	defer cancel()
	msg, err := c.nc.RequestWithContext(ctx, "$JS.API."+method, request)
	if err != nil {
		return err
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &failed); err != nil {
		return err
	}
	if failed.Error != nil {
		return failed.Error
	}
	return json.Unmarshal(msg.Data, answer)
}

func isCode(err error, code jetstream.ErrorCode) bool {
	apiErr, ok := errors.AsType[*jetstream.APIError](err)
	return ok && apiErr.ErrorCode == code
}
