package graphsim

import "net/http"

// transfer is "call: transfer". What comes of it is told by the states of the call.
func (s *Sim) transfer(x *exchange, c *call) answer {
	body, err := decodeObject(x.body, false)
	if err != nil {
		return refuse(err)
	}
	var r reader
	target := r.child(body, "transferTarget")
	transferee := r.child(body, "transferee")
	replaces := ""
	if target == nil {
		r.fail(invalid("Invalid argument: transferTarget is required."))
	} else {
		r.checkIdentity(target, "transferTarget")
		replaces = r.text(target, "replacesCallId")
		r.checkNumbers([]object{target})
	}
	if transferee != nil {
		r.checkIdentity(transferee, "transferee")
	}
	kind, _ := identityOf(c.source)
	switch {
	case r.err != nil:
		return refuse(r.err)
	case c.meeting:
		return refuse(invalid("Cannot do transfer for meeting mode."))
	case c.state == stateTransferring || c.state == stateTransferAccepted:
		return refuse(service(http.StatusConflict, 8607, "A transfer is already in progress."))
	case !c.up():
		return refuse(notEstablished(c.state))
	case c.group && transferee == nil:
		return refuse(invalid("Invalid argument: a transfer from a group call needs a transferee."))
	case isPhone(target) && kind != "applicationInstance":
		return refuse(invalid("Invalid argument: a transfer to a telephone needs a call from an applicationInstance."))
	}
	c.state, c.result = stateTransferring, nil
	s.notifyCallLocked(c, "updated", c.partial(nil))
	b := behaviourOf(identityID(target))
	if !b.answers() {
		s.inLocked(c, "progress", s.patience(b), func() { s.transferFailedLocked(c, replaces != "") })
	} else {
		s.inLocked(c, "progress", s.opts.AnswerAfter, func() { s.transferAcceptedLocked(c, replaces) })
	}
	return answer{status: http.StatusAccepted}
}

// transferAcceptedLocked goes on to the end of the call or, if the call to be
// replaced is gone, back.
func (s *Sim) transferAcceptedLocked(c *call, replaces string) {
	if replaces != "" && s.otherLegLocked(c, replaces) == nil {
		s.transferFailedLocked(c, true)
		return
	}
	c.state = stateTransferAccepted
	s.notifyCallLocked(c, "updated", c.partial(nil))
	c.audio = "inactive"
	s.notifyCallLocked(c, "updated", c.partial(object{"mediaState": mediaState("inactive")}))
	s.inLocked(c, "progress", s.opts.StepDuration, func() {
		if replaces == "" {
			s.endLocked(c, &ResultInfo{0, 7015, "GracefulTransferCompleted"}, "", nil)
			return
		}
		if other := s.otherLegLocked(c, replaces); other != nil {
			s.endLocked(other, nil, "AppTransferred", nil)
		}
		s.endLocked(c, nil, "AppTransferred", nil)
	})
}

// otherLegLocked is the live call that a consultative transfer replaces.
func (s *Sim) otherLegLocked(c *call, id string) *call {
	other := s.calls[normalID(id)]
	if other == nil || other == c || !other.ended.IsZero() || other.appID != c.appID {
		return nil
	}
	return other
}

// transferFailedLocked goes back. Microsoft's samples spell subCode here.
func (s *Sim) transferFailedLocked(c *call, consultative bool) {
	c.state = stateEstablished
	c.result = &ResultInfo{500, 7000, "The transfer failed."}
	if consultative {
		c.result = &ResultInfo{500, 7700, "The consultative transfer failed."}
	}
	result := c.result.object()
	result["subCode"] = result["subcode"]
	delete(result, "subcode")
	s.notifyCallLocked(c, "updated", c.partial(object{"resultInfo": result}))
}
