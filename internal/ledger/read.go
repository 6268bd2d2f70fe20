package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// readTries bounds how often a read starts again because replicas disagreed or
// the journal moved under it.
const readTries = 40

// readTimeout bounds one request.
const readTimeout = 5 * time.Second

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
	v.Last, v.LastAt, v.PlaceID = last.Seq, last.Stored, last.PlaceID
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

// ReadAfter is Read for who has just written the call's last record, with after
// as the view of that: one request instead of two. When the call has moved since
// it is Read.
func (j *Journal) ReadAfter(ctx context.Context, key commands.Key, after View) (View, error) {
	if after.Own == nil || after.Own.Seq != after.Last || after.Key.Call() != key.Call() || after.Key == key {
		return j.Read(ctx, key)
	}
	v := View{Key: key, Last: after.Last, LastAt: after.LastAt, PlaceID: after.PlaceID}
	last, own, place := j.prefix.Result(after.Key), j.prefix.Result(key), j.placeSubject(key, v.PlaceID)
	wanted := []string{last, own}
	if place != "" && !slices.Contains(wanted, place) {
		wanted = append(wanted, place)
	}
	records, err := j.lastOf(ctx, wanted)
	if err != nil {
		return View{}, fmt.Errorf("read journal of %s: %w", key.Call(), err)
	}
	for _, r := range records {
		if r.Seq > v.Last {
			return j.Read(ctx, key)
		}
	}
	if l := records[last]; l == nil || l.Seq != v.Last {
		return j.Read(ctx, key)
	}
	v.Own, v.Place = records[own], records[place]
	return v, nil
}

func (j *Journal) placeSubject(key commands.Key, id string) string {
	if id == "" {
		return ""
	}
	key.ID = id
	return j.prefix.Result(key)
}

// lastOf reads the last messages of several subjects in one request. The
// client library has none for that, and the extension that has one subscribes
// with a buffer for half a million messages: 512 KiB for an answer of three.
func (j *Journal) lastOf(ctx context.Context, subjects []string) (map[string]*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := json.Marshal(map[string][]string{"multi_last": subjects})
	if err != nil {
		return nil, err
	}
	answers := make(chan *nats.Msg, len(subjects)+1)
	inbox := j.nc.NewInbox()
	sub, err := j.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := j.nc.PublishRequest("$JS.API.DIRECT.GET."+j.name, inbox, req); err != nil {
		return nil, err
	}
	found := make(map[string]*Record, len(subjects))
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case msg := <-answers:
			switch status := msg.Header.Get("Status"); status {
			case "":
			case "204", "404": // all sent, or a replica that has none of them yet
				return found, nil
			default:
				return nil, fmt.Errorf("direct get: status %s %s", status, msg.Header.Get("Description"))
			}
			r, err := directRecord(msg)
			if err != nil {
				return nil, err
			}
			found[msg.Header.Get("Nats-Subject")] = r
		}
	}
}

// directRecord reads a record out of a direct get's answer, whose headers say
// where it is stored.
func directRecord(msg *nats.Msg) (*Record, error) {
	seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("direct get: sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return nil, fmt.Errorf("direct get: time: %w", err)
	}
	return decodeRecord(&jetstream.RawStreamMsg{Subject: msg.Header.Get("Nats-Subject"), Sequence: seq, Time: at, Header: msg.Header, Data: msg.Data})
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

// Last returns the command's last record as the stream's leader has it.
func (j *Journal) Last(ctx context.Context, key commands.Key) (*Record, error) {
	msg, err := streams.LeaderGet(ctx, j.js, j.name, j.prefix.Result(key))
	if err != nil {
		return nil, fmt.Errorf("read result of %s %s: %w", key.Call(), key.ID, err)
	}
	return decodeRecord(msg)
}

// Current tells whether v is still what the stream's leader has: whether its
// record would be the call's next one. It is for steps that come before a
// record and cannot be taken back, such as a dead letter.
func (j *Journal) Current(ctx context.Context, v *View) (bool, error) {
	msg, err := streams.LeaderGet(ctx, j.js, j.name, j.prefix.Results(v.Key.Call()))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return v.Last == 0, nil
	}
	if err != nil {
		return false, fmt.Errorf("read journal of %s: %w", v.Key.Call(), err)
	}
	return msg.Sequence == v.Last, nil
}
