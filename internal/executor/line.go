package executor

import (
	"context"
	"errors"
	"time"

	"callbus/internal/calls"
	"callbus/internal/graph"
)

// line asks Graph on behalf of the room of calls.
type line struct {
	client *graph.Client
	guard  func() error
}

// Line is Graph's client as the room of calls asks for it. Once stopping
// reports true nothing more is sent.
func Line(client *graph.Client, stopping func() bool) calls.Graph {
	return line{client, func() error {
		if stopping() {
			return errStopping
		}
		return nil
	}}
}

func (x *Executor) line() calls.Graph { return Line(x.Graph, x.opts.Stopping) }

// ReadCall reads a call; one that is not found is gone.
func (l line) ReadCall(ctx context.Context, tenant, callID string) (calls.Reading, error) {
	asked := time.Now()
	resp, err := l.client.Do(ctx, graph.Request{Operation: graph.GetCall, TenantID: tenant, CallID: callID, Guard: l.guard})
	if gone(err) {
		return calls.Reading{At: asked, Gone: true}, nil
	}
	if err != nil {
		return calls.Reading{}, err
	}
	c, err := resp.Call()
	if err != nil {
		return calls.Reading{}, err
	}
	return calls.Reading{At: asked, State: c.State, AudioActive: c.AudioActive, Gone: c.State == calls.StateTerminated}, nil
}

// KeepAlive keeps a call alive.
func (l line) KeepAlive(ctx context.Context, tenant, callID string) (bool, error) {
	return l.do(ctx, graph.KeepAlive, tenant, callID)
}

// Hangup ends a call.
func (l line) Hangup(ctx context.Context, tenant, callID string) (bool, error) {
	return l.do(ctx, graph.DeleteCall, tenant, callID)
}

func (l line) do(ctx context.Context, op graph.Operation, tenant, callID string) (bool, error) {
	_, err := l.client.Do(ctx, graph.Request{Operation: op, TenantID: tenant, CallID: callID, Guard: l.guard})
	if gone(err) {
		return true, nil
	}
	return false, err
}

func gone(err error) bool {
	e, ok := errors.AsType[*graph.Error](err)
	return ok && e.Reason == graph.NotFound
}

func asGraphError(err error) *graph.Error {
	if e, ok := errors.AsType[*graph.Error](err); ok {
		return e
	}
	return &graph.Error{Reason: graph.Lost, Sent: graph.MaybeSent, Message: err.Error(), Err: err}
}
