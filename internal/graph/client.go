package graph

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// Client sends requests to the calls API. Make one with New. It is safe for
// concurrent use and starts no goroutines but those of net/http.
type Client struct {
	base          *url.URL
	routes        map[Operation]Route
	tokens        tokenSource
	defaultTenant string
	timeout       time.Duration
	wire          *wire
	pipeline      runtime.Pipeline
	log           *slog.Logger
	onRequest     func(ctx context.Context, a Attempt)
}

func noObserver(context.Context, Attempt) {}

// New checks every option, reports all that is wrong with them, and returns a
// Client. Nothing is sent and no token is fetched yet.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	base, err := o.check()
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:          base,
		routes:        routeTable(o.Route),
		tokens:        o.tokenSource(),
		defaultTenant: o.DefaultTenant,
		timeout:       o.Timeout,
		wire:          newWire(o.Transport),
		log:           o.Logger,
		onRequest:     o.OnRequest,
	}
	name, release, _ := strings.Cut(o.UserAgent, "/")
	c.pipeline = runtime.NewPipeline(firstOf(name, "callbus"), firstOf(release, "devel"), runtime.PipelineOptions{}, &policy.ClientOptions{
		Transport: c.wire,
		// Whether a request may be sent again is for the caller to say.
		Retry: policy.RetryOptions{MaxRetries: -1},
	})
	return c, nil
}

// Close closes idle connections. The Client stays usable.
func (c *Client) Close() { c.wire.closeIdle() }

// Token returns a token for the tenant, "" being the default one, as Do would
// use it. It is for looking whether there is one and what is in it; the error is
// an *Error with Reason TokenFailed or Cancelled and no Operation.
func (c *Client) Token(ctx context.Context, tenant string) (azcore.AccessToken, error) {
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	token, err := c.tokens.token(ctx, firstOf(tenant, c.defaultTenant))
	if err != nil {
		return token, tokenFailure(ctx, "", err)
	}
	return token, nil
}

// Do sends one request, for ListParticipants one a page, and returns its 2xx
// answer; every error is an *Error. It blocks until the answer is read, until
// ctx's deadline (Options.Timeout if it has none) or until ctx is cancelled.
//
// Nothing is repeated but once after a 401, which was certainly not executed,
// with another token.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	start := time.Now()
	p, err := c.plan(r)
	if err != nil {
		return nil, &Error{Reason: BadRequest, Operation: r.Operation, ClientRequestID: r.ClientRequestID, Err: err}
	}
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	var resp *Response
	var failure *Error
	if r.Operation == ListParticipants {
		resp, failure = c.listParticipants(ctx, p, r)
	} else {
		resp, failure = c.call(ctx, p, p.url)
	}
	if failure != nil {
		failure.Duration = time.Since(start)
		return nil, failure
	}
	resp.Duration = time.Since(start)
	return resp, nil
}

func (c *Client) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.timeout)
}
