package graphsim

import "fmt"

// The actions of Hold.
const (
	HoldStart = "start"
	HoldStop  = "stop"
)

// up tells whether the two sides are connected; a call on hold is.
func (c *call) up() bool { return c.state == stateEstablished || c.state == stateHold }

// Hold lets the other side of an established call put it on hold, or take it back.
// No audio flows meanwhile. Microsoft names the state and shows no notification of
// it; these are told as the answer is.
func (s *Sim) Hold(callID, action string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[normalID(callID)]
	from, to, audio := stateEstablished, stateHold, "inactive"
	switch action {
	case "", HoldStart:
	case HoldStop:
		from, to, audio = stateHold, stateEstablished, "active"
	default:
		return fmt.Errorf("hold: action %q: one of %q, %q", action, HoldStart, HoldStop)
	}
	switch {
	case c == nil || !c.ended.IsZero():
		return fmt.Errorf("hold: %w", errNoCall)
	case c.state != from:
		return fmt.Errorf("hold: the call is %s, not %s", c.state, from)
	}
	s.dropLocked(c, "audio")
	c.state, c.audio = to, audio
	s.notifyCallLocked(c, "updated", c.partial(object{"id": c.id, "mediaState": mediaState(audio)}))
	return nil
}
