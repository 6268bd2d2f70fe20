package callbacks

import (
	"strings"
	"time"

	"callbus/internal/commands"
)

// answerTime is how long Graph waits for an incoming call to be answered,
// rejected or redirected (Microsoft Graph, "call: answer", "call: redirect").
const answerTime = 15 * time.Second

const stateTerminated = "terminated"

// call fills in what a notification about the call itself says.
func (n *Notification) call(data object, res resource) {
	if n.CallID == "" {
		n.CallID = data.text("id")
	}
	n.Kind = commands.KindState
	n.State = spell(callStates, data.text("state"))
	n.Direction = spell(directions, data.text("direction"))
	if n.ChangeType == "deleted" {
		n.State = stateTerminated
	}
	if n.ChangeType == "created" && n.Direction != "outgoing" && (n.State == "incoming" || n.State == "") {
		n.Kind, n.State = commands.KindIncoming, "incoming"
	}
	n.TenantID = data.text("tenantid")
	n.CallChainID = data.text("callchainid")
	n.ResultInfo = resultInfo(data)
	n.TerminationReason = data.text("terminationreason")
	n.AnsweredBy = data.get("answeredby")
	switch strings.ToLower(data.object("mediastate").text("audio")) {
	case "active":
		n.AudioActive = new(true)
	case "inactive":
		n.AudioActive = new(false)
	}
	targets, _ := asArray(data.get("targets"))
	for _, target := range targets {
		instance := asObject(target).object("identity").object("applicationinstance")
		if id := instance.text("id"); id != "" {
			n.Instances = append(n.Instances, id)
		}
	}
}

// operation fills in what a notification about an operation says. Samples for
// playPrompt carry no id: it is then the last segment of the path.
func (n *Notification) operation(data object, res resource) {
	op := &commands.Operation{
		ID:            data.text("id"),
		Status:        spell(operationStatuses, data.text("status")),
		ClientContext: data.text("clientcontext"),
		ResultInfo:    resultInfo(data),
	}
	if op.ID == "" && res.part == "operations" {
		op.ID = res.partID
	}
	if op.ID == "" {
		op.ID = parseResource(data.text("@odata.id")).partID
	}
	if op.Status == "" && n.ChangeType == "deleted" && op.ResultInfo != nil {
		op.Status = endedStatus(op.ResultInfo.Code)
	}
	n.Kind, n.Operation = commands.KindOperation, op
}

// endedStatus stands in for the status of an operation that is over and tells
// its code alone; 0 and 2xx are success (Microsoft Graph, "resultInfo resource type").
func endedStatus(code int) string {
	if code == 0 || code/100 == 2 {
		return "completed"
	}
	return "failed"
}

func resultInfo(data object) *commands.ResultInfo {
	info := data.object("resultinfo")
	if len(info) == 0 {
		return nil
	}
	return &commands.ResultInfo{
		Code:    info.number("code"),
		Subcode: info.number("subcode"),
		Message: info.text("message"),
	}
}

// Event makes the event to store. base tells what the body does not: producer,
// callRef, the place command and its attempt from the URL, the time of arrival,
// the token's tenant, and the chain id of the header; the last gives way to the
// body's.
func (n Notification) Event(base commands.Event) commands.Event {
	e := base
	e.Kind = n.Kind
	e.CallID = n.CallID
	e.ChangeType = n.ChangeType
	e.State = n.State
	e.ResultInfo = n.ResultInfo
	e.TerminationReason = n.TerminationReason
	e.AudioActive = n.AudioActive
	e.AnsweredBy = n.AnsweredBy
	e.Operation = n.Operation
	e.Participants = n.Participants
	e.Raw = n.Raw
	if e.TenantID == "" {
		e.TenantID = n.TenantID
	}
	if n.CallChainID != "" {
		e.CallChainID = n.CallChainID
	}
	if n.Kind == commands.KindIncoming {
		e.RespondBy = new(base.Time.Add(answerTime))
	}
	return e
}
