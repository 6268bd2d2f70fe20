package pacing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/streams"
)

// watched hands over every key under the filters, deletions too, and then what
// becomes of them, until ctx or the watch ends. opened is told once all that was
// there has been read. tick, which may be nil, is called for every time that
// comes from at.
func watched(ctx context.Context, kv jetstream.KeyValue, filters []string, at <-chan time.Time, tick, opened func(), each func(jetstream.KeyValueEntry)) error {
	w, err := kv.WatchFiltered(ctx, filters)
	if err != nil {
		return fmt.Errorf("watch %s: %w", kv.Bucket(), err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-at:
			tick()
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("watch %s: the server ended the watch", kv.Bucket())
			case e == nil:
				opened()
			default:
				each(e)
			}
		}
	}
}

// cell is one key of a bucket as its leader has it.
type cell struct {
	data     []byte // nil: none, deleted or expired
	revision uint64
}

// leaderCell reads a key from the bucket's leader, for a replica may be behind.
func leaderCell(ctx context.Context, js jetstream.JetStream, bucket, key string) (cell, error) {
	msg, err := streams.LeaderGet(ctx, js, "KV_"+bucket, "$KV."+bucket+"."+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return cell{}, nil
	}
	if err != nil {
		return cell{}, err
	}
	if msg.Header.Get("KV-Operation") != "" || msg.Header.Get("Nats-Marker-Reason") != "" {
		return cell{revision: msg.Sequence}, nil
	}
	return cell{msg.Data, msg.Sequence}, nil
}

// putCell writes a key if its revision is still the given one and returns the
// new one. A ttl of 0 keeps it until it is written again: then it says so
// itself, for a bucket may have got an age of its own. Whether it lost is told
// by moved.
func putCell(ctx context.Context, js jetstream.JetStream, bucket, key string, data []byte, revision uint64, ttl time.Duration) (uint64, error) {
	msg := nats.NewMsg("$KV." + bucket + "." + key)
	msg.Data = data
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(revision)}
	if ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(max(ttl, time.Second).Round(time.Second)))
	} else {
		msg.Header.Set("Nats-TTL", "never")
	}
	ack, err := js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
