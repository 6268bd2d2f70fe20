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
	for seq := uint64(1); ; seq++ {
		var body []byte
		if body, seq, err = c.next(ctx, stream, subject, seq); err != nil || body == nil {
			return "", false, err
		}
		if tenant = placeTenant(body); !f.elsewhere(tenant) {
			return tenant, true, nil
		}
	}
}

// next reads the first message on subject at or behind seq from the stream's
// leader, for a replica that is behind would not know a new one. The body is
// nil when there is none.
func (c *Client) next(ctx context.Context, stream, subject string, seq uint64) ([]byte, uint64, error) {
	request, err := json.Marshal(map[string]any{"seq": seq, "next_by_subj": subject})
	if err != nil {
		return nil, 0, err
	}
	answer, err := c.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, request)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", stream, err)
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", stream, err)
	}
	switch {
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, 0, nil
	case got.Error != nil:
		return nil, 0, fmt.Errorf("read %s: %w", stream, got.Error)
	case got.Message == nil:
		return nil, 0, fmt.Errorf("read %s: the answer has no message", stream)
	}
	return append([]byte{}, got.Message.Data...), got.Message.Seq, nil
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
