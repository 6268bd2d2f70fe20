package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"callbus/internal/graph"
)

// noCall cannot exist; that Graph does not find it is the answer that is hoped for.
const noCall = "00000000-0000-0000-0000-000000000000"

// The calling service's own codes for a call that is not there; any other 404 is
// somebody else's.
const (
	callNotFound = "8522"
	callIsOver   = "8528"
)

// tenantsAtOnce bounds how many tenants are asked about at a time.
const tenantsAtOnce = 8

// slowGraph is a time for a read that is worth a word.
const slowGraph = 2 * time.Second

// lastAttempt is where a request's fate is noted, in its context.
type lastAttempt struct{}

// microsoft looks at tokens and at Graph, for each tenant.
func (x *examination) microsoft(ctx context.Context) []Finding {
	switch {
	case !x.Works:
		return skipped("a receiver needs none", "token", "graph")
	case x.Graph == nil:
		return skipped("the settings do not allow it", "token", "graph")
	}
	o := *x.Graph
	o.Logger = slog.New(slog.DiscardHandler)
	o.OnRequest = func(ctx context.Context, a graph.Attempt) {
		if note, is := ctx.Value(lastAttempt{}).(*graph.Attempt); is {
			*note = a
		}
	}
	client, err := graph.New(o)
	if err != nil {
		return skipped("the settings do not allow it", "token", "graph")
	}
	defer client.Close()
	tenants := x.Tenants
	if len(tenants) == 0 {
		tenants = []string{""}
	}
	tokens, asked := make([][]Finding, len(tenants)), make([][]Finding, len(tenants))
	seats := make(chan struct{}, tenantsAtOnce)
	var all sync.WaitGroup
	for i, tenant := range tenants {
		all.Go(func() {
			seats <- struct{}{}
			defer func() { <-seats }()
			ask := x.ask
			tokens[i] = x.within(ctx, func(ctx context.Context) []Finding {
				found, had := x.token(ctx, client, tenant, i == 0)
				if !had {
					ask = x.reach
				}
				return found
			})
			asked[i] = x.within(ctx, func(ctx context.Context) []Finding { return ask(ctx, client, tenant) })
		})
	}
	all.Wait()
	return slices.Concat(append(tokens, asked...)...)
}

// token gets a token as a worker would, looks at it, and tells whether there is
// one. A fixed one is the same for all tenants and is told of once.
func (x *examination) token(ctx context.Context, client *graph.Client, tenant string, first bool) (found []Finding, had bool) {
	const check = "token"
	fixed := x.Graph.TokenFile != ""
	token, err := client.Token(ctx, tenant)
	if err != nil {
		said := err.Error()
		if e, is := errors.AsType[*graph.Error](err); is && e.Message != "" {
			said = e.Message
		}
		switch {
		case fixed && first:
			found = []Finding{fail(check, "correct --graph-token-file, or what is in the file", "%s", said)}
		case !fixed:
			found = []Finding{fail(check, tokenAdvice(said), "%s%s", ofTenant(tenant), said)}
		}
		return found, false
	}
	if fixed && !first {
		return nil, true
	}
	if fixed {
		if _, isJWT := parseClaims(token.Token); !isJWT {
			return []Finding{skip(check, "the fixed token of --graph-token-file is no JWT: its roles and its end cannot be read")}, true
		}
		tenant = "" // it is for whichever tenant it is for
	}
	return judgeToken(token.Token, token.ExpiresOn, wanted{x.Graph.Cloud, tenant, x.App}, x.Now()), true
}

// ask reads a call that cannot exist, as a worker's breaker does while it is open.
func (x *examination) ask(ctx context.Context, client *graph.Client, tenant string) []Finding {
	var last graph.Attempt
	before := x.Now()
	_, err := client.Do(context.WithValue(ctx, lastAttempt{}, &last), graph.Request{Operation: graph.GetCall, TenantID: tenant, CallID: noCall})
	if !last.Date.IsZero() {
		x.told(dated("Graph"+clockOf(tenant, x.Tenants), before, x.Now(), last.Date))
	}
	e, _ := errors.AsType[*graph.Error](err)
	return judgeGraph(tenant, last, e)
}

// clockOf tells several tenants' readings of one clock apart.
func clockOf(tenant string, all []string) string {
	if len(all) < 2 {
		return ""
	}
	return " (tenant " + tenant + ")"
}

// judgeGraph tells what the answer to a read of a call that cannot exist means.
func judgeGraph(tenant string, last graph.Attempt, e *graph.Error) []Finding {
	const check = "graph"
	of := ofTenant(tenant)
	if e == nil {
		return []Finding{warn(check, "look whether --graph-url names Graph", "%sfound a call that cannot exist, in %s", of, short(last.Duration))}
	}
	do := ""
	switch e.Reason {
	case graph.NotFound:
		said := fmt.Sprintf("%sanswers, in %s: it does not find a call that cannot exist (%d %s, request-id %s)", of, short(last.Duration), e.Status, e.Code, orUnknown(e.RequestID))
		if last.Duration > slowGraph {
			return []Finding{warn(check, "look at the way to Graph: proxy, DNS, distance", "%s", said)}
		}
		if e.Code != callNotFound && e.Code != callIsOver {
			return []Finding{warn(check, "look at --graph-url and --graph-route: it may be the path that is not found", "%s", said)}
		}
		// Whether the app may call is asked only when a call is placed.
		return []Finding{ok(check, "%s", said)}
	case graph.ConnectFailed:
		do = "look at the way to Graph: DNS, HTTPS_PROXY, network policy, the trusted certificates, --graph-url"
	case graph.Lost:
		do = "look at the way to Graph, and at --graph-timeout; if it is Graph, wait: commands are kept"
	case graph.Unauthorized, graph.TokenFailed:
		do = "look at the lines about token and clock; --cloud must fit the tenant"
	case graph.Forbidden:
		do = forbiddenAdvice(e.Code)
	case graph.Throttled, graph.LiveCalls, graph.MonthlyCalls:
		return []Finding{warn(check, "wait; send more slowly (--quota-requests)", "%sthrottles even a read: %s", of, e)}
	case graph.Unreadable:
		do = "correct --graph-url: somebody else answers there"
	case graph.Invalid:
		do = "look at --graph-url and --graph-route: the route app is an old alias of communications"
	case graph.ServerError, graph.GatewayLost, graph.Unavailable:
		do = "wait: commands are kept; look at Microsoft 365 service health"
	}
	return []Finding{fail(check, do, "%s%s", of, e)}
}

// forbiddenAdvice is what to do about a 403, by the calling service's code.
func forbiddenAdvice(code string) string {
	switch code {
	case "7503":
		return "register the app as a calling bot: Azure Bot, Teams channel, calling enabled with the webhook <callback-url>/v1/notifications"
	case "7504":
		return "grant Calls.Initiate.All with admin consent in this tenant"
	case "7505":
		return "correct --tenant: the token must be of the tenant in which the call takes place"
	case "7500":
		return "use the app's own credential: tokens that act for a person are refused"
	}
	return "look at the app registration: permission, admin consent, calling bot; or at what stands between here and Graph"
}

func orUnknown(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// reach asks Graph without a token, which it refuses: that it answers is all that
// can be found out then.
func (x *examination) reach(ctx context.Context, _ *graph.Client, tenant string) []Finding {
	const check = "graph"
	base := x.Graph.BaseURL
	if base == "" {
		base = x.Graph.Cloud.BaseURL()
	}
	before := x.Now()
	resp, err := plainGet(ctx, base+"/")
	if err != nil {
		return []Finding{fail(check, "look at the way to Graph: DNS, HTTPS_PROXY, network policy, the trusted certificates, --graph-url", "%scannot be reached: %v", ofTenant(tenant), err)}
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		x.told(dated("Graph"+clockOf(tenant, x.Tenants), before, x.Now(), date))
	}
	return []Finding{skip(check, "%sanswers (%d), but could not be asked for anything: there is no token", ofTenant(tenant), resp.StatusCode)}
}

// plainGet makes one request on a connection of its own and drops the body.
func plainGet(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return resp, nil
}
