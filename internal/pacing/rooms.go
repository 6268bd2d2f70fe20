package pacing

import (
	"context"
	"sync"
	"time"

	"callbus/internal/commands"
)

// rooms are where commands wait for a gate, a breaker or the rate, by scope and
// class. When nothing holds them any more they come back the oldest first, slowly
// at first: should a gate shut again at once, most have not been looked at in
// vain. Budgets and pauses have rooms of their own.
type rooms struct {
	mu   sync.Mutex
	each map[roomKey]*waitingRoom
}

type roomKey struct {
	scope string
	class Class
}

type waitingRoom struct {
	room
	atOnce int // woken the last time; belongs to the pump
}

const (
	roomTick = 100 * time.Millisecond
	// roomMost is the most that one worker wakes in a tick.
	roomMost = 32
)

// note remembers a command that a layer holds.
func (r *rooms) note(q Request, why string) {
	if q.Command == "" || why == ReasonPaused || why == ReasonLiveCalls || why == ReasonMonthlyCalls {
		return
	}
	key := roomKey{q.Scope, q.Class}
	r.mu.Lock()
	in := r.each[key]
	if in == nil {
		if r.each == nil {
			r.each = map[roomKey]*waitingRoom{}
		}
		in = &waitingRoom{}
		r.each[key] = in
	}
	r.mu.Unlock()
	in.enter(q.Call, q.Seq)
}

// waiting are the rooms in which somebody waits.
func (r *rooms) waiting() map[roomKey]*waitingRoom {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[roomKey]*waitingRoom{}
	for key, in := range r.each {
		if in.len() > 0 {
			all[key] = in
		} else {
			in.atOnce = 0
		}
	}
	return all
}

// Run brings back what waits for a gate, a breaker or the rate once it is not held
// any more, until ctx ends; the error is nil. wake brings a call's oldest command
// back and reports whether it was here. Without Run commands come back when their
// delays have passed.
func (a *Admission) Run(ctx context.Context, wake func(commands.CallKey) bool) error {
	tick := time.NewTicker(roomTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			a.pump(wake)
		}
	}
}

// pump wakes a few of each room that is open.
func (a *Admission) pump(wake func(commands.CallKey) bool) {
	for key, in := range a.rooms.waiting() {
		r := Request{Scope: key.scope, Class: key.class}
		if _, held := a.Held(r); held {
			in.atOnce = 0
			continue
		}
		in.atOnce = min(max(2*in.atOnce, 1), roomMost)
		in.wake(min(in.atOnce, a.room(r)), wake)
	}
}

// room is how many requests all layers would let through soon.
func (a *Admission) room(r Request) int {
	most := roomMost
	for _, l := range a.layers {
		if n, ok := l.(Narrow); ok {
			most = min(most, n.Room(r))
		}
	}
	return most
}
