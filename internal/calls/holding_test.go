package calls

import (
	"testing"
	"time"

	"callbus/internal/commands"
)

func TestMayLive(t *testing.T) {
	const ring = time.Minute
	// known puts a call of a place into the registry.
	known := func(place, callID string, ended bool) func(*room) {
		return func(r *room) {
			r.t.Helper()
			_, err := r.Registry.Update(r.ctx, order, func(e *Entry) bool {
				*e = Entry{PlaceID: place, CallID: callID, TenantID: "tenant", State: StateEstablished, revision: e.revision}
				if ended {
					e.State, e.EndedAt = StateTerminated, time.Now()
				}
				return true
			})
			if err != nil {
				r.t.Fatal(err)
			}
		}
	}
	statuses := func(s ...commands.Status) func(*room) {
		return func(r *room) { r.record(place, commands.Place, "c1", s...) }
	}
	for _, row := range []struct {
		name string
		do   []func(*room)
		ring time.Duration
		want bool
	}{
		{"nothing is recorded of it", nil, ring, false},
		{"it waits", []func(*room){statuses(commands.Waiting)}, ring, false},
		{"it is begun", []func(*room){statuses(commands.Started)}, ring, true},
		{"it is begun, and the name stands for an earlier call that is over", []func(*room){known("p0", "c0", true), statuses(commands.Started)}, ring, true},
		{"Graph certainly did not take it", []func(*room){statuses(commands.Started, commands.Waiting)}, ring, false},
		{"it is accepted, and the registry does not know yet", []func(*room){statuses(commands.Started, commands.Accepted)}, ring, true},
		{"it is accepted, and its call lives", []func(*room){statuses(commands.Started, commands.Accepted), known("p1", "c1", false)}, ring, true},
		{"it is accepted, and its call is over", []func(*room){statuses(commands.Started, commands.Accepted), known("p1", "c1", true)}, ring, false},
		{"it is accepted, and the name stands for another call by now", []func(*room){statuses(commands.Started, commands.Accepted), known("p2", "c2", false)}, ring, false},
		{"it has succeeded, and its call lives", []func(*room){statuses(commands.Started, commands.Accepted, commands.Succeeded), known("p1", "c1", false)}, ring, true},
		{"it has succeeded, and its call is over", []func(*room){statuses(commands.Started, commands.Accepted, commands.Succeeded), known("p1", "c1", true)}, ring, false},
		{"it has succeeded, and its call has left the registry", []func(*room){statuses(commands.Started, commands.Accepted, commands.Succeeded)}, ring, false},
		{"it was refused", []func(*room){statuses(commands.Started, commands.Failed)}, ring, false},
		{"it ended unknown a moment ago: it may ring", []func(*room){statuses(commands.Started, commands.Unknown)}, ring, true},
		{"it ended unknown a while ago: it does not ring any more", []func(*room){statuses(commands.Started, commands.Unknown)}, 0, false},
		{"it ended unknown, and its call turned up", []func(*room){statuses(commands.Started, commands.Unknown), known("p1", "c1", false)}, 0, true},
		{"it ended unknown, and its call turned up and is over", []func(*room){statuses(commands.Started, commands.Unknown), known("p1", "c1", true)}, ring, false},
		{"it ended unknown, and a hang-up waits for its call", []func(*room){statuses(commands.Started, commands.Unknown), known("p1", "", false)}, ring, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := setup(t)
			for _, do := range row.do {
				do(r)
			}
			got, err := r.MayLive(r.ctx, place, row.ring)
			if err != nil || got != row.want {
				t.Errorf("MayLive() = %v, %v; want %v", got, err, row.want)
			}
		})
	}
}
