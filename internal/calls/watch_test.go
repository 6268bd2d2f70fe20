package calls

import (
	"errors"
	"slices"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/timers"
)

var errAway = errors.New("Graph is away")

// fired is a timer of the placed call.
func fired(k commands.Key, kind timers.Kind, tries int) timers.Timer {
	return timers.Timer{Key: k, Kind: kind, CallID: "c1", TenantID: "tenant", Tries: tries}
}

func TestFire(t *testing.T) {
	established := func(r *room) { r.placed("c1"); r.mustTake(stateEvent("c1", StateEstablished)) }
	ringing := func(r *room) { r.placed("c1"); r.mustTake(stateEvent("c1", StateEstablishing)) }
	silent := func(r *room) { r.placed("c1") }
	over := func(r *room) { established(r); r.mustTake(stateEvent("c1", StateTerminated)) }
	reading := func(state string) answer { return answer{reading: Reading{State: state}} }
	gone := answer{reading: Reading{Gone: true}, gone: true}
	callKey := callTimer(order)
	for _, row := range []struct {
		name   string
		before func(*room)
		timer  timers.Timer
		graph  answer
		asked  []string
		again  time.Duration // 0: not armed again
		fails  bool
		told   string // state of the event that the reading made
	}{
		{"keep-alive of an established call goes on", established, fired(callKey, timerKeepAlive, 0), answer{}, []string{"keepAlive tenant c1"}, 15 * time.Minute, false, ""},
		{"keep-alive that fails comes back", established, fired(callKey, timerKeepAlive, 0), answer{err: errAway}, []string{"keepAlive tenant c1"}, 0, true, ""},
		{"keep-alive that finds the call gone reads it", established, fired(callKey, timerKeepAlive, 0), gone, []string{"keepAlive tenant c1", "read tenant c1"}, 0, false, StateTerminated},
		{"keep-alive that was wrong about the call is no end", established, fired(callKey, timerKeepAlive, 0), answer{gone: true, reading: Reading{State: StateEstablished}}, []string{"keepAlive tenant c1", "read tenant c1"}, 0, false, StateEstablished},
		{"keep-alive of an ended call stops", over, fired(callKey, timerKeepAlive, 0), answer{}, nil, 0, false, ""},

		{"hang-up: the call is really gone", func(r *room) { established(r); r.want() }, fired(key("h1"), timerHangup, 0), gone, []string{"read tenant c1"}, 0, false, StateTerminated},
		{"hang-up: the call lives and is hung up again", func(r *room) { established(r); r.want() }, fired(key("h1"), timerHangup, 0), reading(StateEstablished), []string{"read tenant c1", "hangup tenant c1"}, 10 * time.Second, false, ""},
		{"hang-up: the call goes at the second time", func(r *room) { established(r); r.want() }, fired(key("h1"), timerHangup, 0), answer{reading: Reading{State: StateEstablished}, gone: true}, []string{"read tenant c1", "hangup tenant c1"}, 0, false, StateTerminated},
		{"hang-up: Graph is away", func(r *room) { established(r); r.want() }, fired(key("h1"), timerHangup, 0), answer{err: errAway}, []string{"read tenant c1"}, 0, true, ""},
		{"gone call that nobody wanted to hang up and that lives is left alone", established, fired(callKey, timerHangup, 0), reading(StateEstablished), []string{"read tenant c1"}, 0, false, StateEstablished},
		{"hang-up of an ended call stops", over, fired(key("h1"), timerHangup, 0), answer{}, nil, 0, false, ""},

		{"a call that rings too long is hung up", ringing, fired(place, timerRing, 0), reading(StateEstablishing), []string{"read tenant c1", "hangup tenant c1"}, 10 * time.Second, false, ""},
		{"a call that was answered without a word is not hung up for ringing", ringing, fired(place, timerRing, 0), reading(StateEstablished), []string{"read tenant c1"}, 0, false, StateEstablished},
		{"a call that is gone when it has rung too long has ended", ringing, fired(place, timerRing, 0), gone, []string{"read tenant c1"}, 0, false, StateTerminated},
		{"a call that rings too long and cannot be read comes back", ringing, fired(place, timerRing, 0), answer{err: errAway}, []string{"read tenant c1"}, 0, true, ""},
		{"an answered call does not ring too long", established, fired(place, timerRing, 0), answer{}, nil, 0, false, ""},
		{"a call that lasts too long is hung up", established, fired(place, timerDuration, 0), reading(StateEstablished), []string{"read tenant c1", "hangup tenant c1"}, 10 * time.Second, false, ""},
		{"an ended call does not last too long", over, fired(place, timerDuration, 0), answer{}, nil, 0, false, ""},

		{"look: a silent call is read", silent, fired(place, timerLook, 0), reading(StateEstablished), []string{"read tenant c1"}, 5 * time.Second, false, StateEstablished},
		{"look: a silent call that still rings is read again", silent, fired(place, timerLook, 0), reading(StateEstablishing), []string{"read tenant c1"}, 5 * time.Second, false, ""},
		{"look: a call that we hear of is read seldom", ringing, fired(place, timerLook, 0), reading(StateEstablishing), []string{"read tenant c1"}, 30 * time.Second, false, ""},
		{"look: a silent call that is gone has ended", silent, fired(place, timerLook, 0), gone, []string{"read tenant c1"}, 5 * time.Second, false, StateTerminated},
		{"look: Graph is away", silent, fired(place, timerLook, 0), answer{err: errAway}, []string{"read tenant c1"}, 0, true, ""},
		{"look: a place that has its outcome is left alone", established, fired(place, timerLook, 0), answer{}, nil, 0, false, ""},
		{"look: a command without a record may be a replica that is behind", established, fired(key("nobody"), timerLook, 0), answer{}, nil, 5 * time.Second, false, ""},
		{"look: but not for ever", established, fired(key("nobody"), timerLook, 3), answer{}, nil, 0, false, ""},

		{"a timer of another call of the name does nothing", established, timers.Timer{Key: callKey, Kind: timerKeepAlive, CallID: "c0"}, answer{}, nil, 0, false, ""},
		{"a timer of a kind that nobody knows does nothing", established, fired(place, "egg", 0), answer{}, nil, 0, false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := setup(t)
			row.before(r)
			r.graph.set("c1", row.graph)
			before := len(r.stored(commands.KindState))
			begun := time.Now()
			again, err := r.Fire(r.ctx, row.timer)
			if (err != nil) != row.fails {
				t.Fatalf("Fire() = %v; want an error: %t", err, row.fails)
			}
			if got := r.graph.seen(); !slices.Equal(got, row.asked) {
				t.Errorf("requests = %v; want %v", got, row.asked)
			}
			earliest := row.again
			if row.timer.Kind == timerKeepAlive {
				earliest -= row.again / 10 // a little earlier each time
			}
			if again.IsZero() != (row.again == 0) || (row.again > 0 && (again.Before(begun.Add(earliest)) || again.After(time.Now().Add(row.again)))) {
				t.Errorf("Fire() is armed again after %v; want %v", again.Sub(begun), row.again)
			}
			events := r.stored(commands.KindState)[before:]
			if (row.told == "") != (len(events) == 0) {
				t.Fatalf("events = %+v; want one of state %q", events, row.told)
			}
			if row.told != "" && (len(events) != 1 || events[0].State != row.told || events[0].Source != commands.SourceRead || events[0].CommandID != "p1") {
				t.Errorf("events = %+v; want one reading of state %q for the place", events, row.told)
			}
		})
	}
}

// want notes a hang-up of the call.
func (r *room) want() {
	r.t.Helper()
	if _, err := r.WantHangup(r.ctx, order, "c1", "hungUp"); err != nil {
		r.t.Fatal(err)
	}
}

func TestLimitsNameTheReasonOfTheHangup(t *testing.T) {
	for _, row := range []struct {
		kind   timers.Kind
		limits commands.CallLimits
		want   string
	}{
		{timerRing, commands.CallLimits{RingSeconds: 45}, "ringSeconds"},
		{timerDuration, commands.CallLimits{CallSeconds: 60}, "callSeconds"},
		{timerDuration, commands.CallLimits{}, "maxCallDuration"},
	} {
		t.Run(row.want, func(t *testing.T) {
			r := setup(t)
			r.record(place, commands.Place, "c1", commands.Started, commands.Accepted)
			if err := r.Placed(r.ctx, r.own(place), row.limits, Original{}); err != nil {
				t.Fatal(err)
			}
			if !r.armed()[r.prefix.Timer(place, string(row.kind))] {
				t.Errorf("armed = %v; want %s", r.armed(), row.kind)
			}
			if _, err := r.Fire(r.ctx, fired(place, row.kind, 0)); err != nil {
				t.Fatal(err)
			}
			r.mustTake(stateEvent("c1", StateTerminated))
			if own := r.own(place); own.Status != commands.Cancelled || own.Reason != row.want {
				t.Errorf("place = %s, %q; want cancelled, %s", own.Status, own.Reason, row.want)
			}
		})
	}
}

func TestLookCountsSilentCallsOnce(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.graph.set("c1", answer{reading: Reading{State: StateEstablishing}})
	for tries := range 3 {
		if _, err := r.Fire(r.ctx, fired(place, timerLook, tries)); err != nil {
			t.Fatal(err)
		}
	}
	if r.obs.silent != 1 {
		t.Errorf("%d silent calls counted; want 1", r.obs.silent)
	}
}

func TestLookAtAnOpenOperation(t *testing.T) {
	for _, row := range []struct {
		name   string
		action commands.Action
		state  string
		want   commands.Status
	}{
		{"a prompt that nobody heard of again is unknown when its call lives on", commands.PlayPrompt, StateEstablished, commands.Unknown},
		{"a transfer is looked at again", commands.Transfer, StateTransferring, commands.Accepted},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := setup(t)
			r.placed("c1")
			r.mustTake(stateEvent("c1", StateEstablished))
			r.record(key("o1"), row.action, "c1", commands.Started, commands.Accepted)
			r.graph.set("c1", answer{reading: Reading{State: row.state}})
			again, err := r.Fire(r.ctx, fired(key("o1"), timerLook, 0)) // the registry does not have it open: it is put right
			if err != nil {
				t.Fatal(err)
			}
			final := row.want.Final()
			if own := r.own(key("o1")); own.Status != row.want || again.IsZero() != final {
				t.Errorf("record = %s, armed again %t; want %s, %t", own.Status, !again.IsZero(), row.want, !final)
			}
			if e := r.entry(order); e.Waits("") == final {
				t.Errorf("open = %+v; want the command to wait in it: %t", e.Open, !final)
			}
		})
	}
}

func TestLookSettlesWhatTheNameNoLongerStandsFor(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.record(key("o1"), commands.PlayPrompt, "c1", commands.Started, commands.Accepted)
	if _, err := r.Registry.Update(r.ctx, order, func(e *Entry) bool { e.PlaceID, e.CallID = "p2", "c2"; return true }); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Fire(r.ctx, fired(key("o1"), timerLook, 0)); err != nil {
		t.Fatal(err)
	}
	if own := r.own(key("o1")); own.Status != commands.Failed || own.Error.Class != commands.ClassGone {
		t.Errorf("record = %s, %+v; want failed, gone", own.Status, own.Error)
	}
}

func TestPlacedIsRepeatable(t *testing.T) {
	r := setup(t)
	r.placed("c1")
	r.mustTake(stateEvent("c1", StateEstablished))
	before := r.entry(order)
	if err := r.Placed(r.ctx, r.own(place), commands.CallLimits{}, Original{}); err != nil {
		t.Fatal(err)
	}
	if e := r.entry(order); e.revision != before.revision || e.State != StateEstablished {
		t.Errorf("entry = %+v; want it untouched by the second time", e)
	}
	if !r.armed()[r.prefix.Timer(callTimer(order), string(timerKeepAlive))] {
		t.Errorf("armed = %v; want the keep-alive of the established call", r.armed())
	}
}

func TestRefreshFoldsAtOnce(t *testing.T) {
	r := setup(t)
	if _, err := r.BindCall(r.ctx, order, "c1", "tenant", true); err != nil {
		t.Fatal(err)
	}
	yes := true
	r.graph.set("c1", answer{reading: Reading{State: StateEstablished, AudioActive: &yes}})
	e, err := r.Refresh(r.ctx, order, r.entry(order))
	if err != nil || e.State != StateEstablished || !e.AudioActive || e.Notified {
		t.Fatalf("Refresh() = %+v, %v; want established with audio, not notified", e, err)
	}
	if !r.armed()[r.prefix.Timer(callTimer(order), string(timerKeepAlive))] {
		t.Error("the bound call is not kept alive though its producer said so")
	}
	r.graph.set("c1", answer{reading: Reading{Gone: true}})
	if e, err = r.Refresh(r.ctx, order, e); err != nil || !e.Ended() || e.Reason != ReasonUnseen {
		t.Errorf("Refresh() of a call that is gone = %+v, %v; want it ended, unseen", e, err)
	}
	if ends := r.stored(commands.KindEnded); len(ends) != 1 || ends[0].Reason != ReasonUnseen {
		t.Errorf("ends = %+v; want one, unseen", ends)
	}
}
