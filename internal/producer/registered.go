package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go/jetstream"
)

// registryEntry is what a stop reads of a call in the registry. The record is
// the workers' own and has many more members, which are ignored.
type registryEntry struct {
	CallID   string    `json:"callId"`
	TenantID string    `json:"tenantId"`
	State    string    `json:"state"`
	EndedAt  time.Time `json:"endedAt"`
}

// unreadable is the state of a call whose entry cannot be read: it is hung up,
// for nothing says that it is over.
const unreadable = "unreadable"

// registered adds the live calls of the registry.
func (c *Client) registered(ctx context.Context, f StopFilter, found map[commands.CallKey]Target) error {
	bucket := c.prefix.Registry()
	look, cancel := context.WithTimeout(ctx, c.lookWait())
	defer cancel()
	kv, err := c.js.KeyValue(look, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return fmt.Errorf("there is no bucket %s: %w", bucket, errNotThere)
	}
	if err != nil {
		return fmt.Errorf("look at bucket %s: %w", bucket, err)
	}
	entries, err := kv.WatchFiltered(ctx, []string{f.producers() + ".*"}, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("read bucket %s: %w", bucket, err)
	}
	defer entries.Stop() //nolint:errcheck // what is left is the server's to forget
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("read bucket %s: %w", bucket, context.Cause(ctx))
		case update, ok := <-entries.Updates():
			switch {
			case !ok:
				return fmt.Errorf("read bucket %s: the server stopped sending", bucket)
			case update == nil: // everything has been seen
				return nil
			}
			f.register(update.Key(), update.Value(), found)
		}
	}
}

// register adds what one entry of the registry tells. Keys that begin with _
// are no calls of a producer's: the owners of Graph call ids, and calls that
// came in and that nobody has claimed.
func (f StopFilter) register(key string, value []byte, found map[commands.CallKey]Target) {
	producer, callRef, _ := strings.Cut(key, ".")
	call := commands.CallKey{Producer: producer, CallRef: callRef}
	if checkCall(call) != nil {
		return
	}
	target := found[call] // which may be queued
	target.Call = call
	var e registryEntry
	if json.Unmarshal(value, &e) != nil {
		target.State = unreadable
		found[call] = target
		return
	}
	if e.CallID == "" || !e.EndedAt.IsZero() || f.elsewhere(e.TenantID) {
		return
	}
	target.State, target.CallID = e.State, e.CallID
	if e.TenantID != "" {
		target.TenantID = e.TenantID
	}
	found[call] = target
}
