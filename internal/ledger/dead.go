package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// historyMax bounds how many records of one command are read back.
const historyMax = 256

// History returns the command's records, the oldest first.
func (j *Journal) History(ctx context.Context, key commands.Key) ([]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msgs, err := jetstreamext.GetBatch(ctx, j.js, j.name, historyMax, jetstreamext.GetBatchSubject(j.prefix.Result(key)))
	if err != nil {
		return nil, fmt.Errorf("read history of %s %s: %w", key.Call(), key.ID, err)
	}
	var all []Record
	for msg, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read history of %s %s: %w", key.Call(), key.ID, err)
		}
		r, err := decodeRecord(msg)
		if err != nil {
			return nil, err
		}
		all = append(all, *r)
	}
	return all, nil
}

// Bury stores a dead letter, with the command's records in it. The same cause
// for the same message is stored once within the stream's window. It blocks
// until the letter is stored; only then may the command leave the queue. A letter
// that says unknown of a command with a final record is not stored, ErrMoved:
// somebody has found out meanwhile.
func (j *Journal) Bury(ctx context.Context, letter commands.DeadLetter) error {
	records, err := j.History(ctx, letter.Key())
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Final && letter.Cause == commands.CauseUnknown {
			return ErrMoved
		}
		letter.Ledger = append(letter.Ledger, r.Result)
	}
	letter.Time = time.Now().UTC()
	letter = letter.Fit(j.maxSize)
	body, err := json.Marshal(letter)
	if err != nil {
		return fmt.Errorf("encode dead letter of %s %s: %w", letter.Key().Call(), letter.CommandID, err)
	}
	msg := &nats.Msg{Subject: j.prefix.Dead(letter.Key()), Data: body, Header: nats.Header{}}
	maps.Copy(msg.Header, headerOf(letter.CloudEvent(j.prefix)))
	msg.Header.Set(commands.HeaderCause, string(letter.Cause))
	id := fmt.Sprintf("%s-%d", letter.Cause, letter.Sequence)
	if letter.Sequence == 0 {
		id = fmt.Sprintf("%s-%s-%s", letter.Cause, letter.Key().Call(), letter.CommandID)
	}
	if _, err := j.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id)); err != nil {
		return fmt.Errorf("store dead letter of %s %s: %w", letter.Key().Call(), letter.CommandID, streams.Explain(j.prefix, msg.Subject, err))
	}
	return nil
}

// DeadLetters counts the dead letters by cause. It reads the headers of the
// whole stream, and only when the stream has changed since the last time.
func (j *Journal) DeadLetters(ctx context.Context) (map[commands.Cause]int, error) {
	s, err := j.js.Stream(ctx, j.prefix.Stream(streams.Dead))
	if err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	state := s.CachedInfo().State
	j.dead.Lock()
	defer j.dead.Unlock()
	if j.dead.counts != nil && j.dead.last == state.LastSeq && j.dead.msgs == state.Msgs {
		return j.dead.counts, nil
	}
	counts := map[commands.Cause]int{}
	if state.Msgs > 0 {
		cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
			HeadersOnly: true, DeliverPolicy: jetstream.DeliverAllPolicy,
			InactiveThreshold: 10 * time.Second, // nobody deletes it; the default is five minutes, and a stream has room for a thousand
		})
		if err != nil {
			return nil, fmt.Errorf("count dead letters: %w", err)
		}
		batch, err := cons.FetchNoWait(int(min(state.Msgs, 100_000)))
		if err != nil {
			return nil, fmt.Errorf("count dead letters: %w", err)
		}
		for msg := range batch.Messages() {
			counts[commands.Cause(msg.Headers().Get(commands.HeaderCause))]++
		}
		if err := batch.Error(); err != nil {
			return nil, fmt.Errorf("count dead letters: %w", err)
		}
	}
	j.dead.counts, j.dead.last, j.dead.msgs = counts, state.LastSeq, state.Msgs
	return counts, nil
}
