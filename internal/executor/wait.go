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
	// jitterMost bounds what is added to the wait for a gate, where few wait.
	// Admission wakes what it remembers before that, when the gate is open.
	jitterMost = time.Minute
	// behindMost is the longest delay of what waits for a call whose place is held.
	behindMost = 5 * time.Minute
	// looksMost is how often a second a worker looks at what it has parked, about,
	// however much that is. Hints and Admission bring back what can go on.
	looksMost = 100
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
	if w.Look > 0 {
		delay = w.Look + j.spread(w.Look/4)
	}
	// A gate or a date holds the command until then for certain; a call may be
	// ready at any moment, but not before its place or the command may be sent.
	held := !until.IsZero() && reason != "callNotReady"
	switch {
	case !until.IsZero():
		delay = until.Sub(now)
		if gateReasons[reason] {
			delay += j.spread(min(delay/2, jitterMost)) // not all at once when the gate opens
		}
	case reason == "callNotReady":
		if least := j.leastWait(now); least > delay {
			delay, held, until = least, true, now.Add(least)
		}
		// What was parked together does not come back together: due redeliveries
		// are handed out before anything fresh.
		delay += j.spread(delay / 4)
	}
	if look := j.x.opts.MonthLook; reason == "monthlyCalls" && look > 0 && delay > look {
		delay = look + jitter(min(look/10, time.Minute)) // nobody knows for certain when the month ends
	}
	if left := j.expiry.Sub(now); delay > left {
		delay = left // to be expired in time
	}
	told := j.view.Own != nil && j.view.Own.Status == commands.Waiting && j.view.Own.Reason == reason
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

// leastWait is how much longer a command that waits for its call or its turn will
// certainly wait, at most behindMost; 0: it may go at any moment. Until then there
// is nothing to look for; should it go earlier after all, a hint brings it back.
func (j *job) leastWait(now time.Time) time.Duration {
	until := time.Time{}
	if place := j.view.Place; place != nil && place.CommandID != j.key.ID && place.Status == commands.Waiting && place.Until != nil {
		until = *place.Until // its call cannot be there before
	}
	r := j.paced()
	r.Command = "" // a question, not a wish
	if w, held := j.x.Admission.Held(r); held && w.Until.After(until) {
		until = w.Until // Graph does not want to hear of it before, whoever's turn it is
	}
	if until.IsZero() {
		return 0
	}
	return min(max(until.Sub(now), 0), behindMost)
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
// here that more than looksMost a second would come back.
func (j *job) spread(most time.Duration) time.Duration {
	return jitter(spreadMost(most, j.x.Queue.Parked()))
}

func spreadMost(most time.Duration, parked int) time.Duration {
	return max(most, 2*time.Duration(parked)*time.Second/looksMost)
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
