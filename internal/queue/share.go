package queue

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

// The server does not tell parked commands from those in work, and only who
// parked a command knows of it. So workers tell each other, in one key of the
// bucket of gates: how many of each lane come back when. It is a key and no
// message between workers because it has to outlive them: what a worker that was
// killed or updated has parked stays parked, a delayed command perhaps for days.
const boardKey = "parked"

const (
	// shareTries bounds how often a worker writes again because another was
	// faster; then the next look says it.
	shareTries = 4
	// shareWithin bounds the whole of it: the queue's other figures wait behind it.
	shareWithin = 2 * time.Second
)

// board is what all workers have parked, by worker.
type board map[string]dues

// share tells the others what this worker has parked, if that has changed, and
// returns what they have. When they cannot be asked it returns what they said
// last, which runs out by itself, and the error.
func (q *Queue) share(ctx context.Context) (dues, error) {
	ctx, cancel := context.WithTimeout(ctx, shareWithin)
	defer cancel()
	q.sharing.Lock()
	defer q.sharing.Unlock()
	for try := 1; ; try++ {
		all, revision, err := q.board(ctx)
		if err != nil {
			return q.others, err
		}
		now := time.Now()
		for name, theirs := range all {
			if theirs.prune(now); len(theirs) == 0 {
				delete(all, name)
			}
		}
		q.others = dues{}
		for name, theirs := range all {
			if name != q.name {
				q.others.addAll(theirs)
			}
		}
		mine := q.parked.left(now).coarse(now)
		if mine.equal(all[q.name]) {
			return q.others, nil
		}
		if all[q.name] = mine; len(mine) == 0 {
			delete(all, q.name)
		}
		if err := q.post(ctx, all, revision); !streams.Moved(err) || try == shareTries {
			return q.others, err
		}
	}
}

func (q *Queue) boardBucket() string { return q.prefix.Stream(streams.Gates) }

func (q *Queue) boardSubject() string { return "$KV." + q.boardBucket() + "." + boardKey }

// board asks the bucket's leader. What cannot be read is as good as nothing: it
// is written over.
func (q *Queue) board(ctx context.Context) (board, uint64, error) {
	all := board{}
	msg, err := streams.LeaderGet(ctx, q.js, "KV_"+q.boardBucket(), q.boardSubject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return all, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("ask what is parked: %w", err)
	}
	if json.Unmarshal(msg.Data, &all) != nil || all == nil {
		all = board{}
	}
	return all, msg.Sequence, nil
}

// post writes the board if nobody has since it was read.
func (q *Queue) post(ctx context.Context, all board, revision uint64) error {
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	msg := nats.NewMsg(q.boardSubject())
	msg.Data = body
	if _, err := q.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revision)); err != nil {
		return fmt.Errorf("tell what is parked: %w", err)
	}
	return nil
}

// gone tells all workers that a command has left the queue in which it may be
// parked: it comes back to nobody. It goes on the hints' subject with the
// sequence as its body; a worker that does not know of that takes it for a hint.
func (q *Queue) gone(c commands.CallKey, seq uint64) {
	_ = q.nc.Publish(q.prefix.Hint(c), fmt.Append(nil, seq))
}
