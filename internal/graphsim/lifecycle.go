package graphsim

import (
	"net/http"
	"time"
)

// ringLocked calls whoever is to be called and arranges what will come of it.
func (s *Sim) ringLocked(c *call) {
	s.notifyCallLocked(c, "updated", c.partial(object{"id": c.id}))
	s.refreshLocked(c)
	callees := c.callees()
	if c.meeting || len(callees) == 1 {
		b := behaviourOf(identityID(callees[0]))
		if !b.answers() && (!c.meeting || b.Suffix == "500") {
			s.inLocked(c, "progress", s.patience(b), func() { s.endLocked(c, b.ending(c.phone), "", nil) })
			return
		}
		s.inLocked(c, "progress", s.opts.AnswerAfter, func() { s.establishLocked(c) })
		return
	}
	anyRings := false
	for _, t := range callees {
		b := behaviourOf(identityID(t))
		if b.answers() {
			s.inLocked(c, "progress", s.opts.AnswerAfter, func() { s.establishLocked(c) })
			return
		}
		anyRings = anyRings || b.rings
	}
	if anyRings {
		s.inLocked(c, "progress", s.opts.RingTimeout, func() {
			s.endLocked(c, &ResultInfo{200, 5012, "Nobody else joined the conversation."}, "", nil)
		})
		return
	}
	s.inLocked(c, "progress", s.opts.AnswerAfter, func() {
		s.endLocked(c, &ResultInfo{200, 5003, "The conversation has ended, every endpoint declined."}, "", nil)
	})
}

// patience is how long it takes a callee not to answer.
func (s *Sim) patience(b Behaviour) time.Duration {
	switch {
	case b.rings:
		return s.opts.RingTimeout
	case b.atOnce:
		return 0
	}
	return s.opts.AnswerAfter
}

// callees are the participants on the other side: the targets, or the organizer.
func (c *call) callees() []object {
	if !c.meeting {
		return c.targets
	}
	info, _ := c.members["meetingInfo"].(object)
	organizer, _ := info["organizer"].(object)
	return []object{{"identity": organizer}}
}

// establishLocked is the moment of the answer. Audio becomes active a step later.
func (s *Sim) establishLocked(c *call) {
	c.state, c.audio = stateEstablished, "inactive"
	members := object{"id": c.id, "direction": c.direction()}
	for _, name := range []string{"chatInfo", "meetingInfo"} {
		if c.members[name] != nil {
			members[name] = c.members[name]
		}
	}
	s.notifyCallLocked(c, "updated", c.partial(members))
	var shares, leaves, silent, brief bool
	if !c.p2p() {
		c.join(s.botInfo(c), true)
	}
	for _, t := range c.callees() {
		b := behaviourOf(identityID(t))
		if !b.answers() && !c.meeting || identityID(t) == "" {
			continue
		}
		if !c.p2p() {
			c.join(t, false)
		}
		shares, leaves, silent, brief = shares || b.shares, leaves || b.leaves, silent || b.silent, brief || b.brief
	}
	s.rosterLocked(c, c.participants)
	if brief {
		s.inLocked(c, "leave", s.opts.StepDuration/2, func() { s.remoteHangupLocked(c) })
		return
	}
	if !silent {
		s.inLocked(c, "audio", s.opts.StepDuration, func() { s.audioLocked(c, "active") })
	}
	if shares {
		s.inLocked(c, "share", 2*s.opts.StepDuration, func() { s.startSharingLocked(c) })
	}
	if leaves {
		s.inLocked(c, "leave", s.opts.HangupAfter, func() { s.remoteHangupLocked(c) })
	}
}

// audioLocked changes whether the call's audio flows, and tells so.
func (s *Sim) audioLocked(c *call, audio string) {
	c.audio = audio
	s.notifyCallLocked(c, "updated", c.partial(object{"id": c.id, "mediaState": mediaState(audio)}))
}

// remoteHangupLocked ends the call from the other side, without terminating first.
func (s *Sim) remoteHangupLocked(c *call) {
	result := &ResultInfo{200, 18503, "The other side left the call."}
	switch {
	case c.incoming:
		result = &ResultInfo{487, 0, "The caller cancelled the call."}
	case !c.p2p():
		result = &ResultInfo{200, 5010, "Nobody else is left in the conversation."}
	case c.phone:
		result = &ResultInfo{200, 540000, "The telephone user hung up."}
	}
	s.endLocked(c, result, "", object{"id": c.id})
}

// endLocked terminates a call for good.
func (s *Sim) endLocked(c *call, result *ResultInfo, reason string, members object) {
	s.stopAllLocked(c)
	c.state, c.audio = stateTerminated, "inactive"
	c.result, c.reason, c.ended = result, reason, time.Now()
	c.participants, c.prompts, c.sessions = nil, nil, nil
	last := c.partial(members)
	if result != nil {
		last["resultInfo"] = result.object()
	}
	if reason != "" {
		last["terminationReason"] = reason
	}
	s.notifyCallLocked(c, "deleted", last)
}

// refreshLocked starts the time of keepAlive anew.
func (s *Sim) refreshLocked(c *call) {
	s.inLocked(c, "keepAlive", s.opts.KeepAliveTimeout, func() {
		s.endLocked(c, &ResultInfo{408, 8537, "The call was not kept alive."}, "", object{"id": c.id})
	})
}

// partial is a call as notifications show it: its state and what changed.
func (c *call) partial(members object) object {
	if members == nil {
		members = object{}
	}
	members["state"] = c.state
	return typed("call", members)
}

// getCall is "call: Get".
func (s *Sim) getCall(x *exchange, c *call) answer {
	o := selected(c.object(), x.query.Get("$select"))
	o["@odata.context"] = x.base + version + "$metadata#communications/calls/$entity"
	return answer{status: http.StatusOK, body: o}
}

// deleteCall is "call: Delete". The resource stays until the call is terminated.
func (s *Sim) deleteCall(_ *exchange, c *call) answer {
	if c.state != stateTerminating {
		for _, step := range []string{"progress", "audio", "share", "leave", "prompt"} {
			s.dropLocked(c, step)
		}
		c.state = stateTerminating
		s.notifyCallLocked(c, "updated", c.partial(nil))
		s.inLocked(c, "progress", s.opts.StepDuration, func() {
			s.endLocked(c, &ResultInfo{200, 7000, "The call was ended by the bot."}, "", nil)
		})
	}
	return answer{status: http.StatusNoContent}
}

// keepAlive is "call: keepAlive".
func (s *Sim) keepAlive(_ *exchange, c *call) answer {
	s.refreshLocked(c)
	return answer{status: http.StatusOK, text: true}
}

// Hangup ends a call from the other side. It reports false if there is no such
// live call.
func (s *Sim) Hangup(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[normalID(id)]
	if c == nil || !c.ended.IsZero() {
		return false
	}
	s.remoteHangupLocked(c)
	return true
}
