package executor

import (
	"context"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/ledger"
)

// audioPatience is how long after the call was established a prompt waits for
// audio; then Graph decides.
const audioPatience = 30 * time.Second

// ready is step 4: is the call where the command needs it?
func (j *job) ready(ctx context.Context) (bool, error) {
	switch {
	case j.m.Action == commands.Place:
		return j.readyToPlace(ctx)
	case j.cmd.CallID != "":
		if on, err := j.bindCall(ctx); !on || err != nil {
			return false, err
		}
	}
	if !j.known() {
		return j.noCall(ctx)
	}
	j.tenant = j.entry.TenantID
	if j.entry.Ended() {
		return j.callEnded(ctx)
	}
	if j.entry.PlaceID == "" && !j.entry.Notified && j.entry.State != calls.StateEstablished {
		e, err := j.x.Calls.Refresh(ctx, j.m.Call, j.entry)
		if err != nil {
			return false, j.wait(ctx, "callNotReady", time.Time{})
		}
		if j.entry = e; e.Ended() {
			return j.callEnded(ctx)
		}
	}
	if j.m.Action == commands.Hangup {
		return j.wantHangup(ctx)
	}
	if j.cmd.Wait == commands.WaitNone || j.inState() {
		return true, nil
	}
	return false, j.wait(ctx, "callNotReady", j.audioDue())
}

// known tells whether the registry's entry is the call that the name stands
// for now.
func (j *job) known() bool {
	return j.entry.CallID != "" && (j.entry.PlaceID == j.view.PlaceID || j.entry.PlaceID == "")
}

// renew takes the registry's entry of the call as it is now. ErrMoved says that
// the registry does not know the call any more: what is lost is made anew, and a
// request without a call id would be refused as the producer's mistake.
func (j *job) renew(e calls.Entry) error {
	if !e.Is(j.entry.CallID) {
		return ledger.ErrMoved
	}
	j.entry = e
	return nil
}

// noCall decides on a command whose call the registry does not know, by the
// journal: it is on its way, it never came to be, or it was never placed.
func (j *job) noCall(ctx context.Context) (bool, error) {
	place := j.view.Place
	switch {
	case place == nil:
		return false, j.reject(ctx, commands.CauseNoSuchCall, noSuchCall())
	case j.m.Action == commands.Hangup && place.Final && place.Status != commands.Succeeded:
		return false, j.hangUpNothing(ctx, place)
	case place.Status == commands.Unknown:
		return false, j.fail(ctx, commands.Failed, &commands.Error{
			Class: commands.ClassAmbiguous, Reason: "placeUnknown", Code: "placeUnknown",
			Message: "whether the call exists is not known; nothing was sent", Hint: "ask the people concerned, or place the call again under another callRef",
		})
	case place.Final && place.Status != commands.Succeeded:
		return j.callEnded(ctx)
	}
	return false, j.wait(ctx, "callNotReady", time.Time{})
}

func noSuchCall() *commands.Error {
	return invalid("noSuchCall", "no call was placed under this callRef", "publish a place command first, or name the call by callId")
}

// callEnded ends a command that came after the end of its call; for a hang-up
// that is what it wanted.
func (j *job) callEnded(ctx context.Context) (bool, error) {
	if j.m.Action == commands.Hangup {
		return false, j.hungUp(ctx, "alreadyEnded")
	}
	return false, j.fail(ctx, commands.Failed, j.entry.CallEnded())
}

// inState is the table of what each action waits for.
func (j *job) inState() bool {
	e := &j.entry
	switch j.m.Action {
	case commands.GetCall, commands.KeepAlive, commands.Redirect:
		return true // the call id is enough
	case commands.Transfer:
		return e.Established() && !e.Busy(j.key.ID)
	case commands.PlayPrompt:
		return e.Established() && (e.AudioActive || e.EstablishedAt.IsZero() || time.Since(e.EstablishedAt) >= audioPatience)
	}
	return e.Established()
}

// audioDue is when a prompt stops waiting for audio, zero when it does not wait
// for that.
func (j *job) audioDue() time.Time {
	if j.m.Action == commands.PlayPrompt && j.entry.Established() && !j.entry.AudioActive {
		if due := j.entry.EstablishedAt.Add(audioPatience); due.Before(j.expiry) {
			return due
		}
	}
	return time.Time{}
}

// readyToPlace refuses a second place while the name's call lives. "Lives" is a
// negative decision for the producer, so it is taken from what cannot be stale:
// the journal's place record and the registry's leader.
func (j *job) readyToPlace(ctx context.Context) (bool, error) {
	place := j.view.Place
	placed, told := false, true
	if place != nil && place.CommandID != j.key.ID {
		ours := j.entry.PlaceID == place.CommandID
		over := ours && j.entry.Ended()
		if over {
			var err error
			if told, err = j.x.Calls.Events.EndTold(ctx, j.m.Call, j.entry.CallID); err != nil {
				return false, err
			}
		}
		placed = !over && (!place.Final || (place.Status == commands.Succeeded && ours))
	}
	bound := j.entry.PlaceID == "" && j.entry.Live()
	switch {
	case !placed && !bound && told:
		return true, nil
	case !placed && !bound:
		// Over, and its end is not out yet: whoever tells it needs the name.
		return false, j.wait(ctx, "callNotReady", time.Time{})
	}
	return false, j.reject(ctx, commands.CauseCallLives, &commands.Error{
		Class: commands.ClassConflict, Reason: "callLives", Code: "callLives", Retryable: true,
		Message: "a call of this callRef lives; nothing was dialled",
		Hint:    "use a new callRef, or wait for the event \"ended\"",
	})
}

// bindCall makes the name stand for the call that the command names.
func (j *job) bindCall(ctx context.Context) (bool, error) {
	j.bound = j.entry.Is(j.cmd.CallID) && j.entry.PlaceID == ""
	if j.entry.Live() && j.entry.Is(j.cmd.CallID) {
		return true, nil
	}
	if j.entry.Live() {
		return false, j.reject(ctx, commands.CauseCallOwned, invalid("callIdMismatch", "the callRef stands for another live call",
			"leave callId out, or use another callRef"))
	}
	if j.entry.Is(j.cmd.CallID) {
		return true, nil // over; the next step says so
	}
	owner, err := j.x.Calls.BindCall(ctx, j.m.Call, j.cmd.CallID, j.tenant, j.cmd.KeepAlive)
	if err != nil {
		return false, err
	}
	if owner != j.m.Call {
		return false, j.reject(ctx, commands.CauseCallOwned, &commands.Error{
			Class: commands.ClassConflict, Reason: "callOwned", Code: "callOwned",
			Message: "the call belongs to another callRef or producer", Hint: "send commands under the name that claimed the call first",
		})
	}
	j.bound = true
	j.entry, _, err = j.x.Calls.Registry.Get(ctx, j.m.Call)
	if err == nil && j.m.Action == commands.Redirect && j.cmd.ExpiresAt.IsZero() && !j.entry.RespondBy.IsZero() {
		j.expiry = j.entry.RespondBy.Add(-time.Second)
		if !time.Now().Before(j.expiry) {
			return false, j.fail(ctx, commands.Expired, expired(j.expiry))
		}
	}
	return true, err
}
