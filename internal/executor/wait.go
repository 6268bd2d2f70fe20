package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"callbus/internal/commands"
	"callbus/internal/pacing"
)

// gateReasons are the reasons to wait that are somebody's limit.
var gateReasons = map[string]bool{"throttled": true, "liveCalls": true, "monthlyCalls": true, "breaker": true, "paused": true}

// Parking delays grow with the time for which nothing has happened.
const (
	parkFirst = 2 * time.Second
	parkMost  = time.Minute
	// tellAfter is how long a command is held before producers are told.
	tellAfter = 2 * time.Second
	// jitterMost bounds what is added to the wait for a gate.
	jitterMost = 10 * time.Second
	// behindMost is the longest delay of what waits for a call whose place is held.
	behindMost = 5 * time.Minute
	// So often a second a worker looks at what it has parked, on average at most,
	// however much that is: while commands wait for their calls, of which hints
	// tell; and when a gate has opened.
	looksWaiting = 100
	looksOpen    = 500
)

// wait parks a command that cannot be sent yet. Until is when that is known to
// change, zero when it is not; a hint may bring it back earlier. Producers are
// told when it has been held for a while, once a change of reason.
func (j *job) wait(ctx context.Context, reason string, until time.Time) error {
	return j.waitFor(ctx, pacing.Wait{Reason: reason, Until: until})
}

func (j *job) waitFor(ctx context.Context, w pacing.Wait) error {
	reason, until := w.Reason, w.Until
	now := time.Now()
	if !until.IsZero() && !until.Before(j.expiry) {
		return j.cannotMakeIt(ctx, reason, until)
	}
	delay := parkDelay(j.quiet())
	if reason == "callNotReady" {
		// What was parked together does not come back together: due redeliveries
		// are handed out before anything fresh.
		delay = max(delay, j.placeHeld(now))
		delay += j.spread(delay/4, looksWaiting/2)
	}
	if w.Look > 0 {
		delay = w.Look + j.spread(w.Look/4, looksOpen)
	}
	if !until.IsZero() {
		delay = until.Sub(now)
		if gateReasons[reason] {
			delay += j.spread(min(delay/10, jitterMost), looksOpen) // not all at once when the gate opens
		}
	}
	if look := j.x.opts.MonthLook; reason == "monthlyCalls" && look > 0 && delay > look {
		delay = look + jitter(min(look/10, time.Minute)) // nobody knows for certain when the month ends
	}
	if left := j.expiry.Sub(now); delay > left {
		delay = left // to be expired in time
	}
	told := j.view.Own != nil && j.view.Own.Status == commands.Waiting && j.view.Own.Reason == reason
	// A gate or a date holds the command until then for certain; a call may be
	// ready at any moment.
	held := !until.IsZero() && reason != "callNotReady"
	// "waiting" after "started" says that Graph certainly did not take it, which
	// only who sent it can know.
	begun := j.view.Own != nil && j.view.Own.Status == commands.Started
	unsent := begun && j.view.Own.Attempt == j.nonce && !j.doubt
	if unsent || !begun && !told && (j.waited() >= tellAfter || held && until.Sub(now) >= tellAfter) {
		r := j.record(commands.Waiting)
		r.Reason = reason
		if !until.IsZero() {
			u := until.UTC()
			r.Until = &u
		}
		if err := j.append(ctx, r); err != nil {
			return err
		}
	}
	if reason == "notBefore" {
		j.m.Hold(max(delay, 0))
		return nil
	}
	j.m.Park(max(delay, 0))
	return nil
}

// cannotMakeIt ends a command that cannot be sent before it expires.
func (j *job) cannotMakeIt(ctx context.Context, reason string, until time.Time) error {
	if own := j.view.Own; own != nil && own.Status == commands.Started && (j.doubt || own.Attempt != j.nonce) {
		return j.fail(ctx, commands.Unknown, answerLost())
	}
	class := commands.ClassThrottled
	switch reason {
	case "monthlyCalls", "liveCalls":
		class = commands.ClassQuota
	case "breaker":
		class = commands.ClassTransient
	}
	if !gateReasons[reason] {
		return j.fail(ctx, commands.Expired, expired(j.expiry))
	}
	u := until.UTC()
	return j.fail(ctx, commands.Failed, &commands.Error{
		Class: class, Reason: reason, Code: reason, Retryable: true, RetryAfter: &u,
		Message: fmt.Sprintf("cannot be sent before it expires at %s", j.expiry.UTC().Format(time.RFC3339)),
		Hint:    "publish it again with a new id and a later expiresAt, from retryAfter on",
	})
}

func expired(at time.Time) *commands.Error {
	return &commands.Error{
		Class: commands.ClassTransient, Reason: "expired", Code: "expired", Retryable: true,
		Message: fmt.Sprintf("was not sent before it expired at %s", at.UTC().Format(time.RFC3339)),
		Hint:    "publish it again with a new id if it is still wanted",
	}
}

// parkDelay is half of the time for which nothing has happened. It does not
// count deliveries: every hint makes one, and a call with many commands would
// soon park them for a minute, which a hint to another worker cannot end.
func parkDelay(quiet time.Duration) time.Duration {
	return min(max(quiet/2, parkFirst), parkMost)
}

// placeHeld is how much longer the place of the command's call is held for
// certain, at most behindMost; 0: it is not, or nobody knows. Until then there
// is nothing to look for: should the place go earlier after all, its hint brings
// the command back.
func (j *job) placeHeld(now time.Time) time.Duration {
	place := j.view.Place
	if place == nil || place.CommandID == j.key.ID || place.Status != commands.Waiting || place.Until == nil {
		return 0
	}
	return min(max(place.Until.Sub(now), 0), behindMost)
}

// quiet is how long the command has been due and nothing has been recorded of
// its call.
func (j *job) quiet() time.Duration {
	return min(j.waited(), max(time.Since(j.view.LastAt), 0))
}

// waited is how long the command has been due.
func (j *job) waited() time.Duration {
	due := j.m.Published
	if j.cmd.NotBefore.After(due) {
		due = j.cmd.NotBefore
	}
	return time.Since(due)
}

// spread is a random time up to most, or more when so many commands are parked
// here that more than so many a second would come back.
func (j *job) spread(most time.Duration, perSecond int) time.Duration {
	return jitter(spreadMost(most, j.x.Queue.Parked(), perSecond))
}

func spreadMost(most time.Duration, parked, perSecond int) time.Duration {
	return max(most, time.Duration(parked)*time.Second/time.Duration(perSecond))
}

// jitter is a random time up to most, so that what was held together does not
// come back together.
func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(most/2), backoff.WithRandomizationFactor(1), backoff.WithMaxElapsedTime(0))
	return b.NextBackOff()
}

// retryDelay is the jittered exponential backoff before attempt n+1.
func retryDelay(n int, first, most time.Duration) time.Duration {
	b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most), backoff.WithMultiplier(2), backoff.WithMaxElapsedTime(0))
	d := b.NextBackOff()
	for range max(n-1, 0) {
		d = b.NextBackOff()
	}
	return d
}
