package pacing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/streams"
)

// board holds one T for each scope, the same for all workers: in the bucket of
// gates under a name of its own, moved by compare-and-swap, followed by a watch.
type board[T any] struct {
	js    jetstream.JetStream
	kv    jetstream.KeyValue
	name  string // first token of the keys
	keep  time.Duration
	log   *slog.Logger
	moved func(scope string, is T) // told of every change; may be nil

	mu      sync.Mutex
	notices map[string]notice[T] // by token
}

// notice is what is stored; the scope is in it, for a key may stand for another
// one that is spelled alike.
type notice[T any] struct {
	Scope    string `json:"scope"`
	Is       T      `json:"is"`
	revision uint64
}

func newBoard[T any](g *Gates, name string, keep time.Duration) *board[T] {
	return &board[T]{js: g.js, kv: g.kv, name: name, keep: keep, log: g.log, notices: map[string]notice[T]{}}
}

// get is what is known here.
func (b *board[T]) get(scope string) (T, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, ok := b.notices[token(scope)]
	return n.Is, ok && n.Scope == scope
}

// scopes are those of which something is known.
func (b *board[T]) scopes() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]string, 0, len(b.notices))
	for _, n := range b.notices {
		all = append(all, n.Scope)
	}
	return all
}

// note remembers what is stored, unless something newer is known.
func (b *board[T]) note(n notice[T]) {
	b.mu.Lock()
	old, ok := b.notices[token(n.Scope)]
	newer := !ok || n.revision > old.revision
	if newer {
		b.notices[token(n.Scope)] = n
	}
	b.mu.Unlock()
	if newer && b.moved != nil {
		b.moved(n.Scope, n.Is)
	}
}

// changeWithin bounds a change: something is waiting behind it.
const changeWithin = 2 * time.Second

// change stores what f makes of what is stored, and reports whether it did: f
// may leave it be. It is asked again when another worker was faster. On an error
// the change holds here alone.
func (b *board[T]) change(ctx context.Context, scope string, f func(is T, stored bool) (T, bool)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	b.mu.Lock()
	n, ok := b.notices[token(scope)]
	b.mu.Unlock()
	for {
		if ok && n.Scope != scope {
			return false, fmt.Errorf("%s of %s: the key is another scope's", b.name, scope)
		}
		to, do := f(n.Is, ok)
		if !do {
			return false, nil
		}
		next := notice[T]{Scope: scope, Is: to}
		revision, err := b.store(ctx, next, n.revision)
		if err == nil {
			next.revision = revision
			b.note(next)
			return true, nil
		}
		if streams.Moved(err) {
			n, ok, err = b.stored(ctx, scope)
		}
		if err != nil {
			next.revision = n.revision + 1
			b.note(next)
			return true, fmt.Errorf("share %s of %s: %w", b.name, scope, err)
		}
	}
}

func (b *board[T]) store(ctx context.Context, n notice[T], revision uint64) (uint64, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return 0, err
	}
	msg := nats.NewMsg(b.subject(n.Scope))
	msg.Data = body
	ack, err := b.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(b.keep))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// stored asks the bucket's leader; what has expired leaves a revision and no body.
func (b *board[T]) stored(ctx context.Context, scope string) (notice[T], bool, error) {
	msg, err := streams.LeaderGet(ctx, b.js, "KV_"+b.kv.Bucket(), b.subject(scope))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return notice[T]{}, false, nil
	}
	if err != nil {
		return notice[T]{}, false, err
	}
	n := notice[T]{}
	ok := json.Unmarshal(msg.Data, &n) == nil && n.Scope != ""
	n.revision = msg.Sequence
	return n, ok, nil
}

// follow reads what others store, until ctx ends.
func (b *board[T]) follow(ctx context.Context) {
	streams.Reopen(ctx, b.log.With("board", b.name), func(opened func()) error {
		w, err := b.kv.Watch(ctx, b.name+".>", jetstream.IgnoreDeletes())
		if err != nil {
			return fmt.Errorf("watch %s: %w", b.name, err)
		}
		defer func() { _ = w.Stop() }()
		for {
			select {
			case <-ctx.Done():
				return nil
			case e, ok := <-w.Updates():
				if !ok {
					return fmt.Errorf("watch %s: the server ended the watch", b.name)
				}
				if e == nil {
					opened()
					continue
				}
				var n notice[T]
				if json.Unmarshal(e.Value(), &n) != nil || n.Scope == "" {
					continue // a marker of what has expired
				}
				n.revision = e.Revision()
				b.note(n)
			}
		}
	})
}

func (b *board[T]) subject(scope string) string {
	return "$KV." + b.kv.Bucket() + "." + b.name + "." + token(scope)
}
