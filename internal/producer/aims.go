package producer

import (
	"iter"

	"callbus/internal/commands"
)

// aim is one hang-up of a stop.
type aim struct {
	target Target
	key    commands.Key
	callID string // of the call that it hung up or will
	ending Ending // empty: none yet
}

// over is the calls that the stop has ended by now.
func (s *stop) over() map[commands.CallKey]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := map[commands.CallKey]bool{}
	for call, a := range s.seen {
		if a.ending.Over() {
			over[call] = true
		}
	}
	return over
}

// fresh picks what has not been hung up yet: calls not seen before, and calls
// that are new under a name seen before. over are the calls that had ended
// before the targets were looked for.
func (s *stop) fresh(targets []Target, over map[commands.CallKey]bool, id string) (fresh []*aim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range targets {
		if a := s.seen[t.Call]; a != nil {
			if a.callID == "" && !over[t.Call] {
				a.callID = t.CallID // it was being dialled
			}
			other := t.CallID != "" && commands.NormalCallID(t.CallID) != commands.NormalCallID(a.callID)
			if !other && !(t.Queued && over[t.Call]) {
				continue
			}
		}
		a := &aim{target: t, callID: t.CallID, key: commands.Key{Producer: t.Call.Producer, CallRef: t.Call.CallRef, ID: id}}
		s.seen[t.Call] = a
		s.aims = append(s.aims, a)
		fresh = append(fresh, a)
	}
	return fresh
}

// hangups are the aims as lines, numbered from first.
func hangups(aims []*aim, first int) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for i, a := range aims {
			line := Line{Number: first + i, Producer: a.key.Producer, CallRef: a.key.CallRef, Action: commands.Hangup}
			if !yield(line.WithID(a.key.ID), nil) {
				return
			}
		}
	}
}
