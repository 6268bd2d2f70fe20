package calls

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

// ErrConflict says that an entry has moved since it was read: read it again.
var ErrConflict = errors.New("the registry entry has moved")

// endedTTL is how long the registry remembers a call that has ended.
const endedTTL = 7 * 24 * time.Hour

// idPrefix begins the keys that map Graph call ids to their owners.
const idPrefix = "_id."

// Registry is the KV bucket of calls. It reads from the bucket's leader, so
// that a worker woken by a hint sees what the hint was about.
type Registry struct {
	js     jetstream.JetStream
	bucket string
}

// NewRegistry needs the bucket to exist.
func NewRegistry(js jetstream.JetStream, prefix commands.Prefix) *Registry {
	return &Registry{js: js, bucket: prefix.Registry()}
}

// Get returns the call's entry, or an empty one with ok false.
func (r *Registry) Get(ctx context.Context, c commands.CallKey) (e Entry, ok bool, err error) {
	data, revision, err := r.get(ctx, c.String())
	if err != nil || revision == 0 {
		return Entry{}, false, err
	}
	e.revision = revision
	if data == nil {
		return e, false, nil // deleted or expired; the revision is still needed to write
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, false, fmt.Errorf("registry entry %s: %w", c, err)
	}
	return e, true, nil
}

// Put stores the entry if it has not moved since it was read, ErrConflict else.
// Entries without a live call expire by themselves.
func (r *Registry) Put(ctx context.Context, c commands.CallKey, e *Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode registry entry %s: %w", c, err)
	}
	var ttl time.Duration
	if !e.Live() { // ended, or a wish for a call that never came to be
		ttl = endedTTL
	}
	revision, err := r.put(ctx, c.String(), data, e.revision, ttl)
	if err != nil {
		return err
	}
	e.revision = revision
	return nil
}

// Remove takes an entry out if it has not moved since it was read, ErrConflict
// else.
func (r *Registry) Remove(ctx context.Context, c commands.CallKey, e *Entry) error {
	msg := nats.NewMsg(r.subject(c.String()))
	msg.Header.Set("KV-Operation", "DEL")
	_, err := r.publish(ctx, msg, e.revision, endedTTL)
	return err
}

// Update reads, changes and stores an entry until no other writer interferes.
// change reports whether there is something to store.
func (r *Registry) Update(ctx context.Context, c commands.CallKey, change func(*Entry) bool) (Entry, error) {
	for {
		e, _, err := r.Get(ctx, c)
		if err != nil {
			return e, err
		}
		if !change(&e) {
			return e, nil
		}
		err = r.Put(ctx, c, &e)
		if !errors.Is(err, ErrConflict) {
			return e, err
		}
	}
}

// Owner tells which call a Graph call id belongs to.
func (r *Registry) Owner(ctx context.Context, callID string) (commands.CallKey, bool, error) {
	data, _, err := r.get(ctx, idPrefix+commands.NormalCallID(callID))
	if err != nil || data == nil {
		return commands.CallKey{}, false, err
	}
	var c commands.CallKey
	if err := json.Unmarshal(data, &c); err != nil {
		return c, false, fmt.Errorf("owner of a call id: %w", err)
	}
	return c, true, nil
}

// Claim makes c the owner of a Graph call id, unless somebody else is: then it
// returns the owner. Incoming calls that nobody has claimed change hands.
func (r *Registry) Claim(ctx context.Context, callID string, c commands.CallKey) (owner commands.CallKey, err error) {
	key := idPrefix + commands.NormalCallID(callID)
	want, err := json.Marshal(c)
	if err != nil {
		return owner, fmt.Errorf("encode owner: %w", err)
	}
	for {
		data, revision, err := r.get(ctx, key)
		if err != nil {
			return owner, err
		}
		if data != nil {
			if err := json.Unmarshal(data, &owner); err != nil {
				return owner, fmt.Errorf("owner of a call id: %w", err)
			}
			if owner == c || owner.Producer != commands.IncomingProducer {
				return owner, nil
			}
		}
		// Nobody claims a call id for longer than its call can live.
		_, err = r.put(ctx, key, want, revision, endedTTL)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, ErrConflict) {
			return owner, err
		}
	}
}

func (r *Registry) subject(key string) string { return "$KV." + r.bucket + "." + key }

// get returns nil data and a revision for a key that was deleted.
func (r *Registry) get(ctx context.Context, key string) ([]byte, uint64, error) {
	msg, err := streams.LeaderGet(ctx, r.js, "KV_"+r.bucket, r.subject(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read registry: %w", err)
	}
	if msg.Header.Get("KV-Operation") != "" || msg.Header.Get("Nats-Marker-Reason") != "" {
		return nil, msg.Sequence, nil
	}
	return msg.Data, msg.Sequence, nil
}

func (r *Registry) put(ctx context.Context, key string, data []byte, revision uint64, ttl time.Duration) (uint64, error) {
	msg := nats.NewMsg(r.subject(key))
	msg.Data = data
	return r.publish(ctx, msg, revision, ttl)
}

func (r *Registry) publish(ctx context.Context, msg *nats.Msg, revision uint64, ttl time.Duration) (uint64, error) {
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(revision)}
	if ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(ttl))
	}
	ack, err := r.js.PublishMsg(ctx, msg, opts...)
	if streams.Moved(err) {
		return 0, ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("write registry: %w", err)
	}
	return ack.Sequence, nil
}
