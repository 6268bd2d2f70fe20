package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"callbus/internal/commands"
)

// readTries bounds how often a read starts again because replicas disagreed or
// the journal moved under it.
const readTries = 40

// Read returns one consistent view. Any replica may serve it, so it may be
// behind the leader, never mixed: what it says of a final or accepted record
// stays true, everything else is guarded by the compare-and-swap of Append.
// It blocks for one or two requests.
func (j *Journal) Read(ctx context.Context, key commands.Key) (View, error) {
	for try := range readTries {
		v, ok, err := j.readOnce(ctx, key)
		if err != nil {
			return View{}, fmt.Errorf("read journal of %s: %w", key.Call(), err)
		}
		if ok {
			return v, nil
		}
		select {
		case <-time.After(time.Duration(try) * time.Millisecond):
		case <-ctx.Done():
			return View{}, fmt.Errorf("read journal of %s: %w", key.Call(), ctx.Err())
		}
	}
	return View{}, fmt.Errorf("read journal of %s: replicas still disagree after %d tries", key.Call(), readTries)
}

// readOnce reads the call's last record L, then L, the command's own and the
// place's last record in one request, which one replica answers from one state.
// Two separate reads could meet a fresh and a stale replica. It reports false
// when L is not the last of that answer: start again.
func (j *Journal) readOnce(ctx context.Context, key commands.Key) (View, bool, error) {
	v := View{Key: key}
	msg, err := j.stream.GetLastMsgForSubject(ctx, j.prefix.Results(key.Call()))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return v, true, nil
	}
	if err != nil {
		return v, false, err
	}
	last, err := decodeRecord(msg)
	if err != nil {
		return v, false, err
	}
	v.Last, v.PlaceID = last.Seq, last.PlaceID
	own := j.prefix.Result(key)
	wanted := []string{msg.Subject}
	for _, s := range []string{own, j.placeSubject(key, v.PlaceID)} {
		if s != "" && !slices.Contains(wanted, s) {
			wanted = append(wanted, s)
		}
	}
	records := map[string]*Record{msg.Subject: last}
	if len(wanted) > 1 {
		if records, err = j.lastOf(ctx, wanted); err != nil {
			return v, false, err
		}
		if l := records[msg.Subject]; l == nil || l.Seq != last.Seq {
			return v, false, nil
		}
		for _, r := range records {
			if r.Seq > last.Seq {
				return v, false, nil
			}
		}
	}
	v.Own, v.Place = records[own], records[j.placeSubject(key, v.PlaceID)]
	return v, true, nil
}

func (j *Journal) placeSubject(key commands.Key, id string) string {
	if id == "" {
		return ""
	}
	key.ID = id
	return j.prefix.Result(key)
}

func (j *Journal) lastOf(ctx context.Context, subjects []string) (map[string]*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msgs, err := jetstreamext.GetLastMsgsFor(ctx, j.js, j.name, subjects)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*Record, len(subjects))
	for msg, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break // a replica that has none of them yet
		}
		if err != nil {
			return nil, err
		}
		r, err := decodeRecord(msg)
		if err != nil {
			return nil, err
		}
		found[msg.Subject] = r
	}
	return found, nil
}

// Final returns the command's last record when it is final or accepted, nil
// otherwise. A stale replica can only hide such a record, never invent one.
func (j *Journal) Final(ctx context.Context, key commands.Key) (*Record, error) {
	msg, err := j.stream.GetLastMsgForSubject(ctx, j.prefix.Result(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read result of %s %s: %w", key.Call(), key.ID, err)
	}
	r, err := decodeRecord(msg)
	if err != nil {
		return nil, err
	}
	if r.Final || r.Status == commands.Accepted {
		return r, nil
	}
	return nil, nil
}
