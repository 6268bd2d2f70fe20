// Package timers keeps durable timers in JetStream's message schedules: armed
// by any worker, fired into a stream by the server, handled by whichever worker
// is up. A timer fires at least once, never early; handlers ask the journal
// what is still to be done.
package timers

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
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
}

// Handler settles a fired timer. A time other than zero arms it again; an error
// brings it back after a while.
type Handler func(ctx context.Context, t Timer) (again time.Time, err error)

// Timers arms and runs timers. Make it with New.
type Timers struct {
	js     jetstream.JetStream
	prefix commands.Prefix
	log    *slog.Logger
}

// New needs the timers stream to exist.
func New(js jetstream.JetStream, prefix commands.Prefix, log *slog.Logger) *Timers {
	return &Timers{js: js, prefix: prefix, log: log.With("component", "timers")}
}

// Arm sets or moves a timer: one key and kind hold one timer, the last one
// armed. A time that is past fires at once. It blocks for one request.
func (t *Timers) Arm(ctx context.Context, timer Timer, at time.Time) error {
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
	if _, err := t.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("arm timer %s of %s %s: %w", timer.Kind, timer.Key.Call(), timer.Key.ID, err)
	}
	return nil
}

// Run handles fired timers until take ends, at most slots at once, and returns
// when all that were in work have ended. Work gets the context work.
func (t *Timers) Run(take, work context.Context, slots int, handle Handler) {
	streams.Consume(take, work, t.js, t.prefix.Stream(streams.Timers), streams.DueConsumer, slots, t.log,
		func(ctx context.Context, msg jetstream.Msg) { t.fire(ctx, msg, handle) })
}

// failedPause is the wait before a timer whose handler failed comes back.
const failedPause = 2 * time.Second

func (t *Timers) fire(ctx context.Context, msg jetstream.Msg, handle Handler) {
	timer, err := t.parse(msg)
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
	if err != nil {
		t.log.Warn("timer failed, comes back", "kind", timer.Kind, "producer", timer.Key.Producer, "call_ref", timer.Key.CallRef, "command_id", timer.Key.ID, "err", err)
		_ = msg.NakWithDelay(failedPause)
		return
	}
	_ = msg.Ack()
}

func (t *Timers) parse(msg jetstream.Msg) (Timer, error) {
	parts := strings.Split(msg.Subject(), ".")
	if len(parts) != 6 {
		return Timer{}, fmt.Errorf("subject %q is not %s.due.<producer>.<callRef>.<id>.<kind>", msg.Subject(), t.prefix)
	}
	timer := Timer{}
	if err := json.Unmarshal(msg.Data(), &timer); err != nil {
		return Timer{}, err
	}
	timer.Key = commands.Key{Producer: parts[2], CallRef: parts[3], ID: parts[4]}
	timer.Kind = Kind(parts[5])
	return timer, nil
}
