package graphsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	maxRedirectTargets = 25
	minRedirectTimeout = 15 // seconds
	maxRedirectTimeout = 90
)

// redirect is "call: redirect" of an incoming call that nobody has decided on.
func (s *Sim) redirect(x *exchange, c *call) answer {
	body, err := decodeObject(x.body, false)
	if err != nil {
		return refuse(err)
	}
	var r reader
	targets := r.targets(body, "targets")
	if n := len(targets); n < 1 || n > maxRedirectTargets {
		r.fail(invalid("Invalid argument: targets must have 1 to %d items.", maxRedirectTargets))
	}
	r.checkNumbers(targets)
	timeout, timed := r.whole(body, "timeout")
	if timed && (timeout < minRedirectTimeout || timeout > maxRedirectTimeout) {
		r.fail(invalid("Invalid argument: timeout must be %d to %d seconds.", minRedirectTimeout, maxRedirectTimeout))
	}
	callbackURI := r.text(body, "callbackUri")
	if callbackURI != "" {
		r.checkCallback(callbackURI)
	}
	switch {
	case r.err != nil:
		return refuse(r.err)
	case c.state != stateIncoming:
		return refuse(service(http.StatusBadRequest, 8585, "The action is not valid in this state of the call: it is %s, not incoming.", c.state))
	}
	if callbackURI != "" {
		c.callbackURI = callbackURI
	}
	c.state = stateRedirecting
	result, after := s.redirected(targets)
	if limit := time.Duration(timeout) * time.Second; timed && after > limit {
		after = limit
	}
	s.inLocked(c, "progress", after, func() { s.endLocked(c, result, "", c.leg()) })
	return answer{status: http.StatusAccepted}
}

// redirected tells how simultaneous ringing ends: the first to answer wins and the
// leg ends without a result; otherwise the last to give up tells why.
func (s *Sim) redirected(targets []object) (result *ResultInfo, after time.Duration) {
	for _, t := range targets {
		b := behaviourOf(identityID(t))
		if b.answers() {
			return nil, s.opts.AnswerAfter
		}
		if d := s.patience(b); result == nil || d > after {
			result, after = b.ending(isPhone(t)), d
		}
	}
	return result, after
}

// leg is an incoming call as its notifications show it.
func (c *call) leg() object {
	return object{
		"id": c.id, "direction": "incoming", "callbackUri": c.callbackURI,
		"source": c.source, "targets": c.targets, "myParticipantId": c.participantID,
	}
}

// IncomingCall is a call to the bot.
type IncomingCall struct {
	// CallbackURI is the bot's webhook.
	CallbackURI string `json:"callbackUri"`
	// Source and Target are {"user": "id"}, {"phone": "+1…"}, or an identity set.
	// The Target is the app by default.
	Source json.RawMessage `json:"source"`
	Target json.RawMessage `json:"target,omitempty"`
	// TenantID is Options.TenantID by default.
	TenantID string `json:"tenantId,omitempty"`
	// AppID is the app that is called, and the audience of its notifications; the
	// simulator's by default.
	AppID string `json:"appId,omitempty"`
}

// Incoming lets a call come in and returns its id. It ends 487/10004 unless it is
// redirected or deleted within IncomingTimeout.
func (s *Sim) Incoming(in IncomingCall) (id string, err error) {
	var r reader
	if r.checkCallback(in.CallbackURI); r.err != nil {
		return "", fmt.Errorf("incoming call: %s", r.err.message)
	}
	source, err := identitySet(in.Source)
	if err != nil {
		return "", fmt.Errorf("incoming call: source: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{
		state: stateIncoming, incoming: true, members: object{}, callbackURI: in.CallbackURI, tenantID: in.TenantID, appID: in.AppID,
		source: typed("participantInfo", object{"identity": source, "region": "amer"}),
	}
	if c.tenantID == "" {
		c.tenantID = s.opts.TenantID
	}
	if c.appID == "" {
		c.appID = s.appID()
	}
	target := typed("identitySet", object{"application": typed("identity", object{"id": c.appID, "displayName": "Calling Bot"})})
	if len(in.Target) > 0 {
		if target, err = identitySet(in.Target); err != nil {
			return "", fmt.Errorf("incoming call: target: %w", err)
		}
	}
	c.targets = []object{typed("participantInfo", object{"identity": target})}
	c.phone = isPhone(c.source)
	s.addLocked(c)
	s.stats.incoming++
	announced := c.leg()
	announced["callChainId"], announced["tenantId"] = c.chainID, c.tenantID
	announced["incomingContext"] = typed("incomingContext", object{"sourceParticipantId": c.participantID, "observedParticipantId": nil})
	s.notifyCallLocked(c, "created", c.partial(announced))
	s.inLocked(c, "progress", s.opts.IncomingTimeout, func() {
		s.endLocked(c, &ResultInfo{487, 10004, "Call was not answered in time."}, "", c.leg())
	})
	return c.id, nil
}

// identitySet reads an identity set, or the short form {"user": "id"}.
func identitySet(raw json.RawMessage) (object, error) {
	set := object{}
	if len(raw) == 0 || json.Unmarshal(raw, &set) != nil {
		return nil, errors.New(`want {"user": "id"}, {"phone": "+1…"} or an identity set`)
	}
	for kind, value := range set {
		if id, short := value.(string); short && kind != odataType {
			set[kind] = typed("identity", object{"id": id})
		}
		if kind != odataType && !slices.Contains(declaredKinds, kind) && !slices.Contains(dynamicKinds, kind) {
			return nil, fmt.Errorf("%q is no kind of identity, want one of %s, %s", kind, quoted(declaredKinds), quoted(dynamicKinds))
		}
	}
	if identityID(object{"identity": set}) == "" {
		return nil, errors.New(`want {"user": "id"}, {"phone": "+1…"} or an identity set with an id`)
	}
	return typed("identitySet", set), nil
}
