// Package timers keeps durable timers in JetStream's message schedules: armed
// by any worker, fired into a stream by the server, handled by whichever worker
// is up. A timer fires at least once, never early; handlers ask the journal
// what is still to be done.
package timers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
	"callbus/internal/trouble"
)

// Kind is what a timer is for and the last token of its subject.
type Kind string

// Timer is one armed or fired timer.
type Timer struct {
	Key  commands.Key `json:"-"`
	Kind Kind         `json:"-"`
	// CallID and TenantID are what the handler needs when the registry has
	// moved on to another call of the same name.
	CallID   string `json:"callId,omitempty"`
	TenantID string `json:"tenantId,omitempty"`
	// Since is when the thing waited for began.
	Since time.Time `json:"since,omitzero"`
	// Tries counts how often the timer was armed again.
	Tries int `json:"tries,omitempty"`
	// Attached is carried along for whoever looks the timer up with Find.
	Attached json.RawMessage `json:"attached,omitempty"`
}

// Handler settles a fired timer. A time other than zero arms it again; an error
// brings it back after a while.
type Handler func(ctx context.Context, t Timer) (again time.Time, err error)

// Timers arms and runs timers. Make it with New.
type Timers struct {
	js     jetstream.JetStream
	prefix commands.Prefix
	log    *slog.Logger
	failed *trouble.Log
	// Stalled is told when fired timers could not be fetched; may be nil.
	Stalled func(consumer string)
}

// New needs the timers stream to exist.
func New(js jetstream.JetStream, prefix commands.Prefix, log *slog.Logger) *Timers {
	log = log.With("component", "timers")
	return &Timers{js: js, prefix: prefix, log: log, failed: trouble.New(log, "timer failed, comes back", "timers no longer fail")}
}

// Arm sets or moves a timer: one key and kind hold one timer, the last one
// armed. A time that is past fires at once. It blocks for one request.
func (t *Timers) Arm(ctx context.Context, timer Timer, at time.Time) error {
	return t.arm(ctx, timer, at)
}

func (t *Timers) arm(ctx context.Context, timer Timer, at time.Time, opts ...jetstream.PublishOpt) error {
	body, err := json.Marshal(timer)
	if err != nil {
		return fmt.Errorf("encode timer: %w", err)
	}
	msg := nats.NewMsg(t.prefix.Timer(timer.Key, string(timer.Kind)))
	msg.Data = body
	// Written by hand: the client library's option cuts to whole seconds and
	// fires early by up to one.
	msg.Header.Set("Nats-Schedule", "@at "+at.UTC().Format(time.RFC3339Nano))
	msg.Header.Set("Nats-Schedule-Target", t.prefix.Due(timer.Key, string(timer.Kind)))
	msg.Header.Set("Nats-TTL", "never") // else the stream's MaxAge deletes armed timers silently
	if _, err := t.js.PublishMsg(ctx, msg, opts...); err != nil {
		return fmt.Errorf("arm timer %s of %s %s: %w", timer.Kind, timer.Key.Call(), timer.Key.ID, err)
	}
	return nil
}

// Run handles fired timers until take ends, at most slots at once, and returns
// when all that were in work have ended. Work gets the context work.
func (t *Timers) Run(take, work context.Context, slots int, handle Handler) {
	streams.Consume(take, work, t.js, t.prefix.Stream(streams.Timers), streams.DueConsumer, slots, t.log, t.Stalled,
		func(ctx context.Context, msg jetstream.Msg) { t.fire(take, ctx, msg, handle) })
}

// The wait before a timer whose handler failed comes back; it doubles with each
// failure, for what ails one timer mostly ails thousands.
const (
	failedPause = 2 * time.Second
	failedMost  = 30 * time.Second
)

func (t *Timers) fire(take, ctx context.Context, msg jetstream.Msg, handle Handler) {
	timer, err := t.parse(msg.Subject(), msg.Data())
	if err != nil {
		t.log.Error("timer is unreadable", "subject", msg.Subject(), "err", err)
		_ = msg.Term()
		return
	}
	again, err := handle(ctx, timer)
	if err == nil && !again.IsZero() {
		timer.Tries++
		err = t.Arm(ctx, timer, again)
	}
	if err != nil && take.Err() != nil {
		_ = msg.Nak() // stopping: another worker takes it at once
		return
	}
	if err != nil {
		t.failed.Failed(err, "kind", timer.Kind, "producer", timer.Key.Producer, "call_ref", timer.Key.CallRef, "command_id", timer.Key.ID)
		_ = msg.NakWithDelay(pause(msg))
		return
	}
	t.failed.Passed()
	_ = msg.Ack()
}

func pause(msg jetstream.Msg) time.Duration {
	d := failedPause
	if meta, err := msg.Metadata(); err == nil {
		for n := uint64(1); n < meta.NumDelivered && d < failedMost; n++ {
			d *= 2
		}
	}
	return min(d, failedMost)
}

// Find returns the timer of the key and kind as it was armed last, or as it
// fired within the last day; false when there is neither. It asks the stream's
// leader.
func (t *Timers) Find(ctx context.Context, key commands.Key, kind Kind) (Timer, bool, error) {
	for _, subject := range []string{t.prefix.Timer(key, string(kind)), t.prefix.Due(key, string(kind))} {
		msg, err := streams.LeaderGet(ctx, t.js, t.prefix.Stream(streams.Timers), subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return Timer{}, false, fmt.Errorf("find timer %s of %s %s: %w", kind, key.Call(), key.ID, err)
		}
		timer, err := t.parse(subject, msg.Data)
		return timer, err == nil, err
	}
	return Timer{}, false, nil
}

func (t *Timers) parse(subject string, data []byte) (Timer, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 6 {
		return Timer{}, fmt.Errorf("subject %q is not %s.due.<producer>.<callRef>.<id>.<kind>", subject, t.prefix)
	}
	timer := Timer{}
	if err := json.Unmarshal(data, &timer); err != nil {
		return Timer{}, err
	}
	timer.Key = commands.Key{Producer: parts[2], CallRef: parts[3], ID: parts[4]}
	timer.Kind = Kind(parts[5])
	return timer, nil
}
