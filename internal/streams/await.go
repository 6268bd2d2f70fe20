package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LeaderWait is how long a request is repeated that nobody answers. An election
// takes a few seconds, the restart of a whole cluster some more.
const LeaderWait = 30 * time.Second

// How long one request waits for its answer, at first and later: twice as long
// each time, for the server may also be slow.
const (
	firstAnswer = time.Second
	lastAnswer  = 5 * time.Second
)

// betweenAsking is the pause after an error that may soon be over.
const betweenAsking = 250 * time.Millisecond

// ErrNoLeader is wrapped when JetStream, or a stream or consumer, has not
// answered for [LeaderWait]: it has no leader, or the server is away.
var ErrNoLeader = errors.New("JetStream has no leader or is not reachable")

// AwaitLeader asks until there is an answer. Servers drop requests about what
// has no leader just now (nats-server 2.15), so one request with a long timeout
// waits in vain where several with short ones do not. ask may be repeated at any
// time and gets a context for one request. waiting, which may be nil, is called
// once, with the reason, when the first request was in vain.
//
// It blocks until ask succeeds or fails for good (its error), for LeaderWait at
// most, or until ctx ends; a deadline that passed is ErrNoLeader.
func AwaitLeader(ctx context.Context, waiting func(error), ask func(context.Context) error) error {
	return awaitLeader(ctx, LeaderWait, waiting, func(ctx context.Context) error {
		err := ask(ctx)
		if electing(err) {
			return again(err)
		}
		return err
	})
}

// again marks an error that may soon be over.
func again(err error) error { return &passing{err} }

type passing struct{ error }

func (p *passing) Unwrap() error { return p.error }

// awaitLeader repeats ask as long as its error is marked by again.
func awaitLeader(ctx context.Context, limit time.Duration, waiting func(error), ask func(context.Context) error) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for answer := firstAnswer; ; answer = min(2*answer, lastAnswer) {
		one, done := context.WithTimeout(ctx, answer)
		err := ask(one)
		done()
		why, passes := errors.AsType[*passing](err)
		if !passes {
			return err
		}
		if ctx.Err() == nil {
			if waiting != nil {
				waiting(why.error)
				waiting = nil
			}
			sleep(ctx, betweenAsking)
		}
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return fmt.Errorf("%w: asked for %s: %w", ErrNoLeader, time.Since(began).Round(time.Second/10), why.error)
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", context.Cause(ctx), why.error)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Error codes of JetStream's API that end with an election or with the start of
// a server (nats-server's errors.json).
const (
	codeNoSuitablePeers = 10005 // also when there never will be as many servers as replicas
	codeNotAssigned     = 10007
	codeNotAvailable    = 10008 // "JetStream system temporarily unavailable"
	codeNotLeader       = 10009
	codeStreamOffline   = 10118
	codeConsumerOffline = 10119
)

// electing tells whether a request may be answered in a moment: nobody did, or
// the server said that something has no leader. That nobody listens on the
// subject is another matter: JetStream may be off.
func electing(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch api.ErrorCode {
		case codeNoSuitablePeers, codeNotAssigned, codeNotAvailable, codeNotLeader, codeStreamOffline, codeConsumerOffline:
			return true
		}
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}
