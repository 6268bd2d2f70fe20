package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/pacing"
)

// line asks Graph on behalf of the room of calls.
type line struct {
	client    *graph.Client
	admission *pacing.Admission
	guard     func() error
}

// Line is Graph's client as the room of calls asks for it. Its requests count
// against the pace; a read is refused while Graph wants to hear nothing, a
// hang-up or keep-alive never. Once stopping reports true nothing more is sent.
func Line(client *graph.Client, admission *pacing.Admission, stopping func() bool) calls.Graph {
	return line{client, admission, func() error {
		if stopping() {
			return errStopping
		}
		return nil
	}}
}

func (x *Executor) line() calls.Graph { return Line(x.Graph, x.Admission, x.opts.Stopping) }

// Probe asks Graph for a call that cannot exist: any answer to that shows that
// Graph is there, and nothing is changed.
func Probe(client *graph.Client) func(ctx context.Context, tenant string) pacing.Outcome {
	return func(ctx context.Context, tenant string) pacing.Outcome {
		_, err := client.Do(ctx, graph.Request{Operation: graph.GetCall, TenantID: tenant, CallID: "00000000-0000-0000-0000-000000000000"})
		if err == nil {
			return pacing.Taken
		}
		return outcomeOf(asGraphError(err))
	}
}

// ReadCall reads a call; one that is not found is gone.
func (l line) ReadCall(ctx context.Context, tenant, callID string) (calls.Reading, error) {
	asked := time.Now()
	resp, err := l.ask(ctx, commands.GetCall, tenant, callID)
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
	return l.do(ctx, commands.KeepAlive, tenant, callID)
}

// Hangup ends a call.
func (l line) Hangup(ctx context.Context, tenant, callID string) (bool, error) {
	return l.do(ctx, commands.Hangup, tenant, callID)
}

func (l line) do(ctx context.Context, a commands.Action, tenant, callID string) (bool, error) {
	_, err := l.ask(ctx, a, tenant, callID)
	if gone(err) {
		return true, nil
	}
	return false, err
}

// ask sends one request of our own, if pacing lets it.
func (l line) ask(ctx context.Context, a commands.Action, tenant, callID string) (*graph.Response, error) {
	class, _ := pacing.ClassOf(a)
	pass, w, err := l.admission.Admit(ctx, pacing.Request{Scope: tenant, Class: class, Action: a, CallID: callID})
	if err != nil {
		return nil, err
	}
	if pass == nil {
		return nil, fmt.Errorf("%s is held back: %s", a, w.Reason)
	}
	resp, err := l.client.Do(ctx, graph.Request{Operation: operationOf(a), TenantID: tenant, CallID: callID, Guard: l.guard})
	if err != nil {
		pass.Heard(ctx, heard(asGraphError(err)))
		return nil, err
	}
	pass.Heard(ctx, heard(nil))
	return resp, nil
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
