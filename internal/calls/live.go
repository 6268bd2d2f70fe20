package calls

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// LiveStates are the states a live call is counted under.
var LiveStates = []string{StateIncoming, StateEstablishing, StateEstablished, StateHold, StateTransferring, StateTransferAccepted, StateRedirecting, StateTerminating}

// liveEvery is how often live calls are told to whoever watches.
const liveEvery = 2 * time.Second

// WatchLive follows the registry and tells the number of live calls by state,
// until ctx ends. It keeps one word for each live call.
func (r *Registry) WatchLive(ctx context.Context, tell func(map[string]int)) error {
	kv, err := r.js.KeyValue(ctx, r.bucket)
	if err != nil {
		return fmt.Errorf("watch registry: %w", err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch registry: %w", err)
	}
	defer func() { _ = w.Stop() }()
	live := map[string]string{}
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			counts := map[string]int{}
			for _, state := range live {
				counts[state]++
			}
			tell(counts)
		case u, ok := <-w.Updates():
			if !ok {
				return nil
			}
			if u == nil || strings.HasPrefix(u.Key(), idPrefix) {
				continue
			}
			var e Entry
			if err := json.Unmarshal(u.Value(), &e); err != nil || !e.Live() {
				delete(live, u.Key())
				continue
			}
			live[u.Key()] = e.State
		}
	}
}
