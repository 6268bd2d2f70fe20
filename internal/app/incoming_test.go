package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/callbacks"
	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
)

// desk is a producer that hears of incoming calls and has each redirected.
type desk struct {
	tb  testing.TB
	sim *graphsim.Server
	w   *Worker
	// outcomes are the final records of its redirects.
	outcomes chan commands.Result
}

// openDesk starts a server, a simulated Graph, a worker and the producer.
func openDesk(tb testing.TB) *desk {
	tb.Helper()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(srv.Close)
	sim := startSim(tb, graphsim.Options{AnswerAfter: -1, StepDuration: -1})
	w, _ := startWorker(tb, "desk", srv.URL(), sim, nil)
	d := &desk{tb: tb, sim: sim, w: w, outcomes: make(chan commands.Result, 16)}
	js := connect(tb, srv.URL())
	prefix := commands.DefaultPrefix
	_, err = js.Conn().Subscribe(prefix.Event(commands.CallKey{Producer: commands.IncomingProducer, CallRef: "*"}, commands.KindIncoming), func(msg *nats.Msg) {
		var ev commands.Event
		if err := json.Unmarshal(msg.Data, &ev); err != nil {
			tb.Error(err)
			return
		}
		call := commands.CallKey{Producer: "desk", CallRef: commands.NormalCallID(ev.CallID)}
		command := body("r", redirectOne, map[string]any{"callId": ev.CallID})
		if _, err := js.PublishAsync(prefix.Command(call, commands.Redirect), command); err != nil {
			tb.Error(err)
		}
	})
	if err == nil {
		_, err = js.Conn().Subscribe(prefix.Result(commands.Key{Producer: "desk", CallRef: "*", ID: "*"}), func(msg *nats.Msg) {
			var r commands.Result
			if json.Unmarshal(msg.Data, &r) == nil && r.Final {
				d.outcomes <- r
			}
		})
	}
	if err == nil {
		err = js.Conn().Flush()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// ring lets a call come in and waits until it is redirected.
func (d *desk) ring() (id string, r commands.Result) {
	d.tb.Helper()
	id, err := d.sim.Sim.Incoming(graphsim.IncomingCall{
		CallbackURI: "http://" + d.w.CallbackAddr() + callbacks.WebhookPath, Source: json.RawMessage(`{"user":"112f7296-5fa4-42ca-bae8-6a692b15d001"}`),
	})
	if err != nil {
		d.tb.Fatal(err)
	}
	select {
	case r = <-d.outcomes:
	case <-time.After(patience):
		d.tb.Fatal("the call was not redirected")
	}
	return id, r
}

// A call comes in, a producer hears of it, and has it redirected; Graph is asked
// once, and the call's end goes to the producer.
func TestAnIncomingCallIsRedirected(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	id, r := d.ring()
	if r.Status != commands.Succeeded || r.Action != commands.Redirect || commands.NormalCallID(r.CallID) != commands.NormalCallID(id) {
		t.Errorf("outcome %+v; want the redirect of %s to succeed", r, id)
	}
	call, _ := d.sim.Sim.Call(id)
	n := 0
	for _, q := range call.Requests {
		if q.Operation == "redirect" {
			n++
		}
	}
	if n != 1 || call.Ended.IsZero() {
		t.Errorf("%d requests to redirect, call %+v; want one, and the call over", n, call)
	}
	// The outcome may be found by reading the call, before its end is folded.
	eventually(t, patience, "the call over under its new owner", func() (bool, string) {
		e, _, err := d.w.calls.Registry.Get(t.Context(), commands.CallKey{Producer: "desk", CallRef: commands.NormalCallID(id)})
		return err == nil && e.Ended(), fmt.Sprintf("%+v, %v", e, err)
	})
}

// BenchmarkIncoming measures an incoming call from its start at Graph until it is
// redirected and that is stored: notification, event, the producer's command, the
// request, the last notification, the outcome.
func BenchmarkIncoming(b *testing.B) {
	d := openDesk(b)
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, r := d.ring(); r.Status != commands.Succeeded {
			b.Fatalf("the redirect ended %s: %+v", r.Status, r.Error)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "ms-p50")
	b.ReportMetric(ms(took[len(took)*99/100]), "ms-p99")
	b.ReportMetric(ms(took[len(took)-1]), "ms-max")
}
