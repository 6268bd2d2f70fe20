package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/internal/streams"
)

// Run folds events into the registry and settles what they decide, until take
// ends, at most slots at once. It returns when all that were in work have
// ended; they get the context work.
func (c *Calls) Run(take, work context.Context, slots int) {
	streams.Consume(take, work, c.Events.js, c.Events.prefix.Stream(streams.Events), streams.FoldConsumer, slots, c.log, c.stalled, c.receive)
}

func (c *Calls) receive(ctx context.Context, msg jetstream.Msg) {
	var ev commands.Event
	if err := json.Unmarshal(msg.Data(), &ev); err != nil {
		c.log.Error("event is unreadable", "subject", msg.Subject(), "err", err)
		_ = msg.Term()
		return
	}
	switch err := c.take(ctx, ev); {
	case errors.Is(err, errNotYet):
		_ = msg.NakWithDelay(50 * time.Millisecond)
	case err != nil:
		c.failed.Failed(err, "producer", ev.Producer, "call_ref", ev.CallRef, "kind", ev.Kind)
		_ = msg.NakWithDelay(time.Second)
	default:
		c.failed.Passed()
		_ = msg.Ack()
	}
}

// take folds one event: find the call, fold, store, settle, tell. Each step is
// idempotent, and the whole is repeated after a failure.
func (c *Calls) take(ctx context.Context, ev commands.Event) error {
	for {
		if err := c.forward(ctx, &ev); err != nil {
			return err
		}
		call := ev.Call()
		e, known, err := c.Registry.Get(ctx, call)
		if err != nil {
			return err
		}
		if ok, err := c.find(ctx, ev, &e, known); !ok || err != nil {
			return err
		}
		answered := !e.EstablishedAt.IsZero()
		if err := c.catchUp(ctx, call, &e, ev); err != nil {
			return err
		}
		changed, doubt := e.Fold(ev)
		if doubt {
			return c.look(ctx, call, e)
		}
		if changed {
			if err := c.Registry.Put(ctx, call, &e); errors.Is(err, ErrConflict) {
				continue
			} else if err != nil {
				return err
			}
		}
		crashpoint.Reach(crashpoint.Folded, string(ev.Kind))
		err = c.follow(ctx, ev, e, changed, !answered && !e.EstablishedAt.IsZero())
		crashpoint.Reach(crashpoint.Settled, string(ev.Kind))
		return err
	}
}

// forward gives an event of an incoming call that was claimed after it was stored
// to whoever has claimed the call.
func (c *Calls) forward(ctx context.Context, ev *commands.Event) error {
	if ev.Producer != commands.IncomingProducer || ev.CallID == "" {
		return nil
	}
	owner, ok, err := c.Registry.Owner(ctx, ev.CallID)
	if ok {
		ev.Producer, ev.CallRef = owner.Producer, owner.CallRef
	}
	return err
}

// find makes e the entry that the event is about; false when it is not to be
// folded.
func (c *Calls) find(ctx context.Context, ev commands.Event, e *Entry, known bool) (bool, error) {
	switch {
	case ev.CommandID != "" && known && e.PlaceID == ev.CommandID && e.Is(ev.CallID):
		return true, nil
	case ev.CommandID != "":
		b, err := c.bind(ctx, ev, e)
		switch {
		case err != nil:
			return false, err
		case b == pending:
			return false, errNotYet
		case b == orphan:
			return false, c.hangUpOrphan(ctx, ev)
		}
		return b == bound, nil
	case ev.Kind == commands.KindIncoming && !e.Is(ev.CallID):
		if known && e.Live() {
			return false, nil
		}
		owner, err := c.Registry.Claim(ctx, ev.CallID, ev.Call())
		switch {
		case err != nil:
			return false, err
		case owner != ev.Call() && ev.Producer == commands.IncomingProducer:
			return false, errNotYet // claimed just now: the next try goes to the owner
		case owner != ev.Call():
			return false, nil
		}
		*e = Entry{CallID: ev.CallID, TenantID: ev.TenantID, AcceptedAt: ev.Time, revision: e.revision}
		return true, nil
	}
	return known && e.Is(ev.CallID), nil
}

// follow does what the folded event brings about.
func (c *Calls) follow(ctx context.Context, ev commands.Event, e Entry, changed, answered bool) error {
	call := ev.Call()
	if op := ev.Operation; op != nil && op.ClientContext != "" {
		if err := c.settleByContext(ctx, call, e, op); err != nil {
			return err
		}
	}
	e, err := c.SettleDecided(ctx, call, e)
	if err != nil {
		return err
	}
	if !e.Ended() && (answered || (e.Established() && ev.State == StateEstablished)) {
		if err := c.watchEstablished(ctx, call, e); err != nil {
			return err
		}
	}
	if ev.Kind == commands.KindIncoming && e.Live() {
		if err := c.watchIncoming(ctx, call, e); err != nil {
			return err
		}
	}
	if o := e.OpenOf(e.PlaceID); e.Ended() && o != nil && !o.Settled {
		if err := c.watchAnswer(ctx, commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: o.ID}, e); err != nil {
			return err
		}
	}
	if e.Ended() && ev.State == StateTerminated {
		if err := c.end(ctx, call, e, ev); err != nil {
			return err
		}
	}
	if changed {
		c.hint(call)
	}
	return nil
}

// settleByContext settles an operation that the registry does not have open
// yet: its answer is still on the way, but its context is the command's id.
func (c *Calls) settleByContext(ctx context.Context, call commands.CallKey, e Entry, op *commands.Operation) error {
	open := Open{OperationID: op.ID, Status: op.Status, ResultInfo: op.ResultInfo}
	for _, o := range e.Open {
		if o.matches(op) {
			return nil
		}
	}
	if !commands.ValidID(op.ClientContext) {
		return nil
	}
	out, ok := e.decideOperation(open)
	if !ok {
		return nil
	}
	_, err := c.Settle(ctx, commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: op.ClientContext}, e.CallID, out)
	return err
}

// end publishes the end of the call, once.
func (c *Calls) end(ctx context.Context, call commands.CallKey, e Entry, ev commands.Event) error {
	if e.Reason == ReasonUnseen {
		// The notification that says why may have come meanwhile.
		stored, err := c.Events.Stored(ctx, call, commands.KindState, e.CallID)
		if err != nil {
			return err
		}
		for _, late := range stored {
			e.foldLate(late)
		}
	}
	out := commands.Event{
		Producer: call.Producer, CallRef: call.CallRef, CallID: e.CallID, CallChainID: e.CallChainID, TenantID: e.TenantID,
		CommandID: e.PlaceID, Attempt: e.Attempt, Time: e.EndedAt, State: StateTerminated,
		ResultInfo: e.ResultInfo, TerminationReason: e.TerminationReason, Reason: e.Reason,
		AnsweredBy: ev.AnsweredBy, Source: ev.Source, Raw: ev.Raw,
	}
	if e.ResultInfo != nil {
		out.Hint = commands.ExplainResult(e.ResultInfo.Code, e.ResultInfo.Subcode).Hint
	}
	ring, talk := e.times()
	if ring > 0 {
		out.RingMS = ptr(ring.Milliseconds())
	}
	if talk > 0 {
		out.TalkMS = ptr(talk.Milliseconds())
	}
	first, err := c.Events.AppendEnd(ctx, out)
	if err != nil {
		return err
	}
	if c.over != nil && e.PlaceID != "" {
		c.over(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: e.PlaceID})
	}
	if first && c.obs != nil {
		c.obs.CallEnded(e.Reason, ring, talk)
	}
	return nil
}

// times are how long the call rang and how long it was up; zero when unknown.
func (e *Entry) times() (ring, talk time.Duration) {
	answered := e.EstablishedAt
	if answered.IsZero() {
		answered = e.EndedAt
	}
	if !e.AcceptedAt.IsZero() && !answered.IsZero() {
		ring = max(answered.Sub(e.AcceptedAt), 0)
	}
	if !e.EstablishedAt.IsZero() && e.Ended() {
		talk = max(e.EndedAt.Sub(e.EstablishedAt), 0)
	}
	return ring, talk
}

// hangUpOrphan ends a call that exists and that nobody wants.
func (c *Calls) hangUpOrphan(ctx context.Context, ev commands.Event) error {
	if ev.State == "" || ev.State == StateTerminated || ev.State == StateTerminating {
		return nil
	}
	gone, err := c.graph.Hangup(ctx, ev.TenantID, ev.CallID)
	if err != nil {
		return fmt.Errorf("hang up an orphan: %w", err)
	}
	if gone {
		return nil
	}
	// One that takes its time to end is told once, however often it is heard of.
	told, err := c.Events.Stored(ctx, ev.Call(), commands.KindOther, ev.CallID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(told, func(e commands.Event) bool { return e.Reason == "orphan" }) {
		return nil
	}
	c.log.Warn("orphan hung up", "producer", ev.Producer, "call_ref", ev.CallRef, "command_id", ev.CommandID, "call_id", ev.CallID)
	return c.Events.Append(ctx, commands.Event{
		Producer: ev.Producer, CallRef: ev.CallRef, CallID: ev.CallID, CallChainID: ev.CallChainID, TenantID: ev.TenantID,
		CommandID: ev.CommandID, Attempt: ev.Attempt, Kind: commands.KindOther, State: ev.State, Reason: "orphan",
		Hint: "a call came up that was no longer wanted; it was hung up at once",
	}, "orphan-"+commands.NormalCallID(ev.CallID))
}

func ptr[T any](v T) *T { return &v }
