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

// registryEntry is what is read of a call in the registry. The record is the
// workers' own and has more members, which are ignored.
type registryEntry struct {
	PlaceID       string    `json:"placeId"`
	CallID        string    `json:"callId"`
	CallChainID   string    `json:"callChainId"`
	TenantID      string    `json:"tenantId"`
	State         string    `json:"state"`
	AcceptedAt    time.Time `json:"acceptedAt"`
	EstablishedAt time.Time `json:"establishedAt"`
	EndedAt       time.Time `json:"endedAt"`
	RespondBy     time.Time `json:"respondBy"`
	Reason        string    `json:"reason"` // of the end
	HangupReason  string    `json:"hangupReason"`
	KeepAlive     bool      `json:"keepAlive"`
	Open          []struct {
		ID      string          `json:"id"`
		Action  commands.Action `json:"action"`
		Settled bool            `json:"settled"`
	} `json:"open"`
}

// unreadable is the state of a call whose entry cannot be read: it is hung up,
// for nothing says that it is over.
const unreadable = "unreadable"

// registered adds the live calls of the registry.
func (c *Client) registered(ctx context.Context, f StopFilter, found map[commands.CallKey]Target) error {
	return c.eachEntry(ctx, f.producers()+".*", func(key string, value []byte) { f.register(key, value, found) })
}

// eachEntry hands over every entry of the registry that the filter is about.
func (c *Client) eachEntry(ctx context.Context, filter string, take func(key string, value []byte)) error {
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
	entries, err := kv.WatchFiltered(ctx, []string{filter}, jetstream.IgnoreDeletes())
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
			take(update.Key(), update.Value())
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
