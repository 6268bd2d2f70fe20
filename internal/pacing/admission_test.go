package pacing

import (
	"context"
	"errors"
	"slices"
	"testing"

	"callbus/internal/commands"
)

// layer is a Layer that writes down what it is asked.
type layer struct {
	name       string
	ask, taken bool // what holds
	err        error
	diary      *[]string
}

func (l *layer) note(what string) { *l.diary = append(*l.diary, l.name+" "+what) }

func (l *layer) Ask(Request) (Wait, bool) { l.note("ask"); return Wait{Reason: l.name}, l.ask }

func (l *layer) Take(context.Context, Request) (Wait, bool, error) {
	l.note("take")
	return Wait{Reason: l.name}, l.taken, l.err
}

func (l *layer) Release(context.Context, Request) { l.note("release") }

func (l *layer) Heard(context.Context, Request, Answer) { l.note("heard") }

func (l *layer) Count(Request) { l.note("count") }

func TestAdmission(t *testing.T) {
	failure := errors.New("no server")
	sent := func(p *Pass) { p.Heard(t.Context(), Answer{Outcome: Taken}) }
	unsent := func(p *Pass) { p.Heard(t.Context(), Answer{Outcome: NotSent}) }
	dropped := func(p *Pass) { p.Release(t.Context()); p.Release(t.Context()); sent(p) }
	for _, tt := range []struct {
		name   string
		action commands.Action
		a, b   layer
		then   func(*Pass)
		reason string
		err    error
		diary  []string
	}{
		{"everything is asked before anything is taken, and all hear the answer", commands.Place, layer{}, layer{}, sent, "", nil,
			[]string{"a ask", "b ask", "a take", "b take", "a heard", "b heard"}},
		{"a closed layer is all that counts", commands.Mute, layer{ask: true}, layer{ask: true}, nil, "a", nil, []string{"a ask"}},
		{"nothing is taken for what then waits", commands.Place, layer{}, layer{ask: true}, nil, "b", nil, []string{"a ask", "b ask"}},
		{"what was taken is given back when a later layer has nothing", commands.Place, layer{}, layer{taken: true}, nil, "b", nil,
			[]string{"a ask", "b ask", "a take", "b take", "a release"}},
		{"a failure gives back and is told", commands.Place, layer{}, layer{err: failure}, nil, "b", failure,
			[]string{"a ask", "b ask", "a take", "b take", "a release"}},
		{"what was not sent is given back, the last first", commands.Place, layer{}, layer{}, unsent, "", nil,
			[]string{"a ask", "b ask", "a take", "b take", "b release", "a release"}},
		{"a pass ends once", commands.Place, layer{}, layer{}, dropped, "", nil,
			[]string{"a ask", "b ask", "a take", "b take", "b release", "a release"}},
		{"a hang-up is counted, never held, and its answer heard", commands.Hangup, layer{ask: true}, layer{taken: true}, sent, "", nil,
			[]string{"a count", "b count", "a heard", "b heard"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var diary []string
			a, b := tt.a, tt.b
			a.name, b.name, a.diary, b.diary = "a", "b", &diary, &diary
			class, _ := ClassOf(tt.action)
			p, w, err := NewAdmission(&a, &b).Admit(t.Context(), Request{Class: class, Action: tt.action})
			if tt.then != nil {
				tt.then(p)
			}
			if p != nil != (tt.then != nil) || w.Reason != tt.reason || !errors.Is(err, tt.err) || !slices.Equal(diary, tt.diary) {
				t.Errorf("Admit() = %v, %+v, %v, diary %q; want reason %q, %v, %q", p, w, err, diary, tt.reason, tt.err, tt.diary)
			}
		})
	}
}
