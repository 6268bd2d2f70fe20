package executor

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/internal/ledger"
	"callbus/internal/queue"
)

// hangupTurn is the turn of a hang-up that overtakes: what was published before
// it for its call and has not been sent is taken out of the queue, a place as
// cancelled, everything else as superseded; then it waits for nothing but the
// id of a call that is being dialled.
func (j *job) hangupTurn(ctx context.Context) (bool, error) {
	seen, dialling, err := j.sweep(ctx)
	if err != nil {
		return false, err
	}
	if !seen {
		j.m.Park(100 * time.Millisecond) // a replica that is behind
		return false, nil
	}
	// The sweep wrote into the journal.
	if on, err := j.recall(ctx); !on || err != nil {
		return false, err
	}
	place := j.view.Place
	switch {
	case j.known() && j.entry.Live(), j.cmd.CallID != "":
		return true, nil
	case dialling:
		if place != nil {
			// Should its answer be lost, it is not dialled again.
			if err := j.x.Calls.WantHangupOf(ctx, place.Key(), "hungUp", ""); err != nil {
				return false, err
			}
		}
		return false, j.wait(ctx, "callNotReady", time.Time{})
	case j.known() && j.entry.Ended():
		return false, j.hungUp(ctx, "alreadyEnded")
	case place == nil:
		return false, j.reject(ctx, commands.CauseNoSuchCall, noSuchCall())
	case place.Final && place.Status != commands.Succeeded:
		return false, j.hangUpNothing(ctx, place)
	}
	return false, j.wait(ctx, "callNotReady", time.Time{}) // the registry is behind the journal
}

// hangUpNothing ends a hang-up whose place came to no call, or to none that we
// know of.
func (j *job) hangUpNothing(ctx context.Context, place *ledger.Record) error {
	switch {
	case place.Status == commands.Unknown:
		if err := j.x.Calls.WantHangupOf(ctx, place.Key(), "hungUp", j.key.ID); err != nil {
			return err
		}
		return j.fail(ctx, commands.Unknown, &commands.Error{
			Class: commands.ClassAmbiguous, Reason: "placeUnknown", Code: "placeUnknown",
			Message: "whether the call exists is not known; it is hung up as soon as it shows",
			Hint:    "a correction follows if it does",
		})
	case place.CallID == "":
		return j.hungUp(ctx, "neverPlaced")
	}
	return j.hungUp(ctx, "alreadyEnded")
}

// wantHangup notes in the registry that the call is to end before it is told
// to, so that a place that is not answered ends cancelled.
func (j *job) wantHangup(ctx context.Context) (bool, error) {
	e, err := j.x.Calls.WantHangup(ctx, j.m.Call, j.entry.CallID, "hungUp")
	if err == nil {
		err = j.renew(e)
	}
	j.reach(crashpoint.Wanted)
	return err == nil, err
}

// sweep walks the call's queue up to the hang-up itself. It reports whether it
// saw itself, and whether a place is under way whose call id is not known yet.
func (j *job) sweep(ctx context.Context) (seen, dialling bool, err error) {
	var retired []uint64
	var v ledger.View
	defer func() { err = errors.Join(err, j.delete(ctx, retired)) }()
	for seq := uint64(1); ; {
		q, err := j.x.Queue.Next(ctx, j.m.Call, seq)
		if err != nil || q == nil || q.Seq > j.m.Seq {
			return false, dialling, err
		}
		if q.Seq == j.m.Seq {
			return true, dialling, nil
		}
		seq = q.Seq + 1
		if q.Action == commands.Hangup {
			continue
		}
		underWay, gone, err := j.retire(ctx, q, &v)
		if err != nil {
			return false, dialling, err
		}
		if gone {
			retired = append(retired, q.Seq)
		}
		dialling = dialling || (underWay && q.Action == commands.Place)
	}
}

// deletesAtOnce bounds the requests of one hang-up side by side.
const deletesAtOnce = 8

// delete takes retired commands out of the queue. Their records say that they
// have ended: one that is delivered all the same leaves by itself.
func (j *job) delete(ctx context.Context, seqs []uint64) error {
	var wg sync.WaitGroup
	failed := make(chan error, len(seqs))
	slots := make(chan struct{}, deletesAtOnce)
	for _, seq := range seqs {
		slots <- struct{}{}
		wg.Go(func() {
			failed <- j.x.Queue.Delete(ctx, j.m.Call, seq)
			<-slots
		})
	}
	wg.Wait()
	close(failed)
	var err error
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// retire ends one older command that has not been sent; gone says that it is to
// leave the queue. It reports underWay for one that was begun: a
// compare-and-swap decides between it and the worker that may be about to send
// it.
func (j *job) retire(ctx context.Context, q *queue.Queued, v *ledger.View) (underWay, gone bool, err error) {
	id, _ := peek(q)
	key := commands.Key{Producer: j.key.Producer, CallRef: j.key.CallRef, ID: id}
	for {
		if *v, err = j.x.Journal.ReadAfter(ctx, key, *v); err != nil {
			return false, false, err
		}
		switch {
		case v.Own != nil && v.Own.Status == commands.Started:
			return true, false, nil
		case v.Own != nil && v.Own.Status != commands.Waiting:
			return false, false, nil // it leaves the queue by itself
		}
		err = j.x.Journal.Append(ctx, v, j.retired(q, *v))
		if errors.Is(err, ledger.ErrMoved) {
			*v = ledger.View{}
			continue
		}
		if err != nil {
			return false, false, err
		}
		j.reach(crashpoint.Retired)
		return false, true, nil
	}
}

// retired is the final record of a command that the hang-up makes pointless.
func (j *job) retired(q *queue.Queued, v ledger.View) ledger.Record {
	var cmd commands.Command
	cmd, _ = commands.Decode(j.m.Call, q.Action, q.Body, commands.DecodeOptions{
		Prefix: j.x.opts.Prefix, Published: q.Time, DefaultTenant: first(j.x.opts.Tenants),
	})
	status := commands.Superseded
	if q.Action == commands.Place {
		status = commands.Cancelled
	}
	received := q.Time.UTC()
	r := ledger.Record{
		Result: commands.Result{
			Action: q.Action, Status: status, Reason: "hungUp", TenantID: cmd.TenantID, Metadata: cmd.Metadata,
			ReplayOf: commands.ReplayOf(q.Header), Worker: j.x.opts.Worker,
			Timing: &commands.Timing{ReceivedAt: &received, QueuedMS: max(time.Since(q.Time).Milliseconds(), 0)},
		},
		Attempt: j.nonce, Body: commands.BodyHash(q.Action, q.Body), ReplyTo: cmd.ReplyTo, TraceParent: q.Header.Get(commands.HeaderTraceParent),
	}
	if v.Own != nil {
		r.Attempts = v.Own.Attempts
	}
	return r
}

// hungUp ends a hang-up that had nothing to hang up.
func (j *job) hungUp(ctx context.Context, reason string) error {
	r := j.record(commands.Succeeded)
	data, err := json.Marshal(map[string]string{"reason": reason})
	if err != nil {
		return err
	}
	r.Reason, r.Data = reason, data
	return j.finish(ctx, r)
}

// deleted stores that Graph took the hang-up, and has the call looked at again
// after a while: Graph does not guarantee that the deletion happens.
func (j *job) deleted(ctx context.Context, r ledger.Record) error {
	if err := j.x.Calls.WatchHangup(ctx, j.key, j.entry.CallID, j.entry.TenantID); err != nil {
		return err
	}
	return j.finish(ctx, r)
}
