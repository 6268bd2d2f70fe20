package pacing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// SetPause stores a pause for all workers; it stands until [Resume]. It blocks
// until it is stored.
func SetPause(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, p Pause) error {
	if err := p.Check(); err != nil {
		return err
	}
	p.Since = time.Now().UTC()
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	msg := nats.NewMsg("$KV." + prefix.Stream(streams.Gates) + "." + p.key())
	msg.Data = body
	msg.Header.Set("Nats-TTL", "never") // whatever age the bucket may get
	if _, err := js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("store the pause: %w", streams.Explain(prefix, msg.Subject, err))
	}
	return nil
}

// Resume takes a pause back and reports whether it stood.
func Resume(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, p Pause) (bool, error) {
	if err := p.Check(); err != nil {
		return false, err
	}
	kv, err := js.KeyValue(ctx, prefix.Stream(streams.Gates))
	if err != nil {
		return false, fmt.Errorf("open bucket %s: %w", prefix.Stream(streams.Gates), err)
	}
	_, err = kv.Get(ctx, p.key())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err == nil {
		err = kv.Delete(ctx, p.key())
	}
	if err != nil {
		return false, fmt.Errorf("take back the pause: %w", err)
	}
	return true, nil
}
