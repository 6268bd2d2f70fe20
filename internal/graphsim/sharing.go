package graphsim

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// startSharingLocked lets the other side share content. Session ids are 64
// hexadecimal digits, as in notifications.
func (s *Sim) startSharingLocked(c *call) {
	var id [32]byte
	rand.Read(id[:]) // never fails
	c.sessions = append(c.sessions, fmt.Sprintf("%X", id))
	s.sharingLocked(c, "created", c.sessions[len(c.sessions)-1:])
}

// sharingLocked tells of sessions whoever asked for it when the call was created.
func (s *Sim) sharingLocked(c *call, changeType string, sessions []string) {
	if !c.notifySharing || len(sessions) == 0 {
		return
	}
	s.notifyLocked(c, event{kind: "contentSharing", changeType: changeType, path: "/contentsharingsessions", data: sessionObjects(sessions)})
}

func sessionObjects(ids []string) []object {
	list := make([]object, len(ids))
	for i, id := range ids {
		list[i] = typed("contentSharingSession", object{"id": id})
	}
	return list
}

// The actions of ShareContent.
const (
	ShareStart  = "start"
	ShareUpdate = "update"
	ShareStop   = "stop"
)

// ShareContent lets the other side of an established call start, change or stop
// sharing content.
func (s *Sim) ShareContent(callID, action string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[normalID(callID)]
	switch {
	case c == nil || !c.ended.IsZero():
		return fmt.Errorf("share content: %w", errNoCall)
	case !c.up():
		return fmt.Errorf("share content: the call is %s, not established", c.state)
	case action == "" || action == ShareStart:
		s.startSharingLocked(c)
	case action == ShareUpdate:
		s.sharingLocked(c, "updated", c.sessions)
	case action == ShareStop:
		ended := c.sessions
		c.sessions = nil
		s.sharingLocked(c, "deleted", ended)
	default:
		return fmt.Errorf("share content: action %q: one of %q, %q, %q", action, ShareStart, ShareUpdate, ShareStop)
	}
	return nil
}

// listSharing is "call: List contentSharingSessions".
func (s *Sim) listSharing(x *exchange, c *call) answer {
	return answer{status: http.StatusOK, body: object{
		"@odata.context": x.base + version + "$metadata#communications/calls('" + c.id + "')/contentSharingSessions",
		"value":          sessionObjects(c.sessions),
	}}
}

// getSharing is "contentSharingSession: Get".
func (s *Sim) getSharing(x *exchange, c *call) answer {
	if !slices.ContainsFunc(c.sessions, func(id string) bool { return strings.EqualFold(id, x.session) }) {
		return refuse(&apiError{status: http.StatusNotFound, code: "NotFound", message: "Content sharing session not found."})
	}
	session := typed("contentSharingSession", object{"id": x.session})
	session["@odata.context"] = x.base + version + "$metadata#communications/calls('" + c.id + "')/contentSharingSessions/$entity"
	return answer{status: http.StatusOK, body: session}
}
