package graphsim

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// createCall is "application: Create call".
func (s *Sim) createCall(x *exchange, _ *call) answer {
	body, err := decodeObject(x.body, false)
	if err != nil {
		return refuse(err)
	}
	c, err := newCall(body)
	if err != nil {
		return refuse(err)
	}
	if err := s.admitLocked(c, x.caller); err != nil {
		return refuse(err)
	}
	c.createdBy = x.header.Get("client-request-id")
	c.scenarioID = x.header.Get("Scenario-Id")
	if c.source == nil {
		c.source = typed("participantInfo", object{"identity": typed("identitySet", object{
			"application": typed("identity", object{"id": c.appID, "displayName": "Calling Bot"}),
		})})
		fillNulls(c.source, sourceMembers...)
	}
	s.addLocked(c)
	s.stats.created++
	x.entry.CallID, x.entry.TenantID = c.id, c.tenantID
	c.requests = append(c.requests, x.entry)

	created := c.object() // before it goes on
	created["@odata.context"] = x.base + version + "$metadata#app/calls/$entity"
	s.ringLocked(c)
	return answer{status: http.StatusCreated, body: created, location: x.family + "/calls/" + c.id}
}

// newCall reads and checks the body. What is wrong with its form is the gateway's
// to refuse, what is wrong with its content the calling service's.
func newCall(body object) (*call, *apiError) {
	var r reader
	c := &call{
		state: stateEstablishing, members: body,
		callbackURI: r.text(body, "callbackUri"), tenantID: r.text(body, "tenantId"), source: r.child(body, "source"),
	}
	r.checkMedia(c, body)
	if options, _ := r.abstract(body, "callOptions", "outgoingCallOptions", "incomingCallOptions"); options != nil {
		c.notifySharing = r.flag(options, "isContentSharingNotificationEnabled")
		c.deltaRoster = r.flag(options, "isDeltaRosterEnabled")
	}
	for _, modality := range r.texts(body, "requestedModalities") {
		if !slices.Contains([]string{"audio", "video", "videoBasedScreenSharing", "data"}, modality) {
			r.fail(badRequest("Requested value '%s' was not found in requestedModalities.", modality))
		}
	}
	if c.source != nil {
		r.checkIdentity(c.source, "source")
	}
	c.targets = r.targets(body, "targets")
	r.checkMeeting(c, body)
	r.checkCallback(c.callbackURI)
	c.group = len(c.targets) > 1
	if !c.meeting {
		r.checkTargets(c)
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, t := range c.targets {
		fillNulls(t, "endpointType", "replacesCallId", "region", "languageId")
	}
	if chat, ok := body["chatInfo"].(object); ok {
		fillNulls(chat, "replyChainMessageId")
	}
	if c.source != nil {
		fillNulls(c.source, sourceMembers...)
	}
	return c, nil
}

var sourceMembers = []string{"countryCode", "endpointType", "region", "languageId"}

// fillNulls adds the members that answers have and requests may leave out.
func fillNulls(o object, members ...string) {
	for _, member := range members {
		if _, sent := o[member]; !sent {
			o[member] = nil
		}
	}
}

func (r *reader) checkMedia(c *call, body object) {
	media, kind := r.abstract(body, "mediaConfig", "serviceHostedMediaConfig", "appHostedMediaConfig")
	if media == nil {
		r.fail(invalid("Invalid argument: mediaConfig is required."))
		return
	}
	if c.appHosted = kind == "appHostedMediaConfig"; c.appHosted && r.text(media, "blob") == "" {
		r.fail(invalid("Invalid argument: appHostedMediaConfig needs a blob."))
	}
	for _, info := range r.objects(media, "preFetchMedia") {
		r.checkMediaInfo(info, "preFetchMedia")
	}
}

// checkCallback allows https anywhere and, as the one concession to a simulator,
// http on loopback.
func (r *reader) checkCallback(uri string) {
	if uri == "" {
		r.fail(invalid("Invalid argument: callbackUri is required."))
		return
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		r.fail(invalid("Invalid argument: callbackUri must be an https URI, or http to a loopback address."))
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// targets reads whom to call. A dynamic identity that is no annotated object makes
// the real service fail without telling why.
func (r *reader) targets(o object, member string) []object {
	targets := append([]object{}, r.objects(o, member)...) // never null
	for _, t := range targets {
		r.checkIdentity(t, member)
	}
	return targets
}

func (r *reader) checkIdentity(participant object, member string) {
	set := r.child(participant, "identity")
	if set == nil {
		r.fail(invalid("Invalid argument: every one of %s needs an identity.", member))
		return
	}
	communications := r.text(set, odataType) == graphType("communicationsIdentitySet")
	for _, kind := range dynamicKinds {
		switch identity := set[kind].(type) {
		case nil:
		case object:
			if _, annotated := identity[odataType].(string); !annotated && !communications {
				r.fail(unbindable())
			}
		default:
			r.fail(unbindable())
		}
	}
	for _, kind := range declaredKinds {
		r.child(set, kind)
	}
	if kind, identity := identityOf(participant); kind == "" {
		r.fail(invalid("Invalid argument: the identity in %s names nobody.", member))
	} else if r.text(identity, "id") == "" && kind != "guest" {
		r.fail(invalid("Invalid argument: the %s in %s has no id.", kind, member))
	}
}

// e164 is how a telephone number is written.
var e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

const maxTargets = 5

func (r *reader) checkTargets(c *call) {
	switch {
	case len(c.targets) == 0:
		r.fail(invalid("Invalid argument: targets, or the coordinates of a meeting, are required."))
	case len(c.targets) > maxTargets:
		r.fail(invalid("Invalid argument: at most %d targets can be called.", maxTargets))
	}
	seen := map[string]bool{}
	for _, t := range c.targets {
		id := strings.ToLower(identityID(t))
		if seen[id] {
			r.fail(invalid("Invalid argument: the same identity cannot be invited twice."))
		}
		seen[id] = true
		c.phone = c.phone || isPhone(t)
	}
	if !c.phone {
		return
	}
	r.checkNumbers(c.targets)
	kind, _ := identityOf(c.source)
	switch {
	case c.group:
		r.fail(invalid("Invalid argument: a group call is to users, not to telephones."))
	case kind != "applicationInstance":
		r.fail(invalid("Invalid argument: a call to a telephone needs an applicationInstance as source."))
	case c.tenantID == "":
		r.fail(invalid("Invalid argument: a call to a telephone needs a tenantId."))
	}
}

func (r *reader) checkNumbers(targets []object) {
	for _, t := range targets {
		if isPhone(t) && !e164.MatchString(identityID(t)) {
			r.fail(invalid("Invalid argument: a telephone number must be E.164."))
		}
	}
}

// checkMeeting reads the coordinates of a meeting to join.
func (r *reader) checkMeeting(c *call, body object) {
	chat := r.child(body, "chatInfo")
	info, kind := r.abstract(body, "meetingInfo", "organizerMeetingInfo", "tokenMeetingInfo", "joinMeetingIdMeetingInfo")
	if chat == nil && info == nil {
		return
	}
	c.meeting = true
	switch kind {
	case "organizerMeetingInfo":
		organizer := object{"identity": r.child(info, "organizer")}
		if r.checkIdentity(organizer, "meetingInfo.organizer"); chat == nil || r.text(chat, "threadId") == "" {
			r.fail(invalid("Invalid argument: joining a scheduled meeting needs chatInfo.threadId."))
		}
	case "tokenMeetingInfo":
		if r.text(info, "token") == "" {
			r.fail(invalid("Invalid argument: tokenMeetingInfo needs a token."))
		}
	case "joinMeetingIdMeetingInfo":
		if r.text(info, "joinMeetingId") == "" {
			r.fail(invalid("Invalid argument: joinMeetingIdMeetingInfo needs a joinMeetingId."))
		}
	default:
		r.fail(invalid("Invalid argument: joining a meeting needs meetingInfo."))
	}
	if c.tenantID == "" {
		r.fail(invalid("Invalid argument: joining a meeting needs a tenantId."))
	}
}

// admitLocked decides whether this app may make this call now.
func (s *Sim) admitLocked(c *call, by caller) *apiError {
	c.appID = by.app
	switch {
	case by.fixed && c.tenantID == "":
		c.tenantID = s.opts.TenantID
	case c.tenantID == "":
		c.tenantID = by.tenant
	case !by.fixed && !strings.EqualFold(c.tenantID, by.tenant):
		return wrongTenant()
	}
	needs := []string{"Calls.Initiate.All"}
	switch {
	case c.meeting:
		needs = []string{"Calls.JoinGroupCall.All", "Calls.JoinGroupCallAsGuest.All"}
	case c.group:
		needs = []string{"Calls.InitiateGroupCall.All"}
	}
	if !slices.ContainsFunc(needs, by.has) || c.appHosted && !by.has("Calls.AccessMedia.All") {
		return service(http.StatusForbidden, 7504, "Insufficient enterprise tenant permissions, cannot access this API.")
	}
	if kind, identity := identityOf(c.source); kind == "application" && !by.fixed {
		if id, _ := identity["id"].(string); !strings.EqualFold(id, by.app) {
			return service(http.StatusForbidden, 7507, "The source identity does not match the application of the token.")
		}
	}
	return s.placeLocked(c.appID, c.tenantID)
}
