package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// Events is the stream of what Graph told us, or we found out.
type Events struct {
	js      jetstream.JetStream
	prefix  commands.Prefix
	maxSize int
}

// NewEvents needs the events stream to exist.
func NewEvents(js jetstream.JetStream, prefix commands.Prefix) *Events {
	return &Events{js: js, prefix: prefix, maxSize: int(js.Conn().MaxPayload() / 4 * 3)}
}

// Append stores an event. A messageID seen within the stream's window is
// stored once; an empty one is no protection. It blocks until the event is
// stored.
func (s *Events) Append(ctx context.Context, ev commands.Event, messageID string) error {
	msg, err := s.message(ev)
	if err != nil {
		return err
	}
	var opts []jetstream.PublishOpt
	if messageID != "" {
		opts = append(opts, jetstream.WithMsgID(messageID))
	}
	if _, err := s.js.PublishMsg(ctx, msg, opts...); err != nil {
		return fmt.Errorf("store %s event of %s: %w", ev.Kind, ev.Call(), err)
	}
	return nil
}

// AppendEnd stores the end of a call, exactly once for each Graph call id,
// whoever finds it out. It reports whether this was the one.
func (s *Events) AppendEnd(ctx context.Context, ev commands.Event) (bool, error) {
	ev.Kind = commands.KindEnded
	msg, err := s.message(ev)
	if err != nil {
		return false, err
	}
	for {
		last, err := streams.LeaderGet(ctx, s.js, s.prefix.Stream(streams.Events), msg.Subject)
		var seq uint64
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return false, fmt.Errorf("read the call's last end: %w", err)
		default:
			seq = last.Sequence
			var before commands.Event
			if json.Unmarshal(last.Data, &before) == nil && commands.NormalCallID(before.CallID) == commands.NormalCallID(ev.CallID) {
				return false, nil
			}
		}
		_, err = s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(seq))
		if streams.Moved(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("store end of %s: %w", ev.Call(), err)
		}
		return true, nil
	}
}

// EndTold tells whether the end of the call with the id is stored as the last
// one of the call's name.
func (s *Events) EndTold(ctx context.Context, call commands.CallKey, callID string) (bool, error) {
	last, err := streams.LeaderGet(ctx, s.js, s.prefix.Stream(streams.Events), s.prefix.Event(call, commands.KindEnded))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the call's last end: %w", err)
	}
	var ev commands.Event
	err = json.Unmarshal(last.Data, &ev)
	return err == nil && commands.NormalCallID(ev.CallID) == commands.NormalCallID(callID), nil
}

// Stored returns the call's stored events of one kind that are about callID, the
// oldest first. Any replica may answer: the very latest can be missing.
func (s *Events) Stored(ctx context.Context, call commands.CallKey, kind commands.Kind, callID string) ([]commands.Event, error) {
	stream, err := s.js.Stream(ctx, s.prefix.Stream(streams.Events))
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", call, err)
	}
	var all []commands.Event
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(s.prefix.Event(call, kind)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read events of %s: %w", call, err)
		}
		var ev commands.Event
		if err := json.Unmarshal(msg.Data, &ev); err == nil && commands.NormalCallID(ev.CallID) == commands.NormalCallID(callID) {
			all = append(all, ev)
		}
		seq = msg.Sequence + 1
	}
}

func (s *Events) message(ev commands.Event) (*nats.Msg, error) {
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	ev.Time = ev.Time.UTC()
	ev = ev.Fit(s.maxSize)
	body, err := json.Marshal(ev)
	if err != nil {
		return nil, fmt.Errorf("encode %s event of %s: %w", ev.Kind, ev.Call(), err)
	}
	msg := nats.NewMsg(s.prefix.Event(ev.Call(), ev.Kind))
	msg.Data = body
	for name, value := range ev.CloudEvent(s.prefix) {
		msg.Header.Set(name, value)
	}
	return msg, nil
}
