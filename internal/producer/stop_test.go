package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestEndings(t *testing.T) {
	reason := func(word string) json.RawMessage { return json.RawMessage(`{"reason":"` + word + `"}`) }
	tests := []struct {
		name string
		r    commands.Result
		want Ending
	}{
		{"Graph took the hang-up", commands.Result{Status: commands.Succeeded}, HungUp},
		{"a queued place was cancelled", commands.Result{Status: commands.Succeeded, Data: reason("neverPlaced")}, NeverPlaced},
		{"the call had ended", commands.Result{Status: commands.Succeeded, Data: reason("alreadyEnded")}, AlreadyOver},
		{"the place had been rejected", commands.Result{Status: commands.Rejected, Error: &commands.Error{Code: "noSuchCall"}}, NeverPlaced},
		{"the place is unknown", commands.Result{Status: commands.Unknown}, NotKnown},
		{"rejected for another reason", commands.Result{Status: commands.Rejected, Error: &commands.Error{Code: "tenantNotServed"}}, NotDone},
		{"failed", commands.Result{Status: commands.Failed}, NotDone},
		{"expired", commands.Result{Status: commands.Expired}, NotDone},
	}
	for _, tt := range tests {
		if got := endingOf(tt.r); got != tt.want {
			t.Errorf("%s: endingOf() = %s; want %s", tt.name, got, tt.want)
		}
	}
	var over []Ending
	for _, e := range Endings {
		if e.Over() {
			over = append(over, e)
		}
	}
	if diff := cmp.Diff([]Ending{HungUp, NeverPlaced, AlreadyOver}, over); diff != "" {
		t.Errorf("endings that are over (-want +got):\n%s", diff)
	}
}

// workOnHangups plays workers that have come to nothing but hang-ups yet: a
// place stays in the queue until its call's hang-up takes it out.
func (b *bus) workOnHangups() {
	b.t.Helper()
	queue, err := b.js.Stream(b.t.Context(), "CALL_COMMANDS")
	if err != nil {
		b.t.Fatal(err)
	}
	b.workOn([]string{"calls.commands.*.*.hangup"}, func(d delivered) []commands.Result {
		place := commands.DefaultPrefix.Command(d.key.Call(), commands.Place)
		if err := queue.Purge(context.Background(), jetstream.WithPurgeSubject(place)); err != nil {
			b.t.Error(err)
		}
		return hangsUp(d)
	})
}

// hangsUp ends each hang-up as its call's name says.
func hangsUp(d delivered) []commands.Result {
	switch name, _, _ := strings.Cut(d.key.CallRef, "-"); name {
	case "queued":
		return []commands.Result{{Status: commands.Succeeded, Data: json.RawMessage(`{"reason":"neverPlaced"}`)}}
	case "gone":
		return []commands.Result{{Status: commands.Succeeded, Data: json.RawMessage(`{"reason":"alreadyEnded"}`)}}
	case "lost":
		return []commands.Result{{Status: commands.Started}, {Status: commands.Unknown}}
	case "wrong":
		return []commands.Result{{Status: commands.Failed, Error: &commands.Error{Class: commands.ClassInternal}}}
	case "silent":
		return []commands.Result{{Status: commands.Waiting, Reason: "callNotReady"}}
	}
	return []commands.Result{{Status: commands.Started}, {Status: commands.Succeeded, CallID: d.key.CallRef}}
}

// stop hangs everything up and returns the endings by call, and the ids of the
// hang-ups.
func (b *bus) stop(ctx context.Context, o StopOptions) (endings map[string]Ending, ids []string, err error) {
	b.t.Helper()
	o.ID = "stop-1"
	endings = map[string]Ending{}
	o.Ended = func(e StopOutcome) {
		if e.Key.Call() != e.Target.Call {
			b.t.Errorf("%s is said to be about %s", e.Key, e.Target.Call)
		}
		endings[e.Target.Call.String()] = e.Ending
		ids = append(ids, e.Key.CallRef+" "+e.Key.ID)
	}
	err = b.client.HangUpAll(ctx, o)
	slices.Sort(ids)
	return endings, ids, err
}

func TestHangUpAllTellsWhatBecameOfEachCall(t *testing.T) {
	b := newRegistryBus(t)
	for _, key := range []string{"crm.live", "erp.live", "crm.gone", "erp.lost", "erp.wrong", "erp.silent"} {
		b.register(key, live("id-"+key, contoso))
	}
	b.queue("crm", "queued", `{"id":"p"}`)
	b.workOnHangups()
	endings, ids, err := b.stop(within(t, 3*time.Second), StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Ending{"crm.live": HungUp, "erp.live": HungUp, "crm.gone": AlreadyOver, "crm.queued": NeverPlaced,
		"erp.lost": NotKnown, "erp.wrong": NotDone, "erp.silent": NoOutcome}
	if diff := cmp.Diff(want, endings); diff != "" {
		t.Errorf("endings (-want +got):\n%s", diff)
	}
	wantIDs := []string{"gone stop-1-1", "live stop-1-1", "live stop-1-1", "lost stop-1-1", "queued stop-1-1", "silent stop-1-1", "wrong stop-1-1"}
	if diff := cmp.Diff(wantIDs, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestHangUpAllFindsWhatComesMeanwhile(t *testing.T) {
	b := newRegistryBus(t)
	b.register("crm.first", live("first", ""))
	b.register("crm.again", live("again", ""))
	b.workOnHangups()
	var found []string
	passes := 0
	o := StopOptions{Found: func(targets []Target) {
		passes++
		for _, target := range targets {
			found = append(found, fmt.Sprintf("%d %s", passes, target.Call))
		}
		switch passes {
		case 1: // a binding that lags, and one more place
			b.register("crm.late", live("late", ""))
			b.queue("crm", "queued-late", `{"id":"p"}`)
		case 2: // the name of a call that was hung up is used again
			b.register("crm.again", live("another", ""))
		}
	}}
	endings, ids, err := b.stop(within(t, 20*time.Second), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"1 crm.again", "1 crm.first", "2 crm.late", "2 crm.queued-late", "3 crm.again"}; !cmp.Equal(want, found) {
		t.Errorf("found %q; want %q", found, want)
	}
	if want := []string{"again stop-1-1", "again stop-1-3", "first stop-1-1", "late stop-1-2", "queued-late stop-1-2"}; !cmp.Equal(want, ids) {
		t.Errorf("ids = %q; want %q", ids, want)
	}
	for call, ending := range endings {
		if !ending.Over() {
			t.Errorf("%s ended %s; want it over", call, ending)
		}
	}
}

// A call that goes from the queue into the registry while its hang-up is under
// way is the same call.
func TestHangUpAllHangsUpADialledCallOnce(t *testing.T) {
	s := &stop{seen: map[commands.CallKey]*aim{}}
	call := commands.CallKey{Producer: "crm", CallRef: "a"}
	queued, up := Target{Call: call, Queued: true}, Target{Call: call, CallID: "C-1"}
	over := map[commands.CallKey]bool{call: true}
	steps := []struct {
		name string
		seen Target
		over map[commands.CallKey]bool
		want bool
	}{
		{"a queued place is new", queued, nil, true},
		{"and not new while its hang-up is under way", queued, nil, false},
		{"nor when it shows in the registry", up, nil, false},
		{"nor when the hang-up is done and the registry behind", up, over, false},
		{"a place in the queue after that is new", queued, over, true},
		{"another call id is new", Target{Call: call, CallID: "c-2"}, nil, false}, // the second place's
		{"but not in another spelling", Target{Call: call, CallID: "C-2"}, over, false},
		{"a third is new", Target{Call: call, CallID: "c-3"}, nil, true},
	}
	for _, step := range steps {
		if got := len(s.fresh([]Target{step.seen}, step.over, "id")) == 1; got != step.want {
			t.Errorf("%s: fresh = %t; want %t", step.name, got, step.want)
		}
	}
}

// The rights are those of docs/operators.md.
func TestHangUpAllNeedsNoMoreThanAnOperatorsRights(t *testing.T) {
	b := newBusWith(t, func(o *server.Options) {
		operator := &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{
				"calls.commands.*.*.hangup",
				"$JS.API.STREAM.INFO.CALL_COMMANDS", "$JS.API.STREAM.MSG.GET.CALL_COMMANDS", "$JS.API.STREAM.INFO.KV_CALLS",
				"$JS.API.CONSUMER.CREATE.KV_CALLS.>", "$JS.API.CONSUMER.DELETE.KV_CALLS.>", "$JS.FC.KV_CALLS.>",
				"$JS.API.DIRECT.GET.CALL_RESULTS.calls.results.>",
			}},
			Subscribe: &server.SubjectPermission{Allow: []string{"calls.results.>", "_INBOX.>"}},
		}
		o.Users = []*server.User{{Username: "worker", Password: "w", Permissions: &server.Permissions{}}, {Username: "operator", Password: "o", Permissions: operator}}
	}, nats.UserInfo("worker", "w"))
	b.createRegistry()
	b.register("crm.live", live("id", contoso))
	b.queue("erp", "queued", `{"id":"p"}`)
	b.workOnHangups()
	refused := make(chan error, 16)
	b.client = b.newClient(b.connect(nats.UserInfo("operator", "o"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })))
	endings, _, err := b.stop(within(t, 20*time.Second), StopOptions{StopFilter: StopFilter{Tenant: contoso}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Ending{"crm.live": HungUp, "erp.queued": NeverPlaced}, endings); diff != "" {
		t.Errorf("endings (-want +got):\n%s", diff)
	}
	if err := b.client.nc.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		t.Errorf("the server refused: %v", err)
	default:
	}
}

func TestHangUpAllWithNothingToDo(t *testing.T) {
	b := newRegistryBus(t)
	endings, _, err := b.stop(within(t, 10*time.Second), StopOptions{Found: func([]Target) { t.Error("something was found; want nothing") }})
	if err != nil || len(endings) > 0 {
		t.Errorf("HangUpAll() = %v, %v; want nothing", endings, err)
	}
}

func TestHangUpAllSaysWhatWasNotStored(t *testing.T) {
	b := newServer(t, nil)
	b.createStreams(2)
	b.createRegistry()
	b.queue("crm", "queued-1", `{"id":"p"}`)
	b.queue("crm", "queued-2", `{"id":"p"}`)
	endings, _, err := b.stop(within(t, time.Second), StopOptions{})
	if !errors.Is(err, ErrNoOutcome) {
		t.Errorf("HangUpAll() = %v; want that it did not come to its end", err)
	}
	if diff := cmp.Diff(map[string]Ending{"crm.queued-1": NotStored, "crm.queued-2": NotStored}, endings); diff != "" {
		t.Errorf("endings before a full queue (-want +got):\n%s", diff)
	}
}

func TestHangUpAllIsInterrupted(t *testing.T) {
	b := newRegistryBus(t)
	b.register("crm.live", live("id", ""))
	ctx, cancel := context.WithCancel(t.Context())
	endings, _, err := b.stop(ctx, StopOptions{Found: func([]Target) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("HangUpAll() = %v; want it interrupted", err)
	}
	if diff := cmp.Diff(map[string]Ending{"crm.live": NotStored}, endings); diff != "" {
		t.Errorf("endings (-want +got):\n%s", diff)
	}
}

func TestHangUpAllOfManyIsFast(t *testing.T) {
	b := newRegistryBus(t)
	const calls = 1000
	want := map[string]Ending{}
	for i := range calls {
		callRef := fmt.Sprintf("live-%d", i)
		if _, err := b.js.PublishAsync("$KV.CALLS.crm."+callRef, []byte(live(callRef, ""))); err != nil {
			t.Fatal(err)
		}
		want["crm."+callRef] = HungUp
	}
	<-b.js.PublishAsyncComplete()
	b.workOnHangups()
	endings, _, err := b.stop(within(t, time.Minute), StopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(want, endings) {
		t.Errorf("%d calls ended %v; want all %d hung up", len(endings), endings, calls)
	}
}
