package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// wrongLastReplicated is the server's code for a lost compare-and-swap on a
// replicated stream; jetstream.JSErrCodeStreamWrongLastSequence is the other.
const wrongLastReplicated = jetstream.JSErrCodeStreamWrongLastSequenceConstant

const publishTries = 5

// Append writes rec after the record that v saw last, and moves v on to it.
// It returns ErrMoved when another writer was faster; v is then out of date.
// Every other error means that it is not known whether the record was stored:
// it will be recognised by Attempt when the command is looked at again.
//
// The function fills in Final and Time, carries on the name's place command,
// cuts Data to the server's max_payload and, after storing, sends a copy to
// ReplyTo, once, without waiting.
func (j *Journal) Append(ctx context.Context, v *View, rec Record) error {
	rec.Producer, rec.CallRef, rec.CommandID = v.Key.Producer, v.Key.CallRef, v.Key.ID
	rec.Final = rec.Status.Final()
	if rec.Time.IsZero() {
		rec.Time = time.Now()
	}
	rec.Time = rec.Time.UTC()
	rec.PlaceID = v.PlaceID
	if takesName(rec.Result, v) {
		rec.PlaceID = rec.CommandID
	}
	header := rec.header()
	maps.Copy(header, headerOf(rec.CloudEvent(j.prefix)))
	rec.Result = rec.Result.Fit(j.maxSize)
	body, err := json.Marshal(rec.Result)
	if err != nil {
		return fmt.Errorf("encode record of %s %s: %w", v.Key.Call(), v.Key.ID, err)
	}
	msg := &nats.Msg{Subject: j.prefix.Result(v.Key), Header: header, Data: body}
	seq, err := j.publish(ctx, msg, v, &rec)
	if err != nil {
		return err
	}
	rec.Seq, rec.Stored = seq, time.Now()
	v.Last, v.LastAt, v.Own, v.PlaceID = seq, rec.Stored, &rec, rec.PlaceID
	if rec.PlaceID == rec.CommandID {
		v.Place = &rec
	}
	j.onStored(rec)
	if rec.ReplyTo != "" {
		// A courtesy copy, at most once: the stored record is what counts.
		_ = j.nc.Publish(rec.ReplyTo, body)
	}
	return nil
}

// takesName tells whether the record makes the call's name stand for this
// place command: from the first one that may have led to a call. One that ends
// without ever having been begun leaves the name to one that was: that may have
// come to a call, also if nobody knows.
func takesName(r commands.Result, v *View) bool {
	switch {
	case r.Action != commands.Place, r.Status == commands.Waiting, r.Status == commands.Rejected:
		return false
	}
	return r.Attempts > 0 || v.Place == nil || v.Place.Attempts == 0
}

// publish stores msg with the compare-and-swap. When the acknowledgement is
// lost it sends again: either that is stored, or the journal has moved, and
// then a look tells whether our own first try moved it. What the server refuses
// for want of room is a *[streams.RefusedError], certainly not stored.
func (j *Journal) publish(ctx context.Context, msg *nats.Msg, v *View, rec *Record) (uint64, error) {
	var lost bool
	for try := range publishTries {
		var ack *jetstream.PubAck
		err := j.connected(ctx)
		if err == nil {
			ack, err = j.js.PublishMsg(ctx, msg,
				// Exactly this filter, everywhere: see commands.Prefix.Results.
				jetstream.WithExpectLastSequenceForSubject(v.Last, j.prefix.Results(v.Key.Call())),
				jetstream.WithRetryAttempts(0))
		}
		var api *jetstream.APIError
		switch {
		case err == nil:
			return ack.Sequence, nil
		case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == wrongLastReplicated):
			if !lost {
				return 0, ErrMoved
			}
			return j.recognise(ctx, v, rec)
		case errors.As(err, &api):
			return 0, j.unwritten(v.Key, rec, msg.Subject, err)
		}
		lost = lost || !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, nats.ErrDisconnected)
		if ctx.Err() != nil || try == publishTries-1 {
			return 0, j.unwritten(v.Key, rec, msg.Subject, err)
		}
		select {
		case <-time.After(100 * time.Millisecond << try):
		case <-ctx.Done():
		}
	}
	return 0, ErrMoved // not reached: the last try returns
}

func (j *Journal) unwritten(key commands.Key, rec *Record, subject string, err error) error {
	return fmt.Errorf("write %s of %s %s: %w", rec.Status, key.Call(), key.ID, streams.Explain(j.prefix, subject, err))
}

// connectedWait is how long one try waits for a lost connection, as long as it
// would for an answer.
const connectedWait = 5 * time.Second

// connected waits until there is a connection. Without one the client would
// keep the record and store it when nobody waits for that any more: a "started"
// would stand in the journal for a request that was never sent.
func (j *Journal) connected(ctx context.Context) error {
	limit := time.NewTimer(connectedWait)
	defer limit.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !j.nc.IsConnected() {
		if j.nc.IsClosed() {
			return nats.ErrDisconnected
		}
		select {
		case <-look.C:
		case <-limit.C:
			return nats.ErrDisconnected
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", nats.ErrDisconnected, ctx.Err())
		}
	}
	return nil
}

// recognise finds the record that a lost acknowledgement was for.
func (j *Journal) recognise(ctx context.Context, v *View, rec *Record) (uint64, error) {
	now, err := j.readMoved(ctx, v)
	if err != nil {
		return 0, err
	}
	if o := now.Own; o != nil && o.Attempt == rec.Attempt && o.Status == rec.Status && o.Time.Equal(rec.Time) && now.Last == o.Seq {
		return o.Seq, nil
	}
	return 0, ErrMoved
}

// readMoved reads a journal that has moved since v was read, for the server said
// so: a view in which it has not is one of a replica that is behind. It asks
// again when it gets no answer, for the reason why the acknowledgement was lost
// may last: whoever does not know whether its record stands may send twice.
func (j *Journal) readMoved(ctx context.Context, v *View) (now View, err error) {
	for try := range publishTries {
		if err = j.connected(ctx); err == nil {
			now, err = j.Read(ctx, v.Key)
		}
		if err == nil && now.Last > v.Last || ctx.Err() != nil {
			return now, err
		}
		if err == nil {
			err = ErrMoved
			select {
			case <-time.After(20 * time.Millisecond << try):
			case <-ctx.Done():
			}
		}
	}
	return now, err
}

// Refused tells whether err means that the journal took no record: it is full,
// or missing. The record was certainly not stored.
func Refused(err error) bool {
	_, ok := errors.AsType[*streams.RefusedError](err)
	return ok
}

func headerOf(m map[string]string) nats.Header {
	h := make(nats.Header, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		h.Set(name, m[name])
	}
	return h
}
