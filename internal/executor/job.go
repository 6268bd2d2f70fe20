package executor

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/internal/ledger"
	"callbus/internal/pacing"
	"callbus/internal/queue"
	"callbus/internal/traces"
)

// job is one delivery of one command.
type job struct {
	x    *Executor
	m    *queue.Message
	said commands.CallKey // as the subject says it
	key  commands.Key
	cmd  commands.Command

	nonce  string // of this delivery
	hash   string // identity of the command
	tenant string
	expiry time.Time

	view  ledger.View
	entry calls.Entry // the call, as far as it is known
	// bound says that the command's callId is what its name stands for.
	bound bool
	// first says that no older command with the same id is queued.
	first bool

	// trace is the W3C context of this delivery's span, or the message's own.
	trace     string
	pass      *pacing.Pass // what pacing claimed for the request about to be sent
	startedAt time.Time
	resent    int // within this delivery
	// doubt says that an earlier attempt may have been taken by Graph. Whatever
	// becomes of a later one, the command is not "waiting" any more.
	doubt bool
}

func newJob(x *Executor, m *queue.Message) *job {
	said := m.Call
	// A subject may hold a literal "*", which everywhere else is a filter for
	// the producer's other calls. Such a command is rejected under a safe name.
	m.Call = said.Literal()
	return &job{x: x, m: m, said: said, trace: m.Header.Get(commands.HeaderTraceParent), key: commands.Key{Producer: m.Call.Producer, CallRef: m.Call.CallRef}, nonce: nats.NewInbox()[len("_INBOX."):]}
}

// record is a record of this command with what all of them carry.
func (j *job) record(s commands.Status) ledger.Record {
	r := ledger.Record{
		Result: commands.Result{
			Action: j.m.Action, Status: s, TenantID: j.tenant,
			Metadata: j.cmd.Metadata, ReplayOf: commands.ReplayOf(j.m.Header), Worker: j.x.opts.Worker, Timing: j.timing(),
		},
		Attempt: j.nonce, Body: j.hash, ReplyTo: j.cmd.ReplyTo, TraceParent: j.trace,
		Terms: commands.CallTerms{Limits: j.cmd.Limits, Bound: j.bound, KeepAlive: j.bound && j.cmd.KeepAlive},
	}
	if own := j.view.Own; own != nil {
		r.Attempts, r.CallID = own.Attempts, own.CallID
	}
	if j.m.Action != commands.Place && j.known() {
		r.CallID = j.entry.CallID
	}
	return r
}

// timing says where the command's time went so far. Waiting for a gate is
// counted apart from waiting for its turn or its call.
func (j *job) timing() *commands.Timing {
	received := j.m.Published.UTC()
	t := &commands.Timing{ReceivedAt: &received}
	now := time.Now()
	if own := j.view.Own; own != nil && own.Timing != nil {
		t.ThrottledMS = own.Timing.ThrottledMS
		t.GraphMS = own.Timing.GraphMS
		if own.Status == commands.Waiting && gateReasons[own.Reason] {
			t.ThrottledMS += now.Sub(own.Stored).Milliseconds()
		}
		if own.Timing.StartedAt != nil {
			t.StartedAt = own.Timing.StartedAt
		}
	}
	if !j.startedAt.IsZero() {
		started := j.startedAt.UTC()
		t.StartedAt = &started
	}
	until := now
	if t.StartedAt != nil {
		until = *t.StartedAt
	}
	t.QueuedMS = max(until.Sub(j.m.Published).Milliseconds()-t.ThrottledMS, 0)
	return t
}

// endSpan ends the span of this delivery with how the command stands.
func (j *job) endSpan(s traces.Span) {
	s.Command(j.key.ID)
	if own := j.view.Own; own != nil {
		s.End(string(own.Status), own.Final && own.Status != commands.Succeeded)
		return
	}
	s.End("", false)
}

// reach tells tests how far the command has got.
func (j *job) reach(p crashpoint.Point) { crashpoint.Reach(p, string(j.m.Action)) }

// append writes a record of this command.
func (j *job) append(ctx context.Context, r ledger.Record) error {
	if err := j.claim(ctx); err != nil {
		return err
	}
	err := j.x.Journal.Append(ctx, &j.view, r)
	switch {
	case err == nil:
		j.x.journalFull.Store(false)
	case ledger.Refused(err):
		j.x.journalFull.Store(true)
	}
	return err
}

// errTwin says that an older command with the same id is queued: it takes the
// id, and only then can it be told what this one is.
var errTwin = errors.New("an older command with the same id is queued")

// claim is asked before a command's first record: the id belongs to the
// command that was published first, also when a younger one with the same id is
// invalid, expires earlier or is only looked at earlier.
func (j *job) claim(ctx context.Context) error {
	if j.first || j.view.Own != nil {
		return nil
	}
	twin, err := j.x.Queue.Twin(ctx, j.m, j.key.ID, func(q *queue.Queued) string { id, _ := peek(q); return id })
	if err != nil {
		return err
	}
	if twin {
		return errTwin
	}
	j.first = true
	return nil
}

// finish stores a final record and takes the command out of the queue.
func (j *job) finish(ctx context.Context, r ledger.Record) error {
	if err := j.append(ctx, r); err != nil {
		return err
	}
	j.reach(crashpoint.Recorded)
	return j.leave(ctx)
}

// close takes a command that ends here out of the call's open ones.
func (j *job) close(ctx context.Context) error {
	if j.entry.OpenOf(j.key.ID) == nil {
		return nil
	}
	return j.x.Calls.CloseOpen(ctx, j.m.Call, j.key.ID, j.view.Own.Status)
}

// fail ends the command with an error.
func (j *job) fail(ctx context.Context, s commands.Status, e *commands.Error) error {
	r := j.record(s)
	r.Error = e
	if s == commands.Unknown {
		if err := j.bury(ctx, commands.CauseUnknown, e); err != nil {
			return err
		}
	}
	return j.finish(ctx, r)
}

// reject ends a command that is itself wrong; nothing was sent.
func (j *job) reject(ctx context.Context, cause commands.Cause, e *commands.Error) error {
	if err := j.bury(ctx, cause, e); err != nil {
		return err
	}
	return j.fail(ctx, commands.Rejected, e)
}

// bury stores a dead letter, unless the journal has moved since it was read:
// then what is wrong may not be wrong any more.
func (j *job) bury(ctx context.Context, cause commands.Cause, e *commands.Error) error {
	current, err := j.x.Journal.Current(ctx, &j.view)
	if err != nil {
		return err
	}
	if !current {
		return ledger.ErrMoved
	}
	if err := j.claim(ctx); err != nil {
		return err
	}
	letter := commands.DeadLetter{
		Producer: j.key.Producer, CallRef: j.key.CallRef, CommandID: j.key.ID, Action: j.m.Action,
		Cause: cause, Error: e, Subject: j.m.Subject, Sequence: j.m.Seq, Headers: j.m.Header,
	}
	letter.SetOriginal(j.m.Body)
	err = j.x.Journal.Bury(ctx, letter)
	j.reach(crashpoint.Buried)
	return err
}

func isMoved(err error) bool { return errors.Is(err, ledger.ErrMoved) }
