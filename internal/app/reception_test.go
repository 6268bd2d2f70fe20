package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/callbacks"
	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/ledger"
	"callbus/internal/streams"
	"callbus/internal/timers"
)

// reception is the way of a notification, with nothing left out and nothing
// else: no queue, no executor. Graph must not be asked.
type reception struct {
	addr    string
	token   string
	js      jetstream.JetStream
	calls   *calls.Calls
	journal *ledger.Journal
}

func startReception(t *testing.T) *reception {
	t.Helper()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	js := connect(t, srv.URL())
	if _, err := streams.Provision(t.Context(), js, streams.DefaultOptions(), streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	journal, err := ledger.New(t.Context(), js, commands.DefaultPrefix, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	events := calls.NewEvents(js, commands.DefaultPrefix)
	c := calls.New(calls.Deps{
		Registry: calls.NewRegistry(js, commands.DefaultPrefix), Events: events, Journal: journal,
		Timers: timers.New(js, commands.DefaultPrefix, log), Graph: noGraph{t}, Hint: func(commands.CallKey) {}, Logger: log,
	}, calls.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx, ctx, 16) }()
	t.Cleanup(func() { cancel(); <-done })
	key := newSigner(t)
	return &reception{
		addr: listenForNotifications(t, key, events, callbacks.ServerOptions{}), token: key.token(t, "t"),
		js: js, calls: c, journal: journal,
	}
}

// noGraph fails the test when Graph is asked.
type noGraph struct{ t *testing.T }

var errNoGraph = errors.New("there is no Graph")

func (g noGraph) ReadCall(context.Context, string, string) (calls.Reading, error) {
	g.t.Error("a call is read although the notification says it all")
	return calls.Reading{}, errNoGraph
}

func (g noGraph) KeepAlive(context.Context, string, string) (bool, error) {
	g.t.Error("a call is kept alive")
	return false, errNoGraph
}

func (g noGraph) Hangup(context.Context, string, string) (bool, error) {
	g.t.Error("a call is hung up")
	return false, errNoGraph
}

// idle tells whether every event has been folded.
func (r *reception) idle() (bool, string) {
	c, err := r.js.Consumer(context.Background(), commands.DefaultPrefix.Stream(streams.Events), streams.FoldConsumer)
	if err != nil {
		return false, err.Error()
	}
	info := c.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0, fmt.Sprintf("%d to come, %d in work", info.NumPending, info.NumAckPending)
}

var errNoEntry = errors.New("the registry does not know the call")

// folded asks registry and journal.
func (r *reception) folded(t *testing.T, call commands.CallKey, command commands.Key) (folded, error) {
	e, known, err := r.calls.Registry.Get(t.Context(), call)
	if err != nil || !known {
		return folded{}, errors.Join(err, errNoEntry)
	}
	v, err := r.journal.Read(t.Context(), command)
	if err != nil {
		return folded{}, err
	}
	f := folded{
		State: e.State, Reason: e.Reason, Info: e.ResultInfo, TerminationReason: e.TerminationReason, Participants: e.Participants,
		AudioActive: e.AudioActive, TransferAccepted: e.TransferAccepted, TransferFailed: e.TransferFailure != nil, RespondBy: !e.RespondBy.IsZero(),
	}
	if v.Own != nil {
		f.Command = v.Own.Status
	}
	return f, nil
}

// accepted writes the records of a command that Graph has accepted.
func (r *reception) accepted(t *testing.T, call commands.CallKey, id string, a commands.Action, callID string) {
	t.Helper()
	v, err := r.journal.Read(t.Context(), commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []commands.Status{commands.Started, commands.Accepted} {
		rec := ledger.Record{Result: commands.Result{Action: a, Status: status, TenantID: signerTenant, Attempts: 1}, Attempt: "a", Body: "hash"}
		if status == commands.Accepted {
			rec.CallID = callID
		}
		if err := r.journal.Append(t.Context(), &v, rec); err != nil {
			t.Fatal(err)
		}
	}
	if a != commands.Place {
		_, err := r.calls.Registry.Update(t.Context(), call, func(e *calls.Entry) bool {
			if e.CallID == "" {
				*e = calls.Entry{PlaceID: "place", Attempt: 1, CallID: callID, TenantID: signerTenant, AcceptedAt: time.Now()}
			}
			return e.Add(calls.Open{ID: id, Action: a, ClientContext: id})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (r *reception) post(t *testing.T, path, body string, headers map[string]string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	for name, v := range headers {
		req.Header.Set(name, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("status %d; want 202", resp.StatusCode)
	}
}

// told are the call's events but for its end, which the fold tells.
func (r *reception) told(t *testing.T, call commands.CallKey) []commands.Event {
	return slices.DeleteFunc(r.stored(t, call), func(e commands.Event) bool { return e.Kind == commands.KindEnded })
}

// stored are the call's events in the stream, in order.
func (r *reception) stored(t *testing.T, call commands.CallKey) (all []commands.Event) {
	t.Helper()
	stream, err := r.js.Stream(t.Context(), commands.DefaultPrefix.Stream(streams.Events))
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(commands.DefaultPrefix.Event(call, "*")))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		var e commands.Event
		if err == nil {
			err = json.Unmarshal(msg.Data, &e)
		}
		if err != nil {
			t.Fatal(err)
		}
		all, seq = append(all, e), msg.Sequence+1
	}
}
