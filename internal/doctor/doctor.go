// Package doctor looks at everything that a worker needs around it, and says of
// each thing what it found and what to do about it. It changes nothing and listens
// nowhere, so that it can run beside a worker, with that worker's settings.
package doctor

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"callbus/internal/graph"
	"callbus/internal/natsconn"
	"callbus/internal/streams"
)

// Options are what a worker is set up with, as far as it can be looked at from
// outside of it.
type Options struct {
	NATS        natsconn.ConnOptions
	Streams     streams.Options
	StreamsMode streams.Mode

	Settings Settings

	Works    bool // executes commands: needs tokens and Graph
	Receives bool // receives notifications: needs the keys that sign them

	// Graph is how a worker's client is made; nil when it cannot be made, which the
	// settings tell. OnRequest and Logger are replaced.
	Graph   *graph.Options
	Tenants []string // the first is the default; empty with a fixed token: any
	App     string   // client id that notifications are addressed to; empty: not known

	CallbackURL       string // the base, without the path of notifications
	OIDCURLs, Issuers []string

	// Limit is the longest time one check may take; 0: 10 s.
	Limit time.Duration

	// For tests; zero values are the real ones.
	Now     func() time.Time
	Roots   *x509.CertPool // that vouch for the callback URL
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Settings is what can be told of a worker's settings without asking anybody.
type Settings struct {
	Problems []error  // a worker refuses to start with these
	Warnings []string // a worker starts, and says so
	Summary  string
}

func judgeSettings(s Settings) (found []Finding) {
	const check = "settings"
	for _, err := range s.Problems {
		found = append(found, fail(check, "correct it: a worker does not start with this", "%v", err))
	}
	if len(found) == 0 {
		found = append(found, ok(check, "%s", s.Summary))
	}
	for _, text := range s.Warnings {
		found = append(found, warn(check, "", "%s", text))
	}
	return found
}

const defaultLimit = 10 * time.Second

func (o Options) withDefaults() Options {
	if o.Limit <= 0 {
		o.Limit = defaultLimit
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return o
}

// examination is one Examine.
type examination struct {
	Options

	mu       sync.Mutex
	readings []reading // of other people's clocks
}

// Examine makes all checks and returns what they found, in an order that is
// always the same. No check hides another; what cannot be looked at because
// something else failed is there as [Skip]. It blocks for a few times
// Options.Limit at most, or until ctx ends.
func Examine(ctx context.Context, o Options) []Finding {
	x := &examination{Options: o.withDefaults()}
	parts := []func(context.Context) []Finding{x.nats, x.microsoft, x.callback, x.keys}
	found := make([][]Finding, len(parts))
	var all sync.WaitGroup
	for i, part := range parts {
		all.Go(func() { found[i] = part(ctx) })
	}
	all.Wait()
	return slices.Concat(judgeSettings(x.Settings), slices.Concat(found...), judgeClocks(x.readings))
}

// within makes one check within its time.
func (x *examination) within(ctx context.Context, check func(context.Context) []Finding) []Finding {
	ctx, cancel := context.WithTimeout(ctx, x.Limit)
	defer cancel()
	return check(ctx)
}

// told notes what somebody's clock said.
func (x *examination) told(r reading) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.readings = append(x.readings, r)
}
