package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/streams"
)

// Rebuilt is what a rebuilding of the registry came to.
type Rebuilt struct {
	Records, Events int // read
	Calls, Claims   int // that the streams know
	Restored        int // entries that were missing
	Replaced        int // entries that differed
	Moved           int // entries that kept moving: workers keep them up
	Unknown         int // entries that the streams know nothing of, left as they are
}

// rebuildTries bounds how often entries that move meanwhile are looked at again.
const rebuildTries = 5

// Rebuild makes the registry, claims included, from the records and events, and
// stores what is missing or differs; with dryRun it only tells. Workers may go on:
// an entry is replaced only if it has not moved since before the streams were
// read, and what it knows of commands under way stays. It blocks until all is
// written, and holds an entry of every call of the streams' age in memory.
func Rebuild(ctx context.Context, reg *Registry, events *Events, journal *ledger.Journal, dryRun bool) (Rebuilt, error) {
	var done Rebuilt
	for try := range rebuildTries {
		now, err := rebuildOnce(ctx, reg, events, journal, dryRun)
		if err != nil {
			return done, fmt.Errorf("rebuild the registry: %w", err)
		}
		now.Restored, now.Replaced = now.Restored+done.Restored, now.Replaced+done.Replaced
		done = now
		if done.Moved == 0 || dryRun || try == rebuildTries-1 {
			break
		}
	}
	return done, nil
}

func rebuildOnce(ctx context.Context, reg *Registry, events *Events, journal *ledger.Journal, dryRun bool) (Rebuilt, error) {
	var done Rebuilt
	stored, err := reg.snapshot(ctx) // before the streams: what moves later is newer than they are
	if err != nil {
		return done, err
	}
	var moments []moment
	err = journal.All(ctx, func(rec *ledger.Record) error {
		rec.Data = nil
		moments = append(moments, moment{at: rec.Stored, record: rec})
		done.Records++
		return nil
	})
	if err != nil {
		return done, err
	}
	err = events.all(ctx, func(ev commands.Event, at time.Time) {
		moments = append(moments, moment{at: at, event: &ev})
		done.Events++
	})
	if err != nil {
		return done, err
	}
	r := replayed(moments)
	write := func(key string, data []byte, ttl time.Duration) error {
		old, ok := stored[key]
		delete(stored, key)
		switch {
		case ok && bytes.Equal(old.data, data):
			return nil
		case !dryRun:
			_, err := reg.put(ctx, key, data, old.revision, ttl)
			if errors.Is(err, ErrConflict) {
				done.Moved++
				return nil
			}
			if err != nil {
				return err
			}
		}
		if old.data == nil {
			done.Restored++
		} else {
			done.Replaced++
		}
		return nil
	}
	for call, e := range r.entries {
		if e.CallID == "" && e.PlaceID == "" {
			continue // nothing was ever known of it
		}
		done.Calls++
		var ttl time.Duration
		if !e.Live() {
			if ttl = left(e.EndedAt); ttl <= 0 {
				continue
			}
		}
		data, err := json.Marshal(r.keep(call, e, stored[call.String()].data))
		if err != nil {
			return done, err
		}
		if err := write(call.String(), data, ttl); err != nil {
			return done, err
		}
	}
	for id, owner := range r.claims {
		done.Claims++
		data, err := json.Marshal(owner)
		if err != nil {
			return done, err
		}
		if err := write(idPrefix+id, data, endedTTL); err != nil {
			return done, err
		}
	}
	for _, s := range stored {
		if s.data != nil {
			done.Unknown++
		}
	}
	return done, nil
}

// left is for how long an entry that is not live is still to be remembered.
func left(ended time.Time) time.Duration {
	if ended.IsZero() {
		return endedTTL
	}
	return (endedTTL - time.Since(ended)).Truncate(time.Second) // the server's unit
}

// keep adds to e what the stored entry knows of the same call and no record says
// yet: a command that is about to be begun, a hang-up that is about to be sent.
func (r *replay) keep(call commands.CallKey, e *Entry, stored []byte) *Entry {
	var old Entry
	if stored == nil || json.Unmarshal(stored, &old) != nil || old.PlaceID != e.PlaceID || commands.NormalCallID(old.CallID) != commands.NormalCallID(e.CallID) {
		return e
	}
	for _, o := range old.Open {
		if e.OpenOf(o.ID) == nil && !r.finals[commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: o.ID}] {
			e.Open = append(e.Open, o)
		}
	}
	if old.HangupWanted && !e.HangupWanted && !e.Ended() {
		e.HangupWanted, e.HangupReason = true, old.HangupReason
	}
	return e
}

// storedEntry is one key of the bucket; data is nil for one that was deleted.
type storedEntry struct {
	data     []byte
	revision uint64
}

func (r *Registry) snapshot(ctx context.Context) (map[string]storedEntry, error) {
	all := map[string]storedEntry{}
	err := streams.All(ctx, r.js, "KV_"+r.bucket, func(msg jetstream.RawStreamMsg) error {
		s := storedEntry{data: msg.Data, revision: msg.Sequence}
		if msg.Header.Get("KV-Operation") != "" || msg.Header.Get("Nats-Marker-Reason") != "" {
			s.data = nil
		}
		all[strings.TrimPrefix(msg.Subject, r.subject(""))] = s
		return nil
	})
	return all, err
}

// all hands over every stored event that moves a call, in order.
func (s *Events) all(ctx context.Context, take func(commands.Event, time.Time)) error {
	any := commands.CallKey{Producer: "*", CallRef: "*"}
	var subjects []string
	for _, k := range []commands.Kind{commands.KindIncoming, commands.KindState, commands.KindRoster, commands.KindOperation, commands.KindOther} {
		subjects = append(subjects, s.prefix.Event(any, k))
	}
	return streams.All(ctx, s.js, s.prefix.Stream(streams.Events), func(msg jetstream.RawStreamMsg) error {
		var ev commands.Event
		if json.Unmarshal(msg.Data, &ev) != nil {
			return nil // the fold passes it over too
		}
		ev.Raw = nil
		take(ev, msg.Time)
		return nil
	}, subjects...)
}
