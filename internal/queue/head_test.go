package queue

import (
	"context"
	"errors"
	"testing"
	"time"

	"callbus/internal/commands"
)

// TestHead tells which command of a call is its oldest that still matters.
func TestHead(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	c := func(n string) commands.CallKey { return commands.CallKey{Producer: "crm", CallRef: n} }
	nobody := func(context.Context, *Queued) (bool, error) { return false, nil }
	bodies := func(pass ...string) func(context.Context, *Queued) (bool, error) {
		return func(_ context.Context, q *Queued) (bool, error) {
			for _, body := range pass {
				if string(q.Body) == body {
					return true, nil
				}
			}
			return false, nil
		}
	}
	for _, row := range []struct {
		name    string
		older   []string // bodies of what was published before it
		younger int
		passed  func(context.Context, *Queued) (bool, error)
		head    bool
		blocker int // index in older, -1: none
	}{
		{"alone", nil, 0, nobody, true, -1},
		{"before younger ones", nil, 2, nobody, true, -1},
		{"behind an older one", []string{"a"}, 0, nobody, false, 0},
		{"behind one that was accepted", []string{"a"}, 1, bodies("a"), true, -1},
		{"behind one that is not due, and one that is", []string{"due tomorrow", "b"}, 0, bodies("due tomorrow"), false, 1},
		{"the oldest one that was not passed blocks", []string{"a", "b", "c"}, 0, bodies("a"), false, 1},
		{"behind many that were passed", []string{"a", "b", "c"}, 0, bodies("a", "b", "c"), true, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			me := c(t.Name()[len("TestHead/"):])
			var older []uint64
			for _, body := range row.older {
				s.publish(other, commands.Mute, "x") // another call's never matters
				older = append(older, s.publish(me, commands.PlayPrompt, body))
			}
			seq := s.publish(me, commands.Mute, "me")
			for range row.younger {
				s.publish(me, commands.Unmute, "y")
			}
			head, blocker, err := q.Head(t.Context(), &Message{Call: me, Seq: seq}, row.passed)
			want := uint64(0)
			if row.blocker >= 0 {
				want = older[row.blocker]
			}
			if err != nil || head != row.head || blocker != want {
				t.Errorf("Head() = %t, %d, %v; want %t, %d", head, blocker, err, row.head, want)
			}
		})
	}
}

func TestHeadOfACommandThatHasLeft(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	seq := s.publish(call, commands.Mute, "a")
	if err := q.Delete(t.Context(), call, seq); err != nil {
		t.Fatal(err)
	}
	if head, blocker, err := q.Head(t.Context(), &Message{Call: call, Seq: seq}, nil); head || blocker != 0 || err != nil {
		t.Errorf("Head() with an empty queue = %t, %d, %v; want false, 0", head, blocker, err)
	}
	s.publish(call, commands.Mute, "b")
	if head, blocker, err := q.Head(t.Context(), &Message{Call: call, Seq: seq}, nil); head || blocker != 0 || err != nil {
		t.Errorf("Head() with a younger one = %t, %d, %v; want false, 0", head, blocker, err)
	}
}

func TestHeadReportsTheErrorOfAskingForIt(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	first := s.publish(call, commands.Mute, "a")
	seq := s.publish(call, commands.Mute, "b")
	away := errors.New("journal is away")
	head, blocker, err := q.Head(t.Context(), &Message{Call: call, Seq: seq}, func(context.Context, *Queued) (bool, error) { return true, away })
	if head || blocker != first || !errors.Is(err, away) {
		t.Errorf("Head() = %t, %d, %v; want %v", head, blocker, err, away)
	}
}

func TestNextSaysAllAboutACommand(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	s.publish(other, commands.Place, "other")
	seq := s.publish(call, commands.Hangup, "body")
	got, err := q.Next(t.Context(), call, 0)
	if err != nil || got == nil {
		t.Fatalf("Next() = %v, %v", got, err)
	}
	if got.Seq != seq || got.Action != commands.Hangup || string(got.Body) != "body" || got.Subject != s.prefix.Command(call, commands.Hangup) || time.Since(got.Time) > time.Minute {
		t.Errorf("Next() = %+v; want the hang-up %d", got, seq)
	}
	if got, err := q.Next(t.Context(), call, seq+1); got != nil || err != nil {
		t.Errorf("Next() after the last = %v, %v; want none", got, err)
	}
}

func TestDelete(t *testing.T) {
	s := setup(t, 15*time.Second)
	q := s.open()
	seq := s.publish(call, commands.Mute, "a")
	for range 2 {
		if err := q.Delete(t.Context(), call, seq); err != nil {
			t.Fatalf("Delete() = %v; want none, also when it has left", err)
		}
	}
	if err := q.Delete(t.Context(), call, seq+100); err != nil {
		t.Errorf("Delete() of what never was = %v; want none", err)
	}
	if got, err := q.Next(t.Context(), call, 0); got != nil || err != nil {
		t.Errorf("Next() = %v, %v; want none", got, err)
	}
}
