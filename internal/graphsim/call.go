package graphsim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The states of a call, as in Microsoft's callState.
const (
	stateIncoming         = "incoming"
	stateEstablishing     = "establishing"
	stateEstablished      = "established"
	stateHold             = "hold"
	stateTransferring     = "transferring"
	stateTransferAccepted = "transferAccepted"
	stateRedirecting      = "redirecting"
	stateTerminating      = "terminating"
	stateTerminated       = "terminated"
)

// ResultInfo is Microsoft's resultInfo.
type ResultInfo struct {
	Code    int    `json:"code"`
	Subcode int    `json:"subcode"`
	Message string `json:"message,omitempty"`
}

func (r *ResultInfo) object() object {
	return typed("resultInfo", object{"code": r.Code, "subcode": r.Subcode, "message": r.Message})
}

// call is one call in all its states. The Sim's lock guards it.
type call struct {
	id, chainID, participantID string
	scenarioID                 string
	appID, tenantID            string
	callbackURI                string
	createdBy                  string // client-request-id
	created, ended             time.Time
	incoming                   bool
	group, meeting, phone      bool
	appHosted                  bool
	notifySharing, deltaRoster bool

	members object // of the request, echoed
	source  object
	targets []object

	state        string
	audio        string // "" until something is known, as in the API
	muted        bool
	result       *ResultInfo
	reason       string // terminationReason
	participants []*participant
	rosterSeq    int
	prompts      []*prompt // the first is running
	operations   []*Operation
	sessions     []string

	timers        map[string]*timer
	outbox        outbox
	requests      []*Request
	notifications []*Notification
}

// addLocked enters a call, and forgets the oldest ended ones beyond LogSize.
func (s *Sim) addLocked(c *call) {
	c.id, c.chainID, c.participantID = uuid.NewString(), uuid.NewString(), uuid.NewString()
	if c.scenarioID == "" {
		c.scenarioID = uuid.NewString()
	}
	c.created = time.Now()
	c.timers = map[string]*timer{}
	s.calls[normalID(c.id)] = c
	s.order = append(s.order, c)
	s.creates[c.callbackURI]++
	if len(s.order) <= 2*s.opts.LogSize {
		return
	}
	surplus := len(s.order) - s.opts.LogSize
	s.order = slices.DeleteFunc(s.order, func(old *call) bool {
		if surplus <= 0 || old.ended.IsZero() {
			return false
		}
		surplus--
		delete(s.calls, normalID(old.id))
		if s.creates[old.callbackURI]--; s.creates[old.callbackURI] <= 0 {
			delete(s.creates, old.callbackURI)
		}
		return true
	})
}

// inLocked runs a step of a call later, replacing the step of the same name. All steps
// fall away when the call ends.
func (s *Sim) inLocked(c *call, step string, d time.Duration, f func()) {
	s.dropLocked(c, step)
	c.timers[step] = s.afterLocked(d, f)
}

func (s *Sim) dropLocked(c *call, step string) {
	if t := c.timers[step]; t != nil {
		s.stopLocked(t)
		delete(c.timers, step)
	}
}

func (s *Sim) stopAllLocked(c *call) {
	for _, t := range c.timers {
		s.stopLocked(t)
	}
	clear(c.timers)
}

// p2p tells a call between two from group calls and meetings, which have rosters.
func (c *call) p2p() bool { return !c.group && !c.meeting }

// object is the call as the API shows it.
func (c *call) object() object {
	o := object{
		"callRoutes": []any{}, "requestedModalities": []string{"audio"}, "activeModalities": []any{}, "routingPolicies": []any{},
		"subject": nil, "ringingTimeoutInSeconds": nil, "answeredBy": nil, "chatInfo": nil, "meetingInfo": nil,
		"transcription": nil, "meetingCapability": nil, "toneInfo": nil,
	}
	maps.Copy(o, c.members)
	maps.Copy(o, typed("call", object{
		"id": c.id, "state": c.state, "direction": c.direction(), "callbackUri": c.callbackURI,
		"callChainId": c.chainID, "myParticipantId": c.participantID,
		"source": c.source, "targets": c.targets, "tenantId": c.tenantID,
		"mediaState": nil, "resultInfo": nil, "terminationReason": nil,
	}))
	if c.audio != "" {
		o["mediaState"] = mediaState(c.audio)
	}
	if c.result != nil {
		o["resultInfo"] = c.result.object()
	}
	if c.reason != "" {
		o["terminationReason"] = c.reason
	}
	return o
}

func mediaState(audio string) object { return typed("callMediaState", object{"audio": audio}) }

func (c *call) direction() string {
	if c.incoming {
		return "incoming"
	}
	return "outgoing"
}

// Call is a snapshot of one call, ended or not.
type Call struct {
	ID          string    `json:"id"`
	CallbackURI string    `json:"callbackUri"`
	CallRef     string    `json:"callRef,omitempty"`
	State       string    `json:"state"`
	Created     time.Time `json:"created"`
	// Ended is zero while the call lives, and then left out.
	Ended time.Time `json:"ended,omitzero"`
	// CreatedBy is the client-request-id of the request that created it.
	CreatedBy string `json:"createdBy,omitempty"`
	// Creates tells how many calls were created with this CallbackURI.
	Creates           int             `json:"creates"`
	AppID             string          `json:"appId"`
	TenantID          string          `json:"tenantId"`
	CallChainID       string          `json:"callChainId"`
	ScenarioID        string          `json:"scenarioId"`
	Direction         string          `json:"direction"`
	Group             bool            `json:"group"`
	Meeting           bool            `json:"meeting"`
	Audio             string          `json:"audio,omitempty"` // "active", "inactive"
	Muted             bool            `json:"muted"`
	Source            json.RawMessage `json:"source"`
	Targets           json.RawMessage `json:"targets"`
	ResultInfo        *ResultInfo     `json:"resultInfo,omitempty"`
	TerminationReason string          `json:"terminationReason,omitempty"`
	Participants      int             `json:"participants"`
	// OpenPrompts counts the running and the queued ones.
	OpenPrompts            int            `json:"openPrompts"`
	ContentSharingSessions []string       `json:"contentSharingSessions,omitempty"`
	Operations             []Operation    `json:"operations,omitempty"` // in order of their requests
	Requests               []Request      `json:"requests"`             // on this call, in order of arrival
	Notifications          []Notification `json:"notifications"`
}

func (s *Sim) snapshotLocked(c *call) Call {
	shot := Call{
		ID: c.id, CallbackURI: c.callbackURI, CallRef: callRef(c.callbackURI), State: c.state, Created: c.created, Ended: c.ended,
		CreatedBy: c.createdBy, Creates: s.creates[c.callbackURI], AppID: c.appID, TenantID: c.tenantID,
		CallChainID: c.chainID, ScenarioID: c.scenarioID, Direction: c.direction(), Group: c.group, Meeting: c.meeting,
		Audio: c.audio, Muted: c.muted, TerminationReason: c.reason, Participants: len(c.participants),
		OpenPrompts: len(c.prompts), ContentSharingSessions: slices.Clone(c.sessions), Requests: copyRequests(c.requests),
		Notifications: make([]Notification, len(c.notifications)),
	}
	shot.Source, _ = json.Marshal(c.source)   // came from JSON
	shot.Targets, _ = json.Marshal(c.targets) // came from JSON
	if c.result != nil {
		result := *c.result
		shot.ResultInfo = &result
	}
	for i, n := range c.notifications {
		shot.Notifications[i] = *n
	}
	for _, o := range c.operations {
		shot.Operations = append(shot.Operations, *o)
	}
	return shot
}

// Calls returns every call in order of creation, the ended ones too.
func (s *Sim) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Call, len(s.order))
	for i, c := range s.order {
		all[i] = s.snapshotLocked(c)
	}
	return all
}

// Call returns one call; ok is false if there never was one.
func (s *Sim) Call(id string) (c Call, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.calls[normalID(id)]
	if found == nil {
		return Call{}, false
	}
	return s.snapshotLocked(found), true
}

// selected keeps the members that $select names, and what identifies the call.
func selected(o object, names string) object {
	if names == "" {
		return o
	}
	picked := object{odataType: o[odataType], "id": o["id"]}
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		if value, ok := o[name]; ok {
			picked[name] = value
		}
	}
	return picked
}
