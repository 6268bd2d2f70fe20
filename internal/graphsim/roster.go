package graphsim

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"
)

// participant is one of a group call or meeting.
type participant struct {
	id     string
	info   object
	source string // of its audio stream
	muted  bool
	bot    bool
	left   bool
	seq    int // of the roster when it last changed
}

func (s *Sim) botInfo(c *call) object {
	if kind, _ := identityOf(c.source); kind == "application" {
		return c.source
	}
	return object{"identity": typed("identitySet", object{"application": typed("identity", object{"id": c.appID, "displayName": "Calling Bot"})})}
}

// join adds a participant. The bot's id is the call's myParticipantId.
func (c *call) join(who object, bot bool) {
	p := &participant{id: uuid.NewString(), bot: bot, source: strconv.Itoa(len(c.participants) + 1)}
	if bot {
		p.id = c.participantID
	}
	p.info = typed("participantInfo", object{"identity": who["identity"], "region": "amer", "languageId": "en-US", "id": p.id})
	c.participants = append(c.participants, p)
}

func (p *participant) object() object {
	o := typed("participant", object{
		"id": p.id, "info": p.info, "isMuted": p.muted, "isInLobby": false, "metadata": nil, "rosterSequenceNumber": p.seq,
		"mediaStreams": []object{typed("mediaStream", object{
			"mediaType": "audio", "sourceId": p.source, "direction": "sendReceive", "serverMuted": p.bot && p.muted, "label": "main-audio",
		})},
	})
	if p.left { // in a delta roster
		o["removedState"] = typed("removedState", object{"reason": "left"})
	}
	return o
}

// rosterLocked reports participants of a group call or meeting: all of them or, to
// who asked for delta rosters, those that changed.
func (s *Sim) rosterLocked(c *call, changed []*participant) {
	if c.p2p() {
		return
	}
	c.rosterSeq++
	for _, p := range changed {
		p.seq = c.rosterSeq
	}
	list := func(of []*participant) []object {
		all := make([]object, len(of))
		for i, p := range of {
			all[i] = p.object()
		}
		return all
	}
	var data any = list(c.participants)
	if c.deltaRoster {
		data = typed("deltaParticipants", object{"sequenceNumber": c.rosterSeq, "participants": list(changed)})
	}
	s.notifyLocked(c, event{kind: "roster", changeType: "updated", path: "/participants", data: data})
}

// listParticipants is "call: List participants". A page has at most PageSize
// participants, or $top.
func (s *Sim) listParticipants(x *exchange, c *call) answer {
	size, from := s.opts.PageSize, 0
	if text := x.query.Get("$top"); text != "" {
		top, err := strconv.Atoi(text)
		if err != nil || top < 1 {
			return refuse(badRequest("Invalid value '%s' for $top: a positive integer is expected.", text))
		}
		size = min(size, top)
	}
	if text := x.query.Get("$skiptoken"); text != "" {
		var err error
		if from, err = strconv.Atoi(text); err != nil || from < 0 {
			return refuse(badRequest("The $skiptoken is not valid."))
		}
	}
	page := []object{}
	for _, p := range c.participants[min(from, len(c.participants)):min(from+size, len(c.participants))] {
		o := p.object()
		// Unlike in rosters, identities are written with what they are not.
		info := maps.Clone(p.info)
		set, _ := info["identity"].(object)
		set = maps.Clone(set)
		fillNulls(set, "application", "user", "device", "phone")
		info["identity"] = set
		o["info"] = info
		page = append(page, o)
	}
	body := object{
		"@odata.context": x.base + version + "$metadata#communications/calls('" + c.id + "')/participants",
		"value":          page,
	}
	if next := from + size; next < len(c.participants) {
		query := url.Values{"$skiptoken": {strconv.Itoa(next)}}
		if x.query.Has("$top") {
			query.Set("$top", x.query.Get("$top"))
		}
		body["@odata.nextLink"] = x.base + version + x.family + "/calls/" + c.id + "/participants?" + query.Encode()
	}
	return answer{status: http.StatusOK, body: body}
}

// mute is "call: mute": the service drops the audio of the bot.
func (s *Sim) mute(x *exchange, c *call) answer {
	return s.setMutedLocked(x, c, true, "muteParticipantOperation")
}

// unmute is "call: unmute".
func (s *Sim) unmute(x *exchange, c *call) answer {
	return s.setMutedLocked(x, c, false, "unmuteParticipantOperation")
}

func (s *Sim) setMutedLocked(x *exchange, c *call, muted bool, operation string) answer {
	_, clientContext, err := contextBody(x.body)
	switch {
	case err != nil:
		return refuse(err)
	case c.p2p():
		return refuse(service(http.StatusBadRequest, 8548, "Call is not a group call."))
	case !c.up():
		return refuse(notEstablished(c.state))
	}
	c.muted = muted
	for _, p := range c.participants {
		if p.bot && p.muted != muted {
			p.muted = muted
			s.rosterLocked(c, []*participant{p})
		}
	}
	return operationAnswer(x, c, uuid.NewString(), operation, "completed", clientContext)
}
