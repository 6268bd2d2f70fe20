package executor

import (
	"context"
	"testing"

	"callbus/internal/calls"
	"callbus/internal/commands"
)

// TestARegistryThatIsLostUnderAStep: the call was known when the command's turn
// came and is not when the step notes something of it. The steps begin again, and
// no request leaves without the call's id, which would end the command as if its
// producer had been wrong.
func TestARegistryThatIsLostUnderAStep(t *testing.T) {
	s := openSite(t)
	for _, row := range []struct {
		action commands.Action
		step   func(*job, context.Context) error
	}{
		{commands.Hangup, func(j *job, ctx context.Context) error { _, err := j.wantHangup(ctx); return err }},
		{commands.PlayPrompt, func(j *job, ctx context.Context) error { return j.open(ctx, calls.Open{}) }},
	} {
		t.Run(string(row.action), func(t *testing.T) {
			j := newTestJob(row.action, "")
			j.x = s.x
			if err := row.step(j, t.Context()); !isMoved(err) || j.entry.CallID != "c1" {
				t.Errorf("step = %v, call %q; want ErrMoved, and the call it began with", err, j.entry.CallID)
			}
			if e, known, err := s.x.Calls.Registry.Get(t.Context(), j.m.Call); known || err != nil {
				t.Errorf("registry = %+v, %v; want nothing noted of a call that it does not know", e, err)
			}
		})
	}
}
