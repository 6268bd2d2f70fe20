package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbus/internal/commands"
	"callbus/internal/crashpoint"
)

// read is step 1: what does the message say? A command that is wrong is
// rejected, after the journal has said that it is not an old one.
func (j *job) read(ctx context.Context) (bool, error) {
	x := j.x
	cmd, err := commands.Decode(j.said, j.m.Action, j.m.Body, commands.DecodeOptions{
		Prefix: x.opts.Prefix, Published: j.m.Published, DefaultTenant: first(x.opts.Tenants),
	})
	j.cmd, j.key.ID = cmd, cmd.ID
	if j.key.ID == "" {
		j.key.ID = fmt.Sprintf("_%d", j.m.Seq)
	}
	j.hash = commands.BodyHash(j.m.Action, j.m.Body)
	j.expiry = cmd.Expiry(j.m.Published, x.opts.TTL)
	cause, problem := commands.CauseInvalid, (*commands.Error)(nil)
	if wrong, ok := errors.AsType[commands.DecodeErrors](err); ok {
		cause, problem = wrong.Cause(), wrong.Outcome()
	} else if err != nil {
		return false, err
	} else {
		cause, problem = j.refusedHere()
	}
	if problem == nil {
		return true, nil
	}
	on, err := j.recall(ctx)
	if !on || err != nil {
		return false, err
	}
	return false, j.reject(ctx, cause, problem)
}

// refusedHere checks the command against this deployment's settings.
func (j *job) refusedHere() (commands.Cause, *commands.Error) {
	o := j.x.opts
	j.tenant = j.cmd.TenantID
	if j.tenant == "" {
		j.tenant = first(o.Tenants)
	}
	if len(o.Tenants) > 0 && !slices.ContainsFunc(o.Tenants, func(t string) bool { return strings.EqualFold(t, j.tenant) }) {
		return commands.CauseTenantNotServed, invalid("tenantNotServed", "tenantId is not a tenant of this deployment",
			"use a tenant that the deployment lists, or ask its operator to add it")
	}
	if len(o.AllowPhone) == 0 {
		return "", nil
	}
	for _, number := range j.cmd.Phones() {
		if !slices.ContainsFunc(o.AllowPhone, func(p string) bool { return strings.HasPrefix(number, p) }) {
			return commands.CausePhoneNotAllowed, invalid("phoneNotAllowed", "a phone number is outside what this deployment may dial",
				"numbers must begin with one of "+strings.Join(o.AllowPhone, ", "))
		}
	}
	return "", nil
}

func invalid(code, message, hint string) *commands.Error {
	return &commands.Error{Class: commands.ClassInvalid, Reason: code, Code: code, Message: message, Hint: hint}
}

// recall is step 2: what does the journal know of this command?
func (j *job) recall(ctx context.Context) (bool, error) {
	var err error
	if j.view, err = j.x.Journal.Read(ctx, j.key); err != nil {
		return false, err
	}
	if j.entry, _, err = j.x.Calls.Registry.Get(ctx, j.m.Call); err != nil {
		return false, err
	}
	own := j.view.Own
	switch {
	case own == nil:
		j.reach(crashpoint.Recalled)
		return true, nil
	case own.Body != j.hash:
		return false, j.conflict(ctx)
	case j.settled(): // a duplicate, or a worker that died before the ack
		return false, j.leave(ctx)
	case own.Status == commands.Started && own.Attempt != j.nonce:
		return j.takeOver(ctx)
	}
	return true, nil
}

// conflict ends a command whose id was used with another body: the first one
// stands, nothing is recorded, and the producer finds this one among the dead.
func (j *job) conflict(ctx context.Context) error {
	problem := &commands.Error{
		Class: commands.ClassConflict, Reason: "idConflict", Code: "idConflict",
		Message: "the id was used before with another action or body; the first command stands",
		Hint:    "use a new id for every new command",
	}
	if err := j.bury(ctx, commands.CauseIDConflict, problem); err != nil {
		return err
	}
	j.copyTo(j.cmd.ReplyTo, commands.Result{
		Producer: j.key.Producer, CallRef: j.key.CallRef, CommandID: j.key.ID, Action: j.m.Action,
		Status: commands.Rejected, Final: true, Time: time.Now().UTC(), Error: problem, ReplayOf: commands.ReplayOf(j.m.Header), Worker: j.x.opts.Worker,
	})
	return j.m.Ack()
}

// copyTo sends a courtesy copy that is stored nowhere.
func (j *job) copyTo(subject string, r commands.Result) {
	if subject == "" {
		return
	}
	if body, err := json.Marshal(r); err == nil {
		j.x.Queue.Reply(subject, body)
	}
}

// takeOver goes on with a command that another worker, or an earlier delivery,
// had started: not before that one can no longer be at it.
func (j *job) takeOver(ctx context.Context) (bool, error) {
	own := j.view.Own
	free := own.Stored.Add(j.x.opts.AckWait + j.x.opts.GraphTimeout)
	if wait := time.Until(free); wait > 0 {
		j.m.Park(min(wait, parkDelay(j.quiet())))
		return false, nil
	}
	j.doubt = true
	if j.m.Action.Idempotent() {
		return true, nil // send it again
	}
	return j.reconcile(ctx)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
