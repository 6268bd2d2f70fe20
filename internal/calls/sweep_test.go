package calls

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/streams"
	"callbus/internal/timers"
)

const each = 10 * time.Minute

func (r *room) sweep() int {
	r.t.Helper()
	n, err := r.Sweep(r.ctx, each)
	if err != nil {
		r.t.Fatalf("Sweep() = %v", err)
	}
	return n
}

func (r *room) purgeTimers() {
	r.t.Helper()
	s, err := r.js.Stream(r.ctx, r.prefix.Stream(streams.Timers))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := s.Purge(r.ctx); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) change(change func(*Entry)) {
	r.t.Helper()
	if _, err := r.Registry.Update(r.ctx, order, func(e *Entry) bool { change(e); return true }); err != nil {
		r.t.Fatal(err)
	}
}

// TestSweepArmsWhatIsMissing makes calls in every state, takes all timers away
// and wants them back as they should be.
func TestSweepArmsWhatIsMissing(t *testing.T) {
	of := func(k commands.Key, kind timers.Kind) string { return k.ID + " " + string(kind) }
	limits := commands.CallLimits{RingSeconds: 45, CallSeconds: 3600}
	ringing := func(r *room) {
		r.record(place, commands.Place, "c1", commands.Started, commands.Accepted)
		if err := r.Placed(r.ctx, r.own(place), limits, Original{}); err != nil {
			r.t.Fatal(err)
		}
	}
	answered := func(r *room) { r.placed("c1"); r.mustTake(stateEvent("c1", StateEstablished)) }
	prompted := func(r *room, statuses ...commands.Status) {
		answered(r)
		r.record(key("pp1"), commands.PlayPrompt, "c1", statuses...)
		r.change(func(e *Entry) { e.Add(Open{ID: "pp1", Action: commands.PlayPrompt, ClientContext: "pp1"}) })
	}
	duration, keepAlive := of(place, timerDuration), of(callTimer(order), timerKeepAlive)
	for _, row := range []struct {
		name  string
		setup func(*room)
		want  []string
	}{
		{"a ringing call has its look and its limits", ringing, []string{of(place, timerLook), of(place, timerRing), duration}},
		{"an answered call is kept alive and must not last for ever", answered, []string{keepAlive, duration}},
		{"a prompt is looked at when its time is over", func(r *room) { prompted(r, commands.Started, commands.Accepted) },
			[]string{keepAlive, duration, of(key("pp1"), timerLook)}},
		{"a prompt that Graph has not taken is its executor's", func(r *room) { prompted(r, commands.Started) }, []string{keepAlive, duration}},
		{"a prompt that was never begun is its executor's", func(r *room) { prompted(r) }, []string{keepAlive, duration}},
		{"a call that is to end is looked at", func(r *room) { answered(r); r.want() },
			[]string{keepAlive, duration, of(callTimer(order), timerHangup)}},
		{"a call that was not placed here and that nobody keeps alive is read now and then", func(r *room) {
			r.change(func(e *Entry) { *e = Entry{CallID: "c1", State: StateEstablished, revision: e.revision} })
		}, []string{of(callTimer(order), timerHangup)}},
		{"a call of which nothing is known any more is read now and then", func(r *room) {
			r.change(func(e *Entry) {
				*e = Entry{CallID: "c1", State: StateTerminating, KeepAlive: true, revision: e.revision}
			})
		}, []string{of(callTimer(order), timerHangup)}},
		{"a call that has ended has no timers", func(r *room) { answered(r); r.mustTake(stateEvent("c1", StateTerminated)) }, nil},
		{"a place without a call has no timers", func(r *room) {
			if err := r.WantHangupOf(r.ctx, place, "hungUp", ""); err != nil {
				r.t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := setup(t)
			row.setup(r)
			r.purgeTimers()
			if n := r.sweep(); n != len(row.want) {
				t.Errorf("Sweep() armed %d timers; want %d", n, len(row.want))
			}
			got, want := r.armed(), map[string]bool{}
			for _, name := range row.want {
				var k commands.Key
				var kind string
				fmt.Sscan(name, &k.ID, &kind)
				k.Producer, k.CallRef = order.Producer, order.CallRef
				want[r.prefix.Timer(k, kind)] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("armed (-want +got):\n%s", diff)
			}
			if n := r.sweep(); n != 0 {
				t.Errorf("a second Sweep() armed %d timers; want none", n)
			}
		})
	}
}

func TestSweepLeavesAloneWhatIsArmed(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.mustTake(stateEvent("c1", StateEstablished))
	h := timers.Timer{Key: key("h1"), Kind: timerHangup, CallID: "c1"}
	if err := r.timers.Arm(r.ctx, h, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.want()
	before := map[timers.Kind]time.Time{}
	due := func(kind timers.Kind) time.Time {
		k := place
		if kind == timerKeepAlive {
			k = callTimer(order)
		}
		return r.due(k, kind)
	}
	for _, kind := range []timers.Kind{timerKeepAlive, timerDuration} {
		before[kind] = due(kind)
	}
	if n := r.sweep(); n != 0 {
		t.Errorf("Sweep() armed %d timers; want none, %v", n, r.armed())
	}
	for kind, at := range before {
		if got := due(kind); at.IsZero() || !got.Equal(at) {
			t.Errorf("%s moved from %v to %v", kind, at, got)
		}
	}
}

// TestSweepTimes says when what was lost is made good.
func TestSweepTimes(t *testing.T) {
	r := setup(t)
	r.record(place, commands.Place, "c1", commands.Started, commands.Accepted)
	if err := r.Placed(r.ctx, r.own(place), commands.CallLimits{RingSeconds: 45, CallSeconds: 3600}, Original{}); err != nil {
		t.Fatal(err)
	}
	accepted := r.entry(order).AcceptedAt
	was := map[timers.Kind]time.Time{timerLook: {}, timerRing: {}, timerDuration: {}}
	for kind := range was {
		was[kind] = r.due(place, kind)
	}
	r.purgeTimers()
	r.sweep()
	for kind, at := range was {
		if got := r.due(place, kind); !got.Equal(at) {
			t.Errorf("%s is due %v; want %v, as before", kind, got, at)
		}
	}
	r.mustTake(stateEvent("c1", StateEstablished))
	r.purgeTimers()
	begun := time.Now()
	r.sweep()
	if at := r.due(callTimer(order), timerKeepAlive); at.Before(begun) || at.After(time.Now().Add(r.opts.KeepAliveInterval/3)) {
		t.Errorf("keep-alive is due %s from now; want it within a third of the interval", at.Sub(begun))
	}
	if at := r.due(place, timerDuration); !at.Equal(accepted.Add(time.Hour)) {
		t.Errorf("duration is due %v; want an hour after %v", at, accepted)
	}
	if at := r.due(place, timerRing); !at.IsZero() {
		t.Error("the ringing of an answered call is limited")
	}
}

// TestSweepClosesWhatHasEnded: a worker died between the record and the registry.
func TestSweepClosesWhatHasEnded(t *testing.T) {
	for _, row := range []struct {
		status commands.Status
		stays  bool
	}{{commands.Succeeded, false}, {commands.Unknown, true}} {
		t.Run(string(row.status), func(t *testing.T) {
			r := setup(t)
			r.placed("c1")
			r.mustTake(stateEvent("c1", StateEstablished))
			r.record(key("pp1"), commands.PlayPrompt, "c1", commands.Started, commands.Accepted, row.status)
			r.change(func(e *Entry) { e.Add(Open{ID: "pp1", Action: commands.PlayPrompt}) })
			r.sweep()
			e := r.entry(order)
			o := e.OpenOf("pp1")
			if (o != nil) != row.stays || (o != nil && !o.Settled) {
				t.Errorf("open = %+v; want it to stay, settled: %t", o, row.stays)
			}
			if e.Waits("") {
				t.Errorf("entry = %+v; want nobody to wait for the prompt", e)
			}
		})
	}
}

// TestSweepKeepsTheOriginal: a look that has fired and is in somebody's hands is
// not armed, but knows the message that an unknown outcome would need.
func TestSweepKeepsTheOriginal(t *testing.T) {
	r := setup(t)
	from := Original{Subject: "calls.commands.crm.order-1.place", Sequence: 7, Body: []byte(`{"id":"p1"}`)}
	r.record(place, commands.Place, "c1", commands.Started, commands.Accepted)
	if err := r.Placed(r.ctx, r.own(place), commands.CallLimits{}, from); err != nil {
		t.Fatal(err)
	}
	timer, _, err := r.timers.Find(r.ctx, place, timerLook)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.timers.Arm(r.ctx, timer, time.Now()); err != nil {
		t.Fatal(err)
	}
	r.until("the look has fired", func() bool { return r.due(place, timerLook).IsZero() })
	r.sweep()
	timer, _, err = r.timers.Find(r.ctx, place, timerLook)
	var got Original
	if err != nil || r.due(place, timerLook).IsZero() || json.Unmarshal(timer.Attached, &got) != nil || got.Sequence != 7 {
		t.Errorf("armed again with %s, %v; want the original message", timer.Attached, err)
	}
}

// TestSweepsAtOnce: ten workers sweep together, and one of them arms each timer.
func TestSweepsAtOnce(t *testing.T) {
	r := setup(t)
	const calls = 30
	for i := range calls {
		r.entryOf(i, StateEstablished)
	}
	counts := make(chan int, 10)
	for range cap(counts) {
		go func() {
			n, err := r.Sweep(r.ctx, each)
			if err != nil {
				t.Error(err)
			}
			counts <- n
		}()
	}
	total := 0
	for range cap(counts) {
		total += <-counts
	}
	if total != calls*2 {
		t.Errorf("%d timers armed; want %d, a keep-alive and a duration each", total, calls*2)
	}
}

// entryOf writes an entry of a placed call.
func (r *room) entryOf(i int, state string) {
	r.t.Helper()
	now := time.Now()
	call := commands.CallKey{Producer: "crm", CallRef: fmt.Sprintf("many-%d", i)}
	e := Entry{PlaceID: "p1", Attempt: 1, CallID: fmt.Sprintf("id-%d", i), TenantID: "tenant", State: state, AcceptedAt: now, EstablishedAt: now, KeepAlive: true, Notified: true}
	if err := r.Registry.Put(r.ctx, call, &e); err != nil {
		r.t.Fatal(err)
	}
}

// TestKeepSwept begins with a sweep and ends with its context; timers that are
// lost while workers run come back.
func TestKeepSwept(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.mustTake(stateEvent("c1", StateEstablished))
	r.purgeTimers()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.KeepSwept(ctx, 50*time.Millisecond) }()
	for range 2 {
		r.until("the keep-alive is armed again", func() bool { return !r.due(callTimer(order), timerKeepAlive).IsZero() })
		r.purgeTimers()
	}
	stop()
	<-done
}

// BenchmarkSweep is a sweep over ten thousand live calls of which nothing is
// missing, which is what a sweep mostly finds, and over as many ended ones.
func BenchmarkSweep(b *testing.B) {
	r := setup(b)
	const calls = 10_000
	for i := range calls {
		r.entryOf(i, StateEstablished)
		ended := Entry{PlaceID: "p1", CallID: fmt.Sprintf("old-%d", i), State: StateTerminated, EndedAt: time.Now()}
		if err := r.Registry.Put(r.ctx, commands.CallKey{Producer: "crm", CallRef: fmt.Sprintf("old-%d", i)}, &ended); err != nil {
			b.Fatal(err)
		}
	}
	begun := time.Now()
	r.sweep()
	b.ReportMetric(time.Since(begun).Seconds(), "s/all-missing")
	for b.Loop() {
		if n := r.sweep(); n != 0 {
			b.Fatalf("%d timers armed; want none", n)
		}
	}
}
