package graph

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// exchange is one HTTP request on its way: whether it may leave, whether any of
// it has left, and what came back.
type exchange struct {
	guard  func() error
	body   []byte
	fresh  bool                    // do not use a connection that was idle for long
	cancel context.CancelCauseFunc // stops the transport from trying another connection

	mu       sync.Mutex
	conn     *watchedConn // where the request was let through
	writing  bool
	wrote    bool
	refused  error // the guard's
	finished bool

	answer *rawAnswer // set by the transport's goroutine before it returns
}

// rawAnswer is an answer with what could be read of its body.
type rawAnswer struct {
	status  int
	header  http.Header
	body    []byte
	tooLong bool
	err     error // reading the body
}

var (
	// errResend keeps net/http from sending a second time by itself what may
	// have been executed. It repeats GETs on a dead idle connection, and which
	// other requests it considers safe has changed before.
	errResend   = errors.New("request has left on another connection")
	errStale    = errors.New("connection was idle for too long")
	errFinished = errors.New("request was given up")
)

// mayWrite is asked before bytes of the request go out on conn. The first time
// it asks the guard.
func (x *exchange) mayWrite(conn *watchedConn, stale bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.refused != nil:
		return x.refused
	case x.finished:
		return errFinished
	case x.conn == conn:
		x.writing = true
		return nil
	case x.wrote || x.writing:
		x.cancel(errResend)
		return errResend
	case x.fresh && stale:
		return errStale
	}
	if err := x.askLocked(); err != nil {
		return err
	}
	x.conn, x.writing = conn, true
	return nil
}

// askLocked asks the guard without holding the lock.
func (x *exchange) askLocked() error {
	if x.guard == nil {
		return nil
	}
	x.mu.Unlock()
	err := x.guard()
	x.mu.Lock()
	if x.finished {
		return errFinished // Do has already said that nothing was sent
	}
	if err != nil {
		x.refused = err
		x.cancel(err)
	}
	return err
}

// written notes how much of a write went out. Nothing of it means that nothing
// arrived: the kernel, or TLS, took no complete record.
func (x *exchange) written(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.writing = false
	x.wrote = x.wrote || n > 0
	if !x.wrote {
		x.conn = nil
	}
}

// mayBeSent is the rule for transports whose connections cannot be watched.
func (x *exchange) mayBeSent() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.askLocked(); err != nil {
		return err
	}
	x.wrote = true
	return nil
}

// finish closes the door: nothing is written afterwards. It tells whether
// anything may have been, and what the guard said.
func (x *exchange) finish() (sent bool, refused error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.finished = true
	return x.wrote || x.writing, x.refused
}

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

func exchangeFrom(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}
