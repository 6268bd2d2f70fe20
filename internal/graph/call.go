package graph

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Call is what callers need of Graph's call resource. Absent members are zero.
type Call struct {
	ID              string
	State           string // callState, spelled as Graph's schema does whatever case it came in
	Direction       string // incoming or outgoing
	CallChainID     string
	TenantID        string
	CallbackURI     string
	MyParticipantID string
	// AudioActive is mediaState.audio: nil when Graph does not say.
	AudioActive *bool
	// Group tells a group call or a joined meeting from a peer-to-peer call.
	Group             bool
	ResultInfo        *ResultInfo
	TerminationReason string
}

// ResultInfo is Graph's resultInfo. Decide on Code and Subcode together:
// 500/7000 is a failed transfer, 200/7000 a call that the bot ended.
type ResultInfo struct {
	Code    int
	Subcode int
	Message string // as Graph wrote it, not redacted
}

// CommsOperation is what callers need of Graph's commsOperation.
type CommsOperation struct {
	ID string
	// Status is notStarted, running, completed or failed: spelled as in
	// payloads, where the schema begins with capitals. Empty counts as running
	// (Microsoft page "commsOperation resource type").
	Status        string
	ClientContext string
	ResultInfo    *ResultInfo
}

// The values of callState and operationStatus.
var (
	callStates = []string{"incoming", "establishing", "ringing", "established", "hold", "transferring",
		"transferAccepted", "redirecting", "terminating", "terminated"}
	operationStatuses = []string{"notStarted", "running", "completed", "failed"}
	callDirections    = []string{"incoming", "outgoing"}
)

type wireResultInfo struct {
	Code    number `json:"code"`
	Subcode number `json:"subcode"`
	Message text   `json:"message"`
}

type wireCall struct {
	ID              text            `json:"id"`
	State           text            `json:"state"`
	Direction       text            `json:"direction"`
	CallChainID     text            `json:"callChainId"`
	TenantID        text            `json:"tenantId"`
	CallbackURI     text            `json:"callbackUri"`
	MyParticipantID text            `json:"myParticipantId"`
	MediaState      json.RawMessage `json:"mediaState"`
	Targets         items           `json:"targets"`
	ChatInfo        json.RawMessage `json:"chatInfo"`
	MeetingInfo     json.RawMessage `json:"meetingInfo"`
	ResultInfo      json.RawMessage `json:"resultInfo"`
	Termination     text            `json:"terminationReason"`
}

// ParseCall reads a call resource. Members that are absent, null or of an
// unexpected type are left zero, the ID too; only a body that is no JSON object
// is an error.
func ParseCall(body json.RawMessage) (Call, error) {
	var w wireCall
	if err := decodeObject(body, &w); err != nil {
		return Call{}, fmt.Errorf("read call: %w", err)
	}
	return Call{
		ID:                string(w.ID),
		State:             spelled(string(w.State), callStates),
		Direction:         spelled(string(w.Direction), callDirections),
		CallChainID:       string(w.CallChainID),
		TenantID:          string(w.TenantID),
		CallbackURI:       string(w.CallbackURI),
		MyParticipantID:   string(w.MyParticipantID),
		AudioActive:       audioActive(w.MediaState),
		Group:             w.group(),
		ResultInfo:        parseResultInfo(w.ResultInfo),
		TerminationReason: string(w.Termination),
	}, nil
}

// group goes by what only group calls and meetings have. An incoming
// peer-to-peer call carries a tokenMeetingInfo of its own.
func (w *wireCall) group() bool {
	if len(w.Targets) > 1 {
		return true
	}
	if isObject(w.MeetingInfo) {
		var info struct {
			Type text `json:"@odata.type"`
		}
		_ = json.Unmarshal(w.MeetingInfo, &info) // checked syntax; text cannot fail
		return !strings.HasSuffix(strings.ToLower(string(info.Type)), "tokenmeetinginfo")
	}
	return isObject(w.ChatInfo) && len(w.Targets) == 0
}

func audioActive(mediaState json.RawMessage) *bool {
	if !isObject(mediaState) {
		return nil
	}
	var w struct {
		Audio text `json:"audio"`
	}
	_ = json.Unmarshal(mediaState, &w) // checked syntax; text cannot fail
	active := strings.EqualFold(string(w.Audio), "active")
	if !active && !strings.EqualFold(string(w.Audio), "inactive") {
		return nil
	}
	return &active
}

func parseResultInfo(raw json.RawMessage) *ResultInfo {
	if !isObject(raw) {
		return nil
	}
	var w wireResultInfo
	_ = json.Unmarshal(raw, &w) // checked syntax; the members cannot fail
	return &ResultInfo{Code: int(w.Code), Subcode: int(w.Subcode), Message: string(w.Message)}
}

// ParseOperation reads a commsOperation, as leniently as ParseCall.
func ParseOperation(body json.RawMessage) (CommsOperation, error) {
	var w struct {
		ID            text            `json:"id"`
		Status        text            `json:"status"`
		ClientContext text            `json:"clientContext"`
		ResultInfo    json.RawMessage `json:"resultInfo"`
	}
	if err := decodeObject(body, &w); err != nil {
		return CommsOperation{}, fmt.Errorf("read operation: %w", err)
	}
	return CommsOperation{
		ID:            string(w.ID),
		Status:        spelled(string(w.Status), operationStatuses),
		ClientContext: string(w.ClientContext),
		ResultInfo:    parseResultInfo(w.ResultInfo),
	}, nil
}
