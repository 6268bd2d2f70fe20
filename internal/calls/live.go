package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"callbus/internal/streams"
)

// LiveStates are the states a live call is counted under.
var LiveStates = []string{StateIncoming, StateEstablishing, StateEstablished, StateHold, StateTransferring, StateTransferAccepted, StateRedirecting, StateTerminating}

// liveEvery is how often live calls are told to whoever watches.
const liveEvery = 2 * time.Second

// WatchLive follows the registry and tells the number of live calls by state,
// until ctx ends; the error is nil. It keeps one word for each live call. While
// the registry cannot be followed it tells what was known before, and then reads
// all of it again; it does not log that, for everything else that needs the
// registry does.
func (r *Registry) WatchLive(ctx context.Context, tell func(map[string]int)) error {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	var live map[string]string // state by key; nil: never read to its end
	ticked := func() {
		if live == nil {
			return
		}
		counts := map[string]int{}
		for _, state := range live {
			counts[state]++
		}
		tell(counts)
	}
	streams.Reopen(ctx, slog.New(slog.DiscardHandler), func(func()) error {
		return r.followLive(ctx, tick.C, ticked, &live)
	})
	return nil
}

// followLive reads all entries into a new map, which becomes *live when nothing
// is left to read, and keeps it up to date until ctx or the watch ends.
func (r *Registry) followLive(ctx context.Context, tick <-chan time.Time, ticked func(), live *map[string]string) error {
	kv, err := r.js.KeyValue(ctx, r.bucket)
	if err != nil {
		return fmt.Errorf("watch registry: %w", err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch registry: %w", err)
	}
	defer func() { _ = w.Stop() }()
	fresh := map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			ticked()
		case u, ok := <-w.Updates():
			switch {
			case !ok:
				return errors.New("watch registry: the server ended the watch")
			case u == nil: // all that was there has been read
				*live = fresh
				continue
			case strings.HasPrefix(u.Key(), idPrefix):
				continue
			}
			var e Entry
			if err := json.Unmarshal(u.Value(), &e); err != nil || !e.Live() {
				delete(fresh, u.Key())
				continue
			}
			fresh[u.Key()] = e.State
		}
	}
}
