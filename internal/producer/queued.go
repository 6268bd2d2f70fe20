package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go/jetstream"
)

// queuedPlaces adds the calls whose place command is in the queue. The names
// come from the stream's leader, all in one answer, and not from a consumer: a
// work queue allows no second one beside the workers'.
func (c *Client) queuedPlaces(ctx context.Context, f StopFilter, found map[commands.CallKey]Target) error {
	name := c.prefix.Stream("COMMANDS")
	filter := c.prefix.Command(commands.CallKey{Producer: f.producers(), CallRef: "*"}, commands.Place)
	// Servers drop what they are asked about a stream without a leader.
	look, cancel := context.WithTimeout(ctx, c.lookWait())
	defer cancel()
	stream, err := c.js.Stream(look, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("there is no stream %s: %w", name, errNotThere)
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return fmt.Errorf("look for places in %s: %w", name, err)
	}
	var calls []commands.CallKey
	for subject := range info.State.Subjects {
		call, _, err := c.prefix.CommandSubject(subject)
		if err != nil || checkCall(call) != nil {
			continue // no worker takes it for a call either
		}
		calls = append(calls, call)
	}
	if f.Tenant == "" {
		for _, call := range calls {
			found[call] = Target{Call: call, Queued: true}
		}
		return nil
	}
	return c.queuedOfTenant(ctx, name, f, calls, found)
}

// queuedOfTenant reads the queued places of calls, 16 at a time, and adds those
// that are not known to be of another tenant.
func (c *Client) queuedOfTenant(ctx context.Context, stream string, f StopFilter, calls []commands.CallKey, found map[commands.CallKey]Target) error {
	var (
		mu      sync.Mutex
		failed  error
		reading sync.WaitGroup
		slots   = make(chan struct{}, 16)
	)
	for _, call := range calls {
		slots <- struct{}{}
		reading.Go(func() {
			defer func() { <-slots }()
			tenant, wanted, err := c.queuedTenant(ctx, stream, f, call)
			mu.Lock()
			defer mu.Unlock()
			if wanted {
				found[call] = Target{Call: call, Queued: true, TenantID: tenant}
			}
			if err != nil {
				failed = err
			}
		})
	}
	reading.Wait()
	return failed
}

// queuedTenant looks at the queued places of one call, normally one, for the
// first that the filter is about. One that has left the queue meanwhile is in
// the registry.
func (c *Client) queuedTenant(ctx context.Context, stream string, f StopFilter, call commands.CallKey) (tenant string, wanted bool, err error) {
	subject := c.prefix.Command(call, commands.Place)
	for seq := uint64(1); ; {
		msg, err := c.leaderGet(ctx, stream, nextBy(subject, seq))
		if err != nil || msg == nil {
			return "", false, err
		}
		if tenant = placeTenant(msg.data); !f.elsewhere(tenant) {
			return tenant, true, nil
		}
		seq = msg.sequence + 1
	}
}

// placeTenant is the tenant that a place names, empty when it names none (the
// worker's default, which is not known here) or cannot be read.
func placeTenant(body []byte) string {
	var place struct {
		TenantID   string `json:"tenantId"`
		Parameters struct {
			TenantID string `json:"tenantId"`
		} `json:"parameters"`
	}
	if json.Unmarshal(body, &place) != nil {
		return ""
	}
	if place.TenantID != "" {
		return place.TenantID
	}
	return place.Parameters.TenantID
}
