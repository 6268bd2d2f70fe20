package calls

import (
	"context"
	"time"

	"callbus/internal/commands"
	"callbus/internal/timers"
)

// The kinds of timers that look after calls.
const (
	timerLook      timers.Kind = "look"      // an accepted command without an outcome
	timerKeepAlive timers.Kind = "keepAlive" // an established call
	timerHangup    timers.Kind = "hangup"    // is the call really gone?
	timerRing      timers.Kind = "ring"      // limits.ringSeconds
	timerDuration  timers.Kind = "duration"  // limits.callSeconds, --max-call-duration
)

// lookAgain is how often a call that we do hear of is read all the same while a
// command waits for its outcome: notifications get lost.
const lookAgain = 30 * time.Second

// watchPlaced arms what looks after a call from its acceptance on.
func (c *Calls) watchPlaced(ctx context.Context, key commands.Key, e Entry, from Original) error {
	t := timers.Timer{Key: key, CallID: e.CallID, TenantID: e.TenantID, Since: e.AcceptedAt, Attached: from.attach()}
	arm := func(kind timers.Kind, at time.Time) error {
		t.Kind = kind
		return c.timers.Arm(ctx, t, at)
	}
	if err := arm(timerLook, e.AcceptedAt.Add(c.opts.SilentAfter)); err != nil {
		return err
	}
	t.Attached = nil
	if s := e.Limits.RingSeconds; s > 0 {
		if err := arm(timerRing, e.AcceptedAt.Add(time.Duration(s)*time.Second)); err != nil {
			return err
		}
	}
	if d := c.longest(e.Limits); d > 0 {
		return arm(timerDuration, e.AcceptedAt.Add(d))
	}
	return nil
}

// longest is how long a call may last, 0 for no limit.
func (c *Calls) longest(limits commands.CallLimits) time.Duration {
	longest := c.opts.MaxCallDuration
	if s := time.Duration(limits.CallSeconds) * time.Second; s > 0 && (longest == 0 || s < longest) {
		longest = s
	}
	return longest
}

// watchIncoming arms the look at a call that came in and that nobody may decide
// on: Graph gives it up, and the notification of that may be lost.
func (c *Calls) watchIncoming(ctx context.Context, call commands.CallKey, e Entry) error {
	if e.RespondBy.IsZero() {
		return nil // the sweep looks after it
	}
	return c.timers.Arm(ctx, timers.Timer{
		Key: callTimer(call), Kind: timerHangup, CallID: e.CallID, TenantID: e.TenantID, Since: e.AcceptedAt,
	}, e.RespondBy.Add(c.opts.SilentEvery))
}

// WatchOpen arms the look at an accepted operation, transfer or redirect.
func (c *Calls) WatchOpen(ctx context.Context, key commands.Key, e Entry, since time.Time, from Original) error {
	return c.timers.Arm(ctx, timers.Timer{Key: key, Kind: timerLook, CallID: e.CallID, TenantID: e.TenantID, Since: since, Attached: from.attach()},
		since.Add(c.opts.OperationTimeout))
}

// watchAnswer arms the look at a place whose call ended in good order without
// any word of an answer: that word may still be on its way.
func (c *Calls) watchAnswer(ctx context.Context, place commands.Key, e Entry) error {
	t, ok, err := c.timers.Find(ctx, place, timerLook)
	if err != nil {
		return err
	}
	if !ok {
		t = timers.Timer{Key: place, Kind: timerLook, CallID: e.CallID, TenantID: e.TenantID, Since: e.AcceptedAt}
	}
	return c.timers.Arm(ctx, t, time.Now().Add(c.opts.SilentEvery))
}

// WatchHangup arms the look at a call that was hung up.
func (c *Calls) WatchHangup(ctx context.Context, key commands.Key, callID, tenant string) error {
	return c.timers.Arm(ctx, timers.Timer{Key: key, Kind: timerHangup, CallID: callID, TenantID: tenant, Since: time.Now()},
		time.Now().Add(c.opts.HangupCheck))
}

// WatchGone arms a look at a call that Graph did not find: its last
// notification, which says why it ended, may still be on its way.
func (c *Calls) WatchGone(ctx context.Context, call commands.CallKey, e Entry) error {
	return c.timers.Arm(ctx, timers.Timer{Key: callTimer(call), Kind: timerHangup, CallID: e.CallID, TenantID: e.TenantID, Since: time.Now()},
		time.Now().Add(c.opts.SilentEvery))
}

// callTimer is the key of a timer that belongs to a call, not to a command.
func callTimer(call commands.CallKey) commands.Key {
	return commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: "_call"}
}

// Fire settles a timer; it is the handler for timers.Run.
func (c *Calls) Fire(ctx context.Context, t timers.Timer) (time.Time, error) {
	call := t.Key.Call()
	e, _, err := c.Registry.Get(ctx, call)
	if err != nil {
		return time.Time{}, err
	}
	current := e.Is(t.CallID)
	switch t.Kind {
	case timerLook:
		return c.fireLook(ctx, t, e, current)
	case timerKeepAlive:
		return c.fireKeepAlive(ctx, t, e, current)
	case timerHangup:
		if !current || e.Ended() {
			return time.Time{}, nil
		}
		return c.fireHangup(ctx, call, e)
	case timerRing, timerDuration:
		if !current || e.Ended() || (t.Kind == timerRing && !e.EstablishedAt.IsZero()) {
			return time.Time{}, nil
		}
		return c.fireLimit(ctx, t, e)
	}
	c.log.Error("timer of an unknown kind dropped", "kind", t.Kind)
	return time.Time{}, nil
}

// WantHangup notes that the call with the id is to end, before it is told to: a
// place that is not answered then ends cancelled. It returns the entry as it is
// now; where that is not of this call any more, because the registry was lost or
// the name stands for another call, nothing is noted.
func (c *Calls) WantHangup(ctx context.Context, call commands.CallKey, callID, reason string) (Entry, error) {
	return c.Registry.Update(ctx, call, func(e *Entry) bool {
		if !e.Is(callID) || e.HangupWanted || e.Ended() {
			return false
		}
		e.HangupWanted, e.HangupReason = true, reason
		return true
	})
}

// WantHangupOf notes the same of a place whose call id is not known: should its
// call show, it is hung up at once. The hang-up, if its id is given, ended
// unknown and is corrected when that call is over.
func (c *Calls) WantHangupOf(ctx context.Context, place commands.Key, reason, hangup string) error {
	_, err := c.Registry.Update(ctx, place.Call(), func(e *Entry) bool {
		changed := false
		switch {
		case e.PlaceID == place.ID && e.Ended(), e.PlaceID != place.ID && e.Live():
			return false
		case e.PlaceID != place.ID:
			*e = Entry{PlaceID: place.ID, revision: e.revision}
			fallthrough
		case !e.HangupWanted:
			e.HangupWanted, e.HangupReason, changed = true, reason, true
		}
		if hangup != "" {
			changed = e.Add(Open{ID: hangup, Action: commands.Hangup, Settled: true}) || changed
		}
		return changed
	})
	return err
}

// fireLimit hangs up a call that rings or lasts too long. One of which no answer
// was heard may have been answered: the news of that can be lost.
func (c *Calls) fireLimit(ctx context.Context, t timers.Timer, e Entry) (time.Time, error) {
	call := t.Key.Call()
	r, err := c.graph.ReadCall(ctx, e.TenantID, e.CallID)
	if err != nil {
		return time.Time{}, err
	}
	reason := "ringSeconds"
	switch {
	case t.Kind == timerRing && !r.Gone && rank(r.State) >= rank(StateEstablished):
		return time.Time{}, c.Tell(ctx, call, e, r)
	case t.Kind == timerDuration && e.Limits.CallSeconds > 0:
		reason = "callSeconds"
	case t.Kind == timerDuration:
		reason = "maxCallDuration"
	}
	// Told before it is wanted: nothing else in the streams says so.
	if err := c.Events.Append(ctx, e.limited(call, reason), reason+"-"+commands.NormalCallID(e.CallID)); err != nil {
		return time.Time{}, err
	}
	if e, err = c.WantHangup(ctx, call, e.CallID, reason); err != nil || !e.Is(t.CallID) {
		return time.Time{}, err // lost meanwhile: the event tells who makes the registry anew
	}
	return c.hangUp(ctx, call, e, r)
}

// hintLimited marks the event of a call that reached a limit.
const hintLimited = "the call reached this limit and is hung up"

// limited is the event of a call that is hung up because it reached a limit.
func (e *Entry) limited(call commands.CallKey, reason string) commands.Event {
	return commands.Event{
		Producer: call.Producer, CallRef: call.CallRef, CallID: e.CallID, CallChainID: e.CallChainID, TenantID: e.TenantID,
		CommandID: e.PlaceID, Attempt: e.Attempt, Kind: commands.KindOther, Reason: reason, Hint: hintLimited,
	}
}

func (c *Calls) fireHangup(ctx context.Context, call commands.CallKey, e Entry) (time.Time, error) {
	r, err := c.graph.ReadCall(ctx, e.TenantID, e.CallID)
	if err != nil {
		return time.Time{}, err
	}
	return c.hangUp(ctx, call, e, r)
}

// hangUp deletes a call that is to end and that a reading found alive, and says
// when to look again. What is over, or not to end, it passes on.
func (c *Calls) hangUp(ctx context.Context, call commands.CallKey, e Entry, r Reading) (again time.Time, err error) {
	switch {
	case r.Gone:
		return again, c.Tell(ctx, call, e, r)
	case !e.HangupWanted && e.PlaceID == "" && rank(r.State) < rank(StateEstablished):
		return time.Now().Add(lookAgain), nil // an incoming call: whatever comes of it, comes soon
	case !e.HangupWanted:
		return again, c.Tell(ctx, call, e, r)
	}
	if r.Gone, err = c.graph.Hangup(ctx, e.TenantID, e.CallID); err != nil {
		return again, err
	}
	if r.Gone {
		return again, c.Tell(ctx, call, e, r)
	}
	return time.Now().Add(c.opts.HangupCheck), nil
}

// look reads the call and passes on what it shows as an event, so that
// everything that moves a call comes the same way.
func (c *Calls) look(ctx context.Context, call commands.CallKey, e Entry) error {
	r, err := c.graph.ReadCall(ctx, e.TenantID, e.CallID)
	if err != nil {
		return err
	}
	return c.Tell(ctx, call, e, r)
}

// Tell passes on what a reading of the call showed, as an event.
func (c *Calls) Tell(ctx context.Context, call commands.CallKey, e Entry, r Reading) error {
	return c.Events.Append(ctx, e.read(call, r), "")
}

// read is the event that a reading of the call makes.
func (e *Entry) read(call commands.CallKey, r Reading) commands.Event {
	ev := commands.Event{
		Producer: call.Producer, CallRef: call.CallRef, CallID: e.CallID, CallChainID: e.CallChainID, TenantID: e.TenantID,
		CommandID: e.PlaceID, Attempt: e.Attempt, Kind: commands.KindState, Time: time.Now(), Source: commands.SourceRead,
		State: r.State, AudioActive: r.AudioActive,
	}
	if !r.At.IsZero() {
		ev.Time = r.At
	}
	if r.Gone {
		ev.State, ev.Reason = StateTerminated, ReasonUnseen
	}
	return ev
}

// Refresh reads a call that was not placed here and folds what it shows at
// once; nobody notifies us of it.
func (c *Calls) Refresh(ctx context.Context, call commands.CallKey, e Entry) (Entry, error) {
	r, err := c.graph.ReadCall(ctx, e.TenantID, e.CallID)
	if err != nil {
		return e, err
	}
	ev := e.read(call, r)
	// News is stored before it counts, as everything is that moves a call.
	if changed, _ := (&e).Fold(ev); changed {
		if err := c.Events.Append(ctx, ev, ""); err != nil {
			return e, err
		}
	}
	e, err = c.Registry.Update(ctx, call, func(e *Entry) bool {
		changed, _ := e.Fold(ev)
		return changed
	})
	if err != nil {
		return e, err
	}
	return e, c.follow(ctx, ev, e, true, false)
}
