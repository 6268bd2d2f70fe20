package graphsim

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The actions of ChangeRoster.
const (
	RosterJoin   = "join"
	RosterLeave  = "leave"
	RosterMute   = "mute"
	RosterUnmute = "unmute"
)

// RosterChange is something that a participant of a group call or meeting does.
type RosterChange struct {
	Action string `json:"action"`
	// Identity is who: {"user": "id"}, {"phone": "+1…"}, or an identity set.
	Identity json.RawMessage `json:"identity"`
}

// ChangeRoster lets somebody join or leave a group call or meeting, or mute or
// unmute themselves. When nobody but the bot is left the call ends 200/5010.
func (s *Sim) ChangeRoster(callID string, change RosterChange) error {
	set, err := identitySet(change.Identity)
	if err != nil {
		return fmt.Errorf("roster: identity: %w", err)
	}
	who := object{"identity": set}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[normalID(callID)]
	switch {
	case c == nil || !c.ended.IsZero():
		return fmt.Errorf("roster: %w", errNoCall)
	case c.p2p():
		return fmt.Errorf("roster: a call between two has none")
	case !c.up():
		return fmt.Errorf("roster: the call is %s, not established", c.state)
	}
	at := slices.IndexFunc(c.participants, func(p *participant) bool { return !p.bot && identityID(p.info) == identityID(who) })
	switch change.Action {
	case RosterJoin:
		if at >= 0 {
			return fmt.Errorf("roster: %s takes part already", identityID(who))
		}
		c.join(who, false)
		s.rosterLocked(c, c.participants[len(c.participants)-1:])
		return nil
	case RosterLeave, RosterMute, RosterUnmute:
		if at < 0 {
			return fmt.Errorf("roster: %s does not take part", identityID(who))
		}
	default:
		return fmt.Errorf("roster: action %q: one of %q, %q, %q, %q", change.Action, RosterJoin, RosterLeave, RosterMute, RosterUnmute)
	}
	p := c.participants[at]
	if change.Action != RosterLeave {
		p.muted = change.Action == RosterMute
		s.rosterLocked(c, []*participant{p})
		return nil
	}
	c.participants = slices.Delete(c.participants, at, at+1)
	p.left = true
	s.rosterLocked(c, []*participant{p})
	if !slices.ContainsFunc(c.participants, func(p *participant) bool { return !p.bot }) {
		s.remoteHangupLocked(c)
	}
	return nil
}
