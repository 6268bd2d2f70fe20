package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// call gets a token, sends the request, and sends it once more when another
// token is to be had after a 401.
func (c *Client) call(ctx context.Context, p plan, target string) (*Response, *Error) {
	token, err := c.tokens.token(ctx, p.tenant)
	if err != nil {
		return nil, p.sign(tokenFailure(ctx, p.operation, err))
	}
	resp, failure := c.send(ctx, p, target, token.Token)
	if failure == nil || failure.Reason != Unauthorized {
		return resp, failure
	}
	fresh, changed, err := c.tokens.renew(ctx, p.tenant, token.Token, failure.claims)
	if err != nil {
		return nil, p.sign(tokenFailure(ctx, p.operation, err))
	}
	if !changed {
		return nil, failure
	}
	return c.send(ctx, p, target, fresh.Token)
}

func tokenFailure(ctx context.Context, op Operation, err error) *Error {
	e := &Error{Reason: TokenFailed, Operation: op, Err: err}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Reason, e.Err = Cancelled, context.Cause(ctx)
	case ctx.Err() != nil:
		e.Message = "no answer from the authority in time"
	default:
		e.Message = err.Error() // a tokenError is redacted
	}
	return e
}

// send makes one HTTP request.
func (c *Client) send(ctx context.Context, p plan, target, token string) (*Response, *Error) {
	start := time.Now()
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x := &exchange{guard: p.guard, body: p.body, fresh: !p.operation.Idempotent(), cancel: cancel}
	req, err := runtime.NewRequest(withExchange(sending, x), p.method, target)
	if err != nil {
		return nil, p.sign(&Error{Reason: BadRequest, Operation: p.operation, Err: err})
	}
	p.header(req.Raw(), token)

	_, err = c.pipeline.Do(req)
	sent, refused := x.finish()
	var resp *Response
	var failure *Error
	switch {
	case x.answer != nil: // whatever the pipeline says: it drops an answer that came with the deadline
		resp, failure = p.read(x.answer)
	case refused != nil:
		failure = &Error{Reason: Guarded, Err: refused}
	case sent:
		failure = &Error{Reason: Lost, Sent: MaybeSent, Err: err}
	case errors.Is(ctx.Err(), context.Canceled):
		failure = &Error{Reason: Cancelled, Err: context.Cause(ctx)}
	default:
		failure = &Error{Reason: ConnectFailed, Err: err}
	}
	if failure != nil {
		failure.Operation = p.operation
		failure.Duration = time.Since(start)
		p.sign(failure)
	}
	c.report(ctx, p, x.answer, failure, time.Since(start))
	return resp, failure
}

// read makes a Response or an Error of an answer.
func (p plan) read(a *rawAnswer) (*Response, *Error) {
	if a.status/100 != 2 {
		return nil, classify(p.operation, a.status, a.header, a.body)
	}
	location := a.header.Get("Location")
	body, err := checkBody(p.operation, location, a.body)
	switch {
	case p.operation.answer() == answerEmpty: // the status says it all
	case a.err != nil:
		err = fmt.Errorf("answer cut short: %w", a.err)
	case a.tooLong:
		err = fmt.Errorf("answer larger than %d bytes", maxAnswer)
	}
	if err != nil {
		return nil, &Error{Reason: Unreadable, Sent: Answered, Status: a.status,
			RequestID: a.header.Get("request-id"), Location: location, Err: err}
	}
	return &Response{
		Status:          a.status,
		Body:            body,
		Header:          a.header,
		Location:        location,
		RequestID:       a.header.Get("request-id"),
		ClientRequestID: p.clientRequestID,
	}, nil
}

// report tells the log and the observer what became of one HTTP request. One
// that we stopped ourselves before it left is none of the observer's.
func (c *Client) report(ctx context.Context, p plan, a *rawAnswer, failure *Error, d time.Duration) {
	var status int
	var code string
	var reason Reason
	header := http.Header{}
	if a != nil {
		status, header = a.status, a.header
	}
	if failure != nil {
		code, reason = failure.Code, failure.Reason
	}
	if reason != Guarded && reason != Cancelled {
		date, _ := http.ParseTime(header.Get("Date")) // zero when it is none
		c.onRequest(ctx, Attempt{p.operation, status, code, p.clientRequestID, header.Get("request-id"), d, date})
	}
	c.log.Debug("graph request",
		"operation", p.operation, "status", status, "code", code, "reason", reason, "duration", d,
		"client_request_id", p.clientRequestID, "request_id", header.Get("request-id"),
		"diagnostic", header.Get("x-ms-ags-diagnostic"))
}
