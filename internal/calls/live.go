package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// LiveStates are the states a live call is counted under.
var LiveStates = []string{StateIncoming, StateEstablishing, StateEstablished, StateHold, StateTransferring, StateTransferAccepted, StateRedirecting, StateTerminating}

// liveEvery is how often live calls are told to whoever watches.
const liveEvery = 2 * time.Second

// eachLiveWithin bounds one reading of the registry.
const eachLiveWithin = 2 * time.Minute

// EachLive reads the registry once and hands over every call that lives. Any
// replica may answer: an entry may be a little behind. An entry that cannot be
// read is passed over. Its time is in proportion to what the registry holds, the
// ended calls of a week included; it keeps nothing in memory.
func (r *Registry) EachLive(ctx context.Context, tell func(commands.CallKey, *Entry)) error {
	ctx, cancel := context.WithTimeout(ctx, eachLiveWithin)
	defer cancel()
	kv, err := r.js.KeyValue(ctx, r.bucket)
	if err != nil {
		return fmt.Errorf("read registry: %w", err)
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("read registry: %w", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("read registry: %w", ctx.Err())
		case u, ok := <-w.Updates():
			switch {
			case !ok:
				return errors.New("read registry: the server ended the watch")
			case u == nil: // all that is there has been read
				return nil
			case strings.HasPrefix(u.Key(), idPrefix):
				continue
			}
			producer, callRef, _ := strings.Cut(u.Key(), ".")
			var e Entry
			if json.Unmarshal(u.Value(), &e) == nil && e.Live() {
				tell(commands.CallKey{Producer: producer, CallRef: callRef}, &e)
			}
		}
	}
}

// WatchLive follows the registry and tells the number of live calls by state,
// until ctx ends; the error is nil. It keeps one word for each live call. While
// the registry cannot be followed nothing new is told, and then all of it is
// read again; that is not logged, for everything else that needs the registry
// says so.
func (r *Registry) WatchLive(ctx context.Context, tell func(map[string]int)) error {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	l := &liveCalls{registry: r, tick: tick.C, tell: tell}
	streams.Reopen(ctx, slog.New(slog.DiscardHandler), func(func()) error { return l.follow(ctx) })
	return nil
}

// liveCalls is one WatchLive.
type liveCalls struct {
	registry *Registry
	tick     <-chan time.Time
	tell     func(map[string]int)
	states   map[string]string // by key; nil: never read to the end
}

// follow reads all entries anew, counts them once nothing is left to read, and
// keeps up until ctx or the watch ends.
func (l *liveCalls) follow(ctx context.Context) error {
	kv, err := l.registry.js.KeyValue(ctx, l.registry.bucket)
	if err != nil {
		return fmt.Errorf("watch registry: %w", err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch registry: %w", err)
	}
	defer func() { _ = w.Stop() }()
	states := map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.tick:
			l.count()
		case u, ok := <-w.Updates():
			switch {
			case !ok:
				return errors.New("watch registry: the server ended the watch")
			case u == nil: // all that was there has been read
				l.states = states
				continue
			case strings.HasPrefix(u.Key(), idPrefix):
				continue
			}
			var e Entry
			if err := json.Unmarshal(u.Value(), &e); err != nil || !e.Live() {
				delete(states, u.Key())
				continue
			}
			states[u.Key()] = e.State
		}
	}
}

func (l *liveCalls) count() {
	if l.states == nil {
		return
	}
	counts := map[string]int{}
	for _, state := range l.states {
		counts[state]++
	}
	l.tell(counts)
}
