package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// Survey is what JetStream holds for an installation at one moment, for people
// who look. What is missing is left out: [Provision] with dryRun tells of that.
type Survey struct {
	Streams []Standing
	Readers []Reader
	// Clock is the server's time in the answer that came soonest.
	Clock Clock
}

// Standing is how one stream or bucket stands.
type Standing struct {
	Name     string // without the prefix, such as [Results]
	Full     string // the object's own name, for people
	Messages uint64
	Bytes    int64
	Limit    int64 // bytes it may hold; 0: none of its own
	// Oldest and Newest are when its first and last message were stored, zero
	// when it is empty.
	Oldest, Newest time.Time
	InMemory       bool
	Replicas       int
	NoLeader       bool
	Behind         []string // servers whose replica is away or not up to date
	// WhenFull is what comes of its being full, Remedy what helps; empty for what
	// never refuses.
	WhenFull, Remedy string
}

// Left is how many bytes still fit; false without a limit of its own.
func (s Standing) Left() (int64, bool) { return max(s.Limit-s.Bytes, 0), s.Limit > 0 }

// Reader is how one of the workers' consumers stands.
type Reader struct {
	Stream  string // without the prefix
	Name    string // a lane, [FoldConsumer] or [DueConsumer]
	Waiting int    // messages not handed out yet
	InHand  int    // handed out and not finished, parked ones too
	Asking  int    // requests of workers that wait for a message
}

// Clock is the server's time between two moments of ours.
type Clock struct{ Before, Server, After time.Time }

// Look asks about each stream, bucket and consumer, one request each, and
// changes nothing. now is our clock. The error names what could not be asked about.
func Look(ctx context.Context, js jetstream.JetStream, o Options, now func() time.Time) (Survey, error) {
	var all Survey
	for _, h := range append(holders(o.Prefix), address{holder: holder{name: Rate, full: o.Prefix.Stream(Rate)}}) {
		before := now()
		s, err := js.Stream(ctx, h.stream(o.Prefix))
		after := now()
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return all, fmt.Errorf("look at %s: %w", h.full, err)
		}
		info := s.CachedInfo()
		all.Streams = append(all.Streams, standing(h.holder, info))
		if c := (Clock{before, info.TimeStamp, after}); !info.TimeStamp.IsZero() && (all.Clock.Server.IsZero() || c.After.Sub(c.Before) < all.Clock.After.Sub(all.Clock.Before)) {
			all.Clock = c
		}
	}
	for _, c := range o.consumers() {
		cons, err := js.Consumer(ctx, c.stream, c.config.Name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return all, fmt.Errorf("look at consumer %s/%s: %w", c.stream, c.config.Name, err)
		}
		info := cons.CachedInfo()
		all.Readers = append(all.Readers, Reader{c.name(o.Prefix), c.config.Name, int(info.NumPending), info.NumAckPending, info.NumWaiting})
	}
	return all, nil
}

// stream is the name of the stream behind a holder.
func (h holder) stream(prefix commands.Prefix) string {
	switch h.name {
	case Registry:
		return "KV_" + prefix.Registry()
	case Gates:
		return "KV_" + prefix.Stream(Gates)
	}
	return prefix.Stream(h.name)
}

// name is that of the consumer's stream without the prefix.
func (c consumer) name(prefix commands.Prefix) string {
	for _, name := range []string{Commands, Events, Timers} {
		if c.stream == prefix.Stream(name) {
			return name
		}
	}
	return c.stream
}

func standing(h holder, info *jetstream.StreamInfo) Standing {
	s := Standing{
		Name: h.name, Full: h.full, WhenFull: h.effect, Remedy: h.remedy,
		Messages: info.State.Msgs, Bytes: int64(info.State.Bytes), Limit: max(info.Config.MaxBytes, 0),
		InMemory: info.Config.Storage == jetstream.MemoryStorage, Replicas: info.Config.Replicas,
	}
	if s.Messages > 0 {
		s.Oldest, s.Newest = info.State.FirstTime, info.State.LastTime
	}
	if c := info.Cluster; c != nil {
		s.NoLeader = c.Leader == ""
		for _, r := range c.Replicas {
			if r.Offline || !r.Current {
				s.Behind = append(s.Behind, r.Name)
			}
		}
	}
	return s
}
