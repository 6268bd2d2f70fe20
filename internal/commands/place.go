package commands

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits of Create call (Microsoft Graph, Create call): one target makes a
// peer-to-peer call, two to five users a group call.
const (
	maxPlaceTargets = 5
	placeTargets    = "1 to 5 targets, or meetingInfo"
)

// place holds what the schema cannot say about Create call, and fills in what
// the producer may leave out.
func (d *decoder) place(call map[string]any) {
	targets, _ := call["targets"].([]any)
	meeting, isMeeting := call["meetingInfo"].(map[string]any)
	_, targetsGiven := call["targets"].([]any)
	switch {
	case isMeeting && len(targets) > 0:
		d.add("parameters.targets", "is given with meetingInfo", "either targets or meetingInfo")
	case isMeeting:
		d.meeting(call, meeting)
	case targetsGiven || call["targets"] == nil && call["meetingInfo"] == nil:
		d.targets(call, targets)
	}
	if call["requestedModalities"] == nil {
		call["requestedModalities"] = []any{"audio"}
	}
	if call["mediaConfig"] == nil {
		call["mediaConfig"] = map[string]any{annotation: serviceHosted.name}
	}
	d.tenant(call)
}

func (d *decoder) targets(call map[string]any, targets []any) {
	const at = "parameters.targets"
	if len(targets) == 0 {
		d.add(at, "is missing", placeTargets)
		return
	}
	for i, who := range d.parties(at, call["targets"]) {
		if len(targets) > 1 && who.kind != "user" {
			d.add(at, fmt.Sprintf("has %d entries and not all are users (%s)", len(targets), show(who.kind)),
				"users only, or one target")
			break
		}
		if i == 0 && who.kind == "phone" {
			d.needTenant = "a call to a phone number"
			d.instance(call)
		}
	}
}

// instance: a PSTN call needs the resource account it comes from (Microsoft
// Graph, Create call, example 9).
func (d *decoder) instance(call map[string]any) {
	source, _ := call["source"].(map[string]any)
	set, _ := source["identity"].(map[string]any)
	instance, _ := set["applicationInstance"].(map[string]any)
	if id, _ := instance["id"].(string); id == "" {
		d.add("parameters.source.identity.applicationInstance.id", "is missing",
			"the object id of the resource account that calls the phone number")
	}
}

func (d *decoder) meeting(call, meeting map[string]any) {
	d.needTenant = "joining a meeting"
	if meeting[annotation] != organizerMeeting.name {
		return
	}
	if organizer, ok := meeting["organizer"].(map[string]any); ok {
		user, _ := organizer["user"].(map[string]any)
		if id, _ := user["id"].(string); id == "" {
			d.add("parameters.meetingInfo.organizer.user.id", "is missing", "the object id of the meeting's organizer")
		}
	}
	chat, isChat := call["chatInfo"].(map[string]any)
	if thread, _ := chat["threadId"].(string); thread == "" && (isChat || call["chatInfo"] == nil) {
		d.add("parameters.chatInfo.threadId", "is missing", "the thread of the meeting's chat, beside meetingInfo.organizer")
	}
}

// tenant settles the command's tenant and the call's: equal when both are
// given, filled in where Graph needs it.
func (d *decoder) tenant(call map[string]any) {
	const at = "parameters.tenantId"
	if given, ok := call["tenantId"]; ok && given != nil {
		tenant, ok := given.(string)
		switch {
		case !ok:
		case d.cmd.TenantID == "":
			d.cmd.TenantID = tenant
		case !strings.EqualFold(tenant, d.cmd.TenantID):
			d.add(at, "differs from tenantId", "the same tenant, or one of them")
		}
		return
	}
	if d.cmd.TenantID == "" && d.needTenant != "" {
		d.cmd.TenantID = d.opts.DefaultTenant
	}
	switch {
	case d.cmd.TenantID != "":
		call["tenantId"] = d.cmd.TenantID
	case d.needTenant != "" && !d.envelopeHas("tenantId"):
		d.add(at, "is missing", "a tenant, which "+d.needTenant+" needs")
	}
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }
