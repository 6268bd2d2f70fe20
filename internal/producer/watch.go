package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go"
)

// Everyone as the producer of a [Filter] means all producers, for those whose
// permissions reach that far.
const Everyone = "*"

// Filter says which records a watch shows.
type Filter struct {
	Producer string // Everyone: all
	CallRef  string // empty: all calls

	Results bool
	Events  bool

	Kinds    []commands.Kind   // of events; none: all
	Statuses []commands.Status // of results; none: all
	Final    bool              // results: only final ones

	// Since begins with what is stored from then on; zero means from now.
	Since time.Time
}

// Record is a result or an event as it was stored.
type Record struct {
	Subject string
	Result  *commands.Result // or nil
	Event   *commands.Event  // or nil
	Raw     []byte
}

// Watch calls fn for each record until ctx ends (nil) or fn fails (its error).
// From now on it listens by core subscription: what comes while the connection
// is down is not seen. With Since it reads the streams and misses nothing;
// results and events are then each in order, but not among each other.
func (c *Client) Watch(ctx context.Context, f Filter, fn func(Record) error) error {
	if err := f.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	begin := c.listenNow
	if !f.Since.IsZero() {
		begin = c.readSince
	}
	records, failed := make(chan *nats.Msg, 1<<16), make(chan error, 2)
	end, err := begin(ctx, f, records, failed)
	defer end()
	defer cancel() // first
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case msg := <-records:
			r, ok := f.pick(c.prefix, msg)
			if !ok {
				continue
			}
			if err := fn(r); err != nil {
				return err
			}
		}
	}
}

// listenNow subscribes to what comes from now on; end takes it back.
func (c *Client) listenNow(_ context.Context, f Filter, out chan *nats.Msg, _ chan<- error) (end func(), err error) {
	var subs []*nats.Subscription
	end = func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe() // gone with the connection at the latest
		}
	}
	for _, s := range f.sources(c.prefix) {
		sub, err := c.nc.ChanSubscribe(s.filter, out)
		if err != nil {
			return end, fmt.Errorf("subscribe %s: %w", s.filter, err)
		}
		subs = append(subs, sub)
	}
	if err := c.nc.FlushTimeout(c.ackWait); err != nil {
		return end, fmt.Errorf("subscribe: %w", err)
	}
	for _, sub := range subs { // a refusal comes before the answer to the flush
		if err := c.violation(sub.Subject); err != nil {
			return end, err
		}
	}
	return end, nil
}

// source is one stream and what of it is wanted.
type source struct{ stream, filter string }

func (f Filter) sources(p commands.Prefix) []source {
	call := commands.CallKey{Producer: f.Producer, CallRef: f.CallRef}
	if call.CallRef == "" {
		call.CallRef = "*"
	}
	var sources []source
	if f.Results {
		sources = append(sources, source{p.Stream("RESULTS"), p.Results(call)})
	}
	if f.Events {
		kind := commands.Kind("*")
		if len(f.Kinds) == 1 {
			kind = f.Kinds[0]
		}
		sources = append(sources, source{p.Stream("EVENTS"), p.Event(call, kind)})
	}
	return sources
}

// Validate says what of the filter cannot be watched.
func (f Filter) Validate() error {
	if f.Producer != Everyone && f.Producer != commands.IncomingProducer {
		if err := commands.CheckProducer(f.Producer); err != nil {
			return err
		}
	}
	if f.CallRef != "" {
		if err := commands.CheckCallRef(f.CallRef); err != nil {
			return err
		}
	}
	for _, k := range f.Kinds {
		if !slices.Contains(commands.Kinds, k) {
			return fmt.Errorf("kind %q is unknown: want %s", cut(string(k), 40), words(commands.Kinds))
		}
	}
	for _, s := range f.Statuses {
		if !slices.Contains(commands.Statuses, s) {
			return fmt.Errorf("status %q is unknown: want %s", cut(string(s), 40), words(commands.Statuses))
		}
	}
	if !f.Results && !f.Events {
		return fmt.Errorf("nothing to watch: want results, events or both")
	}
	return nil
}

// pick reads a message and tells whether it is wanted. What cannot be read is
// shown as it is, for a watch is also for finding faults.
func (f Filter) pick(p commands.Prefix, msg *nats.Msg) (Record, bool) {
	r := Record{Subject: msg.Subject, Raw: msg.Data}
	if strings.HasPrefix(msg.Subject, string(p)+".results.") {
		var result commands.Result
		if json.Unmarshal(msg.Data, &result) == nil {
			r.Result = &result
		}
		return r, (len(f.Statuses) == 0 || slices.Contains(f.Statuses, result.Status)) && (!f.Final || result.Final)
	}
	var event commands.Event
	if json.Unmarshal(msg.Data, &event) == nil {
		r.Event = &event
	}
	return r, len(f.Kinds) == 0 || slices.Contains(f.Kinds, event.Kind)
}

func words[S ~string](list []S) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
