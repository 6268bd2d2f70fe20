package producer

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"callbus/internal/commands"
)

// gathering is a history that is being read.
type gathering struct {
	client    *Client
	call      commands.CallKey
	options   HistoryOptions
	history   History
	published map[string]*Published // by id
}

func (h *gathering) add(m Moment) {
	if m.Time.Before(h.options.Since) {
		return
	}
	h.history.Moments = append(h.history.Moments, m)
}

// read takes the records or the events.
func (h *gathering) read(ctx context.Context, s source) error {
	r := reading{stream: s.stream, filter: s.filter, since: h.options.Since, names: []string{operatorsReader}}
	if !h.options.Operator && h.call.Producer != commands.IncomingProducer {
		r.names, r.keep = []string{h.call.Producer, operatorsReader}, h.call.Producer
	}
	return h.client.readAll(ctx, r, func(msg stored) error {
		m := Moment{Time: msg.time, Sequence: msg.sequence}
		var err error
		if s.stream == h.client.prefix.Stream("RESULTS") {
			m.Result, err = decoded[commands.Result](msg.data)
		} else {
			m.Event, err = decoded[commands.Event](msg.data)
		}
		if err != nil {
			m.Unreadable = msg.subject
		}
		if m.Result != nil {
			h.publish(m.Result)
		}
		h.add(m)
		return nil
	})
}

// publish tells of a command when its first record is read: the record knows
// when the command was published.
func (h *gathering) publish(r *commands.Result) {
	if h.published[r.CommandID] != nil || r.Timing == nil || r.Timing.ReceivedAt == nil {
		return
	}
	p := &Published{ID: r.CommandID, Action: r.Action, ReplayOf: r.ReplayOf}
	h.published[p.ID] = p
	h.add(Moment{Time: *r.Timing.ReceivedAt, Command: p})
}

func (h *gathering) letters(ctx context.Context) error {
	c := h.client
	subject := c.prefix.Dead(commands.Key{Producer: h.call.Producer, CallRef: h.call.CallRef, ID: "*"})
	return c.eachOf(ctx, c.prefix.Stream("DEAD"), subject, func(msg *stored) {
		m := Moment{Time: msg.time, Sequence: msg.sequence}
		var err error
		if m.Letter, err = decoded[commands.DeadLetter](msg.data); err != nil {
			m.Unreadable = msg.subject
		}
		h.add(m)
	})
}

// queue marks the commands that wait, and tells of those without a record.
func (h *gathering) queue(ctx context.Context) error {
	c := h.client
	return c.eachOf(ctx, c.prefix.Stream("COMMANDS"), c.prefix.Commands(h.call), func(msg *stored) {
		id := BodyID(msg.data)
		if id == "" {
			id = SequenceID(Ack{Sequence: msg.sequence})
		}
		if p := h.published[id]; p != nil {
			p.Queued = true
			return
		}
		_, action, err := c.prefix.CommandSubject(msg.subject)
		if err != nil {
			return // no worker takes it for a command either
		}
		p := &Published{ID: id, Action: action, ReplayOf: commands.ReplayOf(msg.header), Queued: true}
		h.published[id] = p
		h.add(Moment{Time: msg.time, Sequence: msg.sequence, Command: p})
	})
}

func (h *gathering) registry(ctx context.Context) (err error) {
	h.history.Now, err = h.client.registryOf(ctx, h.call)
	return err
}

// finish puts everything in order. What came at the same instant stands in the
// order in which one leads to the other.
func (h *gathering) finish() History {
	slices.SortStableFunc(h.history.Moments, func(a, b Moment) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.rank(), b.rank()))
	})
	return h.history
}

func (m Moment) rank() int {
	switch {
	case m.Command != nil:
		return 0
	case m.Event != nil:
		return 1
	case m.Letter != nil:
		return 2
	}
	return 3
}

// eachOf reads the messages on a filter one by one from the stream's leader: for
// the few of one call, where rights to make a consumer would be too much.
func (c *Client) eachOf(ctx context.Context, stream, filter string, take func(*stored)) error {
	for seq := uint64(1); ; {
		msg, err := c.leaderGet(ctx, stream, nextBy(filter, seq))
		if err != nil || msg == nil {
			return err
		}
		take(msg)
		seq = msg.sequence + 1
	}
}

func decoded[T any](data []byte) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, err
	}
	return v, nil
}
