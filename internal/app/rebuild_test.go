package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/callbacks"
	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

const (
	toBusy      = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d486"}}}]}`
	toSomeone   = `{"transferTarget":{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27001"}}}}`
	toUnwilling = `{"transferTarget":{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27603"}}}}`
	longPrompt  = `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/a.wav"}},{"mediaInfo":{"uri":"https://cdn.contoso.com/b.wav"}},{"mediaInfo":{"uri":"https://cdn.contoso.com/c.wav"}}]}`
	redirectOne = `{"targets":[{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27001"}}}]}`
)

// bucket is what the registry holds, by key.
func (c *counter) bucket() map[string]string {
	c.t.Helper()
	kv, err := c.js.KeyValue(c.t.Context(), commands.DefaultPrefix.Registry())
	if err != nil {
		c.t.Fatal(err)
	}
	w, err := kv.WatchAll(c.t.Context(), jetstream.IgnoreDeletes())
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = w.Stop() }()
	all := map[string]string{}
	for u := range w.Updates() {
		if u == nil {
			break
		}
		all[u.Key()] = string(u.Value())
	}
	return all
}

// lose empties the registry.
func (c *counter) lose() {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), "KV_"+commands.DefaultPrefix.Registry())
	if err == nil {
		err = s.Purge(c.t.Context())
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *counter) rebuild() calls.Rebuilt {
	c.t.Helper()
	r, err := calls.Rebuild(c.t.Context(), c.w.calls.Registry, c.w.calls.Events, c.w.journal, false)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// comesIn lets a call come in and returns its id once it is known.
func (c *counter) comesIn() string {
	c.t.Helper()
	id, err := c.sim.Sim.Incoming(graphsim.IncomingCall{
		CallbackURI: "http://" + c.w.CallbackAddr() + callbacks.WebhookPath, Source: json.RawMessage(`{"user":"112f7296-5fa4-42ca-bae8-6a692b15d001"}`),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.known(commands.CallKey{Producer: commands.IncomingProducer, CallRef: commands.NormalCallID(id)}, "incoming", func(e calls.Entry) bool { return e.State == calls.StateIncoming })
	return id
}

// strange is a call that was placed by somebody else, and of which Graph tells us
// nothing.
func (c *counter) strange() string {
	c.t.Helper()
	text := `{"@odata.type":"#microsoft.graph.call","callbackUri":"http://127.0.0.1:1/","requestedModalities":["audio"],` +
		`"mediaConfig":{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"},` + toUser[1:]
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.sim.GraphURL()+"/communications/calls", strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+devToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var call struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&call); err != nil || call.ID == "" {
		c.t.Fatalf("Graph answered %s, %v", resp.Status, err)
	}
	return call.ID
}

func (c *counter) known(call commands.CallKey, what string, ok func(calls.Entry) bool) calls.Entry {
	c.t.Helper()
	var e calls.Entry
	eventually(c.t, patience, call.String()+" "+what, func() (bool, string) {
		var err error
		e, _, err = c.w.calls.Registry.Get(c.t.Context(), call)
		return err == nil && ok(e), fmt.Sprintf("%+v %v", e, err)
	})
	return e
}

// mixedLoad leaves calls behind in every state that the registry knows, and waits
// until nothing moves them any more.
func (c *counter) mixedLoad() {
	up := func(callRef string) {
		c.known(key(callRef, "").Call(), "has audio", func(e calls.Entry) bool { return e.AudioActive })
	}
	c.want("live", "p", commands.Place, toUser, map[string]any{"limits": map[string]any{"callSeconds": 600, "ringSeconds": 30}})
	c.want("group", "p", commands.Place, toGroup, nil)
	up("live")
	up("group")
	c.want("group", "m", commands.Mute, "", nil)
	c.send(key("live", "").Call(), commands.PlayPrompt, body("pp", aPrompt, nil))
	c.reaches(key("live", "pp"), "accepted", func(r commands.Result) bool { return r.Status == commands.Accepted })
	c.want("live", "c1", commands.CancelMediaProcessing, "", nil)
	c.final(key("live", "pp"))
	c.send(key("live", "").Call(), commands.PlayPrompt, body("open", longPrompt, nil))
	c.reaches(key("live", "open"), "accepted", func(r commands.Result) bool { return r.Status == commands.Accepted })
	c.ask("busy", "p", commands.Place, toBusy, nil)
	c.want("hung-up", "p", commands.Place, toUser, nil)
	c.want("hung-up", "bye", commands.Hangup, "", nil)
	c.want("twice", "p", commands.Place, toUser, nil)
	c.want("twice", "bye", commands.Hangup, "", nil)
	c.known(key("twice", "").Call(), "ended", func(e calls.Entry) bool { return e.Ended() })
	eventually(c.t, patience, "the name twice is free", func() (bool, string) { return len(c.events("twice", commands.KindEnded)) == 1, "" })
	c.want("twice", "p2", commands.Place, toUser, nil)
	c.want("moved", "p", commands.Place, toUser, nil)
	up("moved")
	c.ask("moved", "x", commands.Transfer, toUnwilling, nil)
	c.want("moved", "x2", commands.Transfer, toSomeone, nil)
	c.ask("limited", "p", commands.Place, toNobody, map[string]any{"limits": map[string]any{"ringSeconds": 1}})
	// One that came in, one that is claimed, one that nobody knows the end of.
	c.comesIn()
	c.want("claimed", "r", commands.Redirect, redirectOne, map[string]any{"callId": c.comesIn()})
	c.want("bound", "g", commands.GetCall, "", map[string]any{"callId": c.strange(), "keepAlive": true})
	c.want("elsewhere", "p", commands.Place, toUser, nil)
	c.faults(graphsim.Fault{Operation: "createCall", CallRef: "gone", DropRequest: true})
	c.ask("gone", "p", commands.Place, toUser, nil)
	c.ask("gone", "bye", commands.Hangup, "", nil)
	c.faults()
	for _, callRef := range []string{"busy", "hung-up", "moved", "limited", "claimed"} {
		c.known(key(callRef, "").Call(), "ended", func(e calls.Entry) bool { return e.Ended() })
	}
	up("twice")
	up("elsewhere")
}

// restful waits until the registry has not moved for a while.
func (c *counter) restful() map[string]string {
	c.t.Helper()
	was, since := c.bucket(), time.Now()
	eventually(c.t, patience, "a registry that rests", func() (bool, string) {
		now := c.bucket()
		if !maps.Equal(now, was) {
			was, since = now, time.Now()
		}
		return time.Since(since) > 700*time.Millisecond, ""
	})
	return was
}

// The registry can be made anew from the streams, claims included, and comes out
// the same.
func TestTheRegistryIsRebuilt(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{PromptDuration: time.Minute / 3, IncomingTimeout: time.Hour}, func(o *Options) { quick(o); o.MaxCallDuration = time.Hour })
	c.mixedLoad()
	want := c.restful()
	if len(want) < 20 {
		t.Fatalf("%d entries; want a load that leaves more behind: %q", len(want), slices.Sorted(maps.Keys(want)))
	}
	if got := c.rebuild(); got.Restored+got.Replaced+got.Moved+got.Unknown != 0 {
		t.Errorf("Rebuild() of a sound registry = %+v; want nothing to be done (-was +is):\n%s", got, cmp.Diff(want, c.bucket()))
	}
	c.lose()
	if got := c.rebuild(); got.Restored != len(want) {
		t.Errorf("Rebuild() of a lost registry = %+v; want %d entries restored", got, len(want))
	}
	if diff := cmp.Diff(pretty(t, want), pretty(t, c.bucket())); diff != "" {
		t.Errorf("the registry before and after (-before +after):\n%s", diff)
	}
	// It does its work: the prompt under way is cancelled, and the call hung up.
	c.want("live", "c", commands.CancelMediaProcessing, "", nil)
	if r := c.final(key("live", "open")); r.Status != commands.Failed {
		t.Errorf("the open prompt ended %s; want failed, as it was cancelled", r.Status)
	}
	c.want("live", "bye", commands.Hangup, "", nil)
	c.known(key("live", "").Call(), "ended", func(e calls.Entry) bool { return e.Ended() })
}

// Rebuilding does no harm to workers that go on meanwhile, and what was lost under
// their hands comes back.
func TestTheRegistryIsRebuiltUnderLoad(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	const n = 40
	var load sync.WaitGroup
	for i := range n {
		k := key(numbered("call", i), "p")
		c.send(k.Call(), commands.Place, body("p", toGroup, nil))
		for j := range 6 {
			c.send(k.Call(), []commands.Action{commands.Mute, commands.Unmute}[j%2], body(fmt.Sprint("m", j), "", nil))
		}
		c.send(k.Call(), commands.PlayPrompt, body("pp", aPrompt, nil))
		c.send(k.Call(), commands.Hangup, body("bye", "", map[string]any{"wait": "turn"}))
	}
	load.Go(func() {
		for i := range n {
			if r := c.final(key(numbered("call", i), "bye")); r.Status != commands.Succeeded {
				t.Errorf("hang-up of %s ended %s: %+v", r.CallRef, r.Status, r.Error)
			}
		}
	})
	done := make(chan struct{})
	go func() { load.Wait(); close(done) }()
	for lost := false; ; {
		c.rebuild()
		select {
		case <-done:
		default:
			if !lost {
				c.lose()
				lost = true
			}
			continue
		}
		break
	}
	c.idle()
	c.rebuild()
	for i := range n {
		call := key(numbered("call", i), "").Call()
		c.known(call, "ended", func(e calls.Entry) bool { return e.Ended() && len(e.Open) == 0 })
		if r := c.final(key(numbered("call", i), "p")); r.Status != commands.Succeeded {
			t.Errorf("place of %s ended %s: %+v", call, r.Status, r.Error)
		}
	}
	c.dialledOnce(n)
	for key := range c.bucket() {
		if id, ok := strings.CutPrefix(key, "_id."); ok {
			if _, known, err := c.w.calls.Registry.Owner(t.Context(), id); !known || err != nil {
				t.Errorf("Owner(%s) = %v, %v", id, known, err)
			}
		}
	}
}

// pretty makes entries comparable member by member.
func pretty(t *testing.T, entries map[string]string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for k, text := range entries {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		all[k] = v
	}
	return all
}
