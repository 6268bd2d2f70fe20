package timers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// Armed is which timers are armed, as it was at one moment. One that has fired
// is not, also while its handler is at work or has not begun.
type Armed struct {
	timers map[slot]bool
	calls  map[slot]bool // with the id left out
}

// slot is what holds one timer.
type slot struct {
	key  commands.Key
	kind Kind
}

// Has tells whether the timer of the key and kind is armed.
func (a Armed) Has(key commands.Key, kind Kind) bool { return a.timers[slot{key, kind}] }

// HasAny tells whether any command of the call has a timer of the kind armed.
func (a Armed) HasAny(call commands.CallKey, kind Kind) bool {
	return a.calls[slot{commands.Key{Producer: call.Producer, CallRef: call.CallRef}, kind}]
}

// Armed lists the armed timers. It asks the stream for their subjects alone: a
// request for each hundred thousand.
func (t *Timers) Armed(ctx context.Context) (Armed, error) {
	stream, err := t.js.Stream(ctx, t.prefix.Stream(streams.Timers))
	if err != nil {
		return Armed{}, fmt.Errorf("list armed timers: %w", err)
	}
	any := commands.Key{Producer: "*", CallRef: "*", ID: "*"}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(t.prefix.Timer(any, "*")))
	if err != nil {
		return Armed{}, fmt.Errorf("list armed timers: %w", err)
	}
	a := Armed{timers: make(map[slot]bool, len(info.State.Subjects)), calls: map[slot]bool{}}
	for subject := range info.State.Subjects {
		parts := strings.Split(subject, ".")
		if len(parts) != 6 {
			continue // nothing that Arm has written
		}
		s := slot{commands.Key{Producer: parts[2], CallRef: parts[3], ID: parts[4]}, Kind(parts[5])}
		a.timers[s] = true
		s.key.ID = ""
		a.calls[s] = true
	}
	return a, nil
}

// ArmMissing arms a timer unless one of the key and kind is armed, which then
// stays as it is; it reports whether it did. The stream decides, so that of any
// number of workers one arms it. It blocks for one request.
func (t *Timers) ArmMissing(ctx context.Context, timer Timer, at time.Time) (bool, error) {
	err := t.arm(ctx, timer, at, jetstream.WithExpectLastSequencePerSubject(0))
	if streams.Moved(err) {
		return false, nil
	}
	return err == nil, err
}
