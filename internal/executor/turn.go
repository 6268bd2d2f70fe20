package executor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/queue"
)

// turn is step 3: is it this command's turn? Only the oldest command of a call
// is sent; a hang-up overtakes.
func (j *job) turn(ctx context.Context) (bool, error) {
	now := time.Now()
	sent := j.view.Own != nil && j.view.Own.Status == commands.Started
	switch late := !now.Before(j.expiry); {
	case late && !sent:
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

// passed tells whether an older command of the call may be stepped over: its
// record is accepted or final, which never reverts, or it is not due.
func (j *job) passed(ctx context.Context, q *queue.Queued) (bool, error) {
	id, notBefore := peek(q)
	if time.Now().Before(notBefore) {
		return true, nil
	}
	r, err := j.x.Journal.Final(ctx, commands.Key{Producer: j.key.Producer, CallRef: j.key.CallRef, ID: id})
	return r != nil, err
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
