package check

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
)

// Collect reads everything that a run left behind but Commands, Incidents and
// Settings, which only the run knows. simURL is the simulated Graph's base without
// a path, such as "http://127.0.0.1:8080". It blocks until all is read; what is
// stored after it has begun may be missing. The calls come without their requests,
// which are in Requests.
func Collect(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, simURL string) (History, error) {
	var h History
	for _, read := range []func() error{
		func() error { return h.readRecords(ctx, js, prefix) },
		func() error { return h.readEvents(ctx, js, prefix) },
		func() error { return h.readDead(ctx, js, prefix) },
		func() error { return h.readQueue(ctx, js, prefix) },
		func() (err error) {
			h.Calls, err = readList(ctx, simURL, "calls", func(c *graphsim.Call) { c.Requests = nil })
			return err
		},
		func() (err error) {
			h.Requests, err = readList(ctx, simURL, "requests", func(*graphsim.Request) {})
			return err
		},
	} {
		if err := read(); err != nil {
			return History{}, fmt.Errorf("collect: %w", err)
		}
	}
	return h, nil
}

func (h *History) readRecords(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix) error {
	return readStream(ctx, js, prefix.Stream(streams.Results), func(msg jetstream.Msg, m *jetstream.MsgMetadata) error {
		header := msg.Headers()
		r := Record{
			Seq: m.Sequence.Stream, Stored: m.Timestamp,
			Attempt: header.Get(commands.HeaderAttempt), Body: header.Get(commands.HeaderBody),
			ExpectedSubject: header.Get(jetstream.ExpectedLastSubjSeqSubjHeader),
		}
		if text := header.Get(jetstream.ExpectedLastSubjSeqHeader); text != "" {
			var err error
			if r.ExpectedLast, err = strconv.ParseUint(text, 10, 64); err != nil {
				return fmt.Errorf("expected sequence: %w", err)
			}
		}
		if err := json.Unmarshal(msg.Data(), &r.Result); err != nil {
			return err
		}
		h.Records = append(h.Records, r)
		return nil
	})
}

func (h *History) readEvents(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix) error {
	return readStream(ctx, js, prefix.Stream(streams.Events), func(msg jetstream.Msg, m *jetstream.MsgMetadata) error {
		e := Event{Seq: m.Sequence.Stream, Stored: m.Timestamp, MessageID: msg.Headers().Get(jetstream.MsgIDHeader)}
		if err := json.Unmarshal(msg.Data(), &e.Event); err != nil {
			return err
		}
		h.Events = append(h.Events, e)
		return nil
	})
}

func (h *History) readDead(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix) error {
	return readStream(ctx, js, prefix.Stream(streams.Dead), func(msg jetstream.Msg, _ *jetstream.MsgMetadata) error {
		var d commands.DeadLetter
		if err := json.Unmarshal(msg.Data(), &d); err != nil {
			return err
		}
		h.Dead = append(h.Dead, d)
		return nil
	})
}

// readQueue asks for the subjects: a work queue allows no second consumer.
func (h *History) readQueue(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix) error {
	name := prefix.Stream(streams.Commands)
	s, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("queue %s: %w", name, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fmt.Errorf("queue %s: %w", name, err)
	}
	for subject, n := range info.State.Subjects {
		for range n {
			h.Queued = append(h.Queued, subject)
		}
	}
	slices.Sort(h.Queued)
	return nil
}

// readStream hands over every message that the stream has now, in order.
func readStream(ctx context.Context, js jetstream.JetStream, name string, take func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("stream %s: %w", name, err)
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	msgs, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer func() {
		msgs.Stop()
		// The library leaves it to the server, which lets it stand for minutes.
		if info := cons.CachedInfo(); info != nil {
			_ = s.DeleteConsumer(context.WithoutCancel(ctx), info.Name)
		}
	}()
	for {
		msg, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		m, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := take(msg, m); err != nil {
			return fmt.Errorf("message %d of %s on %s: %w", m.Sequence.Stream, name, msg.Subject(), err)
		}
		if m.Sequence.Stream >= state.LastSeq || m.NumPending == 0 {
			return nil
		}
	}
}
