package queue

import (
	"context"
	"slices"
	"sync"

	"callbus/internal/commands"
)

// maxElders bounds how many queued commands a worker remembers the ids of.
const maxElders = 20_000

// elders remembers the ids of queued commands by call, so that a call's queue is
// walked once and not once for each of its commands: a thousand commands behind a
// closed gate would take half a million requests. What is remembered may have
// left the queue; nothing older than what was seen can come into it.
type elders struct {
	mu    sync.Mutex
	calls map[commands.CallKey]*walked
	count int
}

// walked is what was seen of a call's queue.
type walked struct {
	upTo uint64  // the last command seen
	all  []elder // in order
}

// elder is a command that was queued when it was seen. Most calls have one or two:
// a map of them would weigh more than they do.
type elder struct {
	seq uint64
	id  string
}

// Twin tells whether an older command of the call with the message's id is
// queued. idOf reads a command's id. It asks for every command that nobody has
// asked for before, and blocks for that.
func (q *Queue) Twin(ctx context.Context, m *Message, id string, idOf func(*Queued) string) (bool, error) {
	for {
		upTo := q.elders.upTo(m.Call)
		if upTo+1 >= m.Seq {
			break
		}
		next, err := q.Next(ctx, m.Call, upTo+1)
		if err != nil {
			return false, err
		}
		if next == nil || next.Seq >= m.Seq {
			break
		}
		q.elders.add(m.Call, upTo, next.Seq, idOf(next))
	}
	for _, seq := range q.elders.of(m.Call, id) {
		if seq >= m.Seq {
			break
		}
		next, err := q.Next(ctx, m.Call, seq)
		if err != nil {
			return false, err
		}
		if next != nil && next.Seq == seq {
			return true, nil
		}
		q.elders.drop(m.Call, seq)
	}
	return false, nil
}

func (e *elders) upTo(c commands.CallKey) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.calls[c]; w != nil {
		return w.upTo
	}
	return 0
}

// add notes the command that comes next in a call's queue after what was seen,
// unless more or less has been seen meanwhile.
func (e *elders) add(c commands.CallKey, upTo, seq uint64, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.count >= maxElders { // seldom; what is needed is walked again
		e.calls, e.count = nil, 0
	}
	if e.calls == nil {
		e.calls = map[commands.CallKey]*walked{}
	}
	w := e.calls[c]
	if w == nil {
		w = &walked{}
		e.calls[c] = w
	}
	if w.upTo != upTo {
		return
	}
	w.upTo, w.all = seq, append(w.all, elder{seq, id})
	e.count++
}

func (e *elders) of(c commands.CallKey, id string) (seqs []uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.calls[c]; w != nil {
		for _, elder := range w.all {
			if elder.id == id {
				seqs = append(seqs, elder.seq)
			}
		}
	}
	return seqs
}

// drop forgets a command that has left the queue.
func (e *elders) drop(c commands.CallKey, seq uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.calls[c]
	if w == nil {
		return
	}
	before := len(w.all)
	w.all = slices.DeleteFunc(w.all, func(elder elder) bool { return elder.seq == seq })
	e.count -= before - len(w.all)
}
