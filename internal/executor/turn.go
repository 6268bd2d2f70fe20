package executor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/queue"
)

// turn is step 3: is it this command's turn? Only the oldest command of a call
// is sent; a hang-up overtakes.
func (j *job) turn(ctx context.Context) (bool, error) {
	now := time.Now()
	switch late := !now.Before(j.expiry); {
	case late && !j.begun():
		return false, j.fail(ctx, commands.Expired, expired(j.expiry))
	case late:
		return false, j.fail(ctx, commands.Unknown, answerLost())
	}
	if now.Before(j.cmd.NotBefore) {
		return false, j.wait(ctx, "notBefore", j.cmd.NotBefore)
	}
	if j.overtakes() {
		return j.hangupTurn(ctx)
	}
	head, blocker, err := j.x.Queue.Head(ctx, j.m, j.passed)
	if err != nil {
		return false, err
	}
	j.first = head
	if head && !j.begun() && j.cmd.NotBefore.After(j.m.Published) {
		if met, err := j.meets(ctx); err != nil {
			return false, err
		} else if met {
			return false, j.wait(ctx, "callNotReady", time.Time{})
		}
	}
	if head && j.cmd.Wait == commands.WaitTurn {
		// What made this the head may have happened since the call was looked at.
		if current, err := j.x.Journal.Current(ctx, &j.view); err != nil || !current {
			return false, cmp.Or(err, ledger.ErrMoved)
		}
	}
	if head && (j.cmd.Wait != commands.WaitTurn || j.othersDone()) {
		return true, nil
	}
	if !head && blocker == 0 {
		// Not to be seen: a replica that is behind, or it was deleted while it
		// was on its way here. A look at the journal will tell.
		j.m.Park(100 * time.Millisecond)
		return false, nil
	}
	return false, j.wait(ctx, "callNotReady", time.Time{})
}

// overtakes tells whether the command goes before what was published earlier.
func (j *job) overtakes() bool {
	return j.m.Action == commands.Hangup && j.cmd.Wait != commands.WaitTurn
}

// othersDone tells whether every earlier command of the call is final, not
// only out of the queue.
func (j *job) othersDone() bool {
	if p := j.view.Place; p != nil && p.CommandID != j.key.ID && !p.Final {
		return false // the registry may be behind the journal
	}
	return !j.entry.Waits(j.key.ID)
}

// begun tells whether the command was sent, or may have been.
func (j *job) begun() bool { return j.view.Own != nil && j.view.Own.Status == commands.Started }

// passed tells whether an older command of the call may be stepped over: its
// record is accepted or final, which never reverts, or it is not due. One that
// was begun goes on before a delayed one that was not, which it has stepped over
// when it was begun; and one that a worker with another clock has begun is not
// stepped over, whatever our clock says.
func (j *job) passed(ctx context.Context, q *queue.Queued) (bool, error) {
	id, notBefore := peek(q)
	key := commands.Key{Producer: j.key.Producer, CallRef: j.key.CallRef, ID: id}
	due := !time.Now().Before(notBefore)
	if due && !(j.begun() && notBefore.After(q.Time)) {
		r, err := j.x.Journal.Final(ctx, key)
		return r != nil, err
	}
	r, err := j.x.Journal.Last(ctx, key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	return err == nil && r.Status != commands.Started, err
}

// meets tells whether a younger command of the call is with Graph, or may be:
// it stepped over this one, which was not due. Only the first one that still
// matters can be. Whether one is begun between this look and our own "started",
// the compare-and-swap tells.
func (j *job) meets(ctx context.Context) (bool, error) {
	for seq := j.m.Seq + 1; ; {
		q, err := j.x.Queue.Next(ctx, j.m.Call, seq)
		if q == nil || err != nil {
			return false, err
		}
		seq = q.Seq + 1
		if q.Action == commands.Hangup {
			continue
		}
		id, notBefore := peek(q)
		r, err := j.x.Journal.Last(ctx, commands.Key{Producer: j.key.Producer, CallRef: j.key.CallRef, ID: id})
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			r = &ledger.Record{}
		case err != nil:
			return false, err
		case r.Status == commands.Started:
			return true, nil
		}
		if !r.Final && r.Status != commands.Accepted && !time.Now().Before(notBefore) {
			return false, nil
		}
	}
}

// peek reads what the order of commands depends on, without judging the rest.
func peek(q *queue.Queued) (id string, notBefore time.Time) {
	var body struct {
		ID        string    `json:"id"`
		NotBefore time.Time `json:"notBefore"`
	}
	if err := json.Unmarshal(q.Body, &body); err != nil || !commands.ValidID(body.ID) {
		return fmt.Sprintf("_%d", q.Seq), time.Time{}
	}
	return body.ID, body.NotBefore
}
