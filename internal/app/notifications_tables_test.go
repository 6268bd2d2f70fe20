package app

import (
	"fmt"

	"callbus/internal/commands"
)

const (
	tableID = "57dab8b1-894c-409a-b240-bd8beae78896"
	hexID   = "57DAB8B1894C409AB240BD8BEAE78896" // as in Microsoft Graph, "call: playPrompt"
	oneURL  = `"resourceUrl":"/communications/calls/` + tableID + `"`
)

// endCodes are the results that calls end with, by Microsoft Graph ("Delete
// call", "call: transfer") and Teams ("Troubleshooting call end response codes").
var endCodes = [][2]int{
	{0, 0}, {200, 4097}, {200, 4521}, {200, 5000}, {200, 5300}, {200, 5001}, {200, 5003}, {200, 5002}, {200, 5010}, {200, 5012}, {200, 5013},
	{200, 5014}, {200, 5020}, {200, 5007}, {200, 5030}, {200, 5855}, {200, 7000}, {200, 10550}, {0, 7015}, {200, 7015}, {200, 18503},
	{200, 540000}, {200, 560000}, {400, 2203}, {403, 510403}, {408, 1106}, {408, 8537}, {408, 10057}, {408, 13025}, {410, 301004}, {410, 301005},
	{480, 10037}, {480, 10076}, {480, 10077}, {480, 10078}, {480, 10134}, {480, 10199}, {486, 560486}, {487, 0}, {487, 540487}, {487, 10003},
	{487, 10004}, {487, 10024}, {500, 1005}, {500, 3002}, {500, 3003}, {500, 7106}, {500, 7112}, {500, 7117}, {500, 1203002}, {500, 7000},
	{500, 7700}, {603, 0},
}

// tables are bodies made after the tables and prose of Microsoft's pages:
// every state, every kind, every result, and each oddity of form that was seen.
func tables() []documented {
	var rows []documented
	one := func(changeType, suffix, data string) string {
		return fmt.Sprintf(`{"@odata.type":"#microsoft.graph.commsNotifications","value":[{"@odata.type":"#microsoft.graph.commsNotification","changeType":%q,`+
			`"resource":"/app/calls/%[2]s%[3]s","resourceUrl":"/communications/calls/%[2]s%[3]s","resourceData":%[4]s}]}`, changeType, tableID, suffix, data)
	}
	add := func(row documented, kinds ...commands.Kind) {
		row.kinds = kinds
		rows = append(rows, row)
	}
	up := []string{"established"}
	established := folded{State: "established"}

	for _, c := range endCodes {
		reason := commands.ExplainResult(c[0], c[1]).Reason
		if reason == "" {
			reason = "other"
		}
		add(documented{
			name: fmt.Sprintf("an end with %d/%d", c[0], c[1]), before: up,
			body: one("deleted", "", fmt.Sprintf(`{"@odata.type":"#microsoft.graph.call","state":"terminated","resultInfo":{"@odata.type":"#microsoft.graph.resultInfo","code":%d,"subcode":%d,"message":"text"}}`, c[0], c[1])),
			want: folded{State: "terminated", Reason: reason, Info: &commands.ResultInfo{Code: c[0], Subcode: c[1], Message: "text"}},
		}, commands.KindState)
	}
	for _, state := range []string{"establishing", "ringing", "established", "hold", "transferring", "redirecting", "terminating"} {
		add(documented{name: "state " + state, body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","state":"`+state+`"}`), want: folded{State: state}}, commands.KindState)
	}
	add(documented{name: "state transferAccepted", body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","state":"transferAccepted"}`),
		want: folded{State: "transferAccepted", TransferAccepted: true}}, commands.KindState)

	// Kinds.
	gone := folded{State: "terminated", Reason: "ended"}
	byTransfer := gone
	byTransfer.TerminationReason = "AppTransferred"
	prompt := `{"@odata.type":"#microsoft.graph.playPromptOperation","id":"0fe0623f-d628-42ed-b4bd-8ac290072cc5","clientContext":"` + sampleContext + `","status":%s}`
	operation := func(status string, ends commands.Status) documented {
		return documented{name: "an operation that is " + status, before: up, command: commands.PlayPrompt,
			body: one("deleted", "/operations/0fe0623f-d628-42ed-b4bd-8ac290072cc5", fmt.Sprintf(prompt, status)), want: folded{State: "established", Command: ends}}
	}
	add(documented{name: "an end with a terminationReason", before: up, body: one("deleted", "", `{"@odata.type":"#microsoft.graph.call","state":"terminated","terminationReason":"AppTransferred"}`), want: byTransfer}, commands.KindState)
	add(documented{name: "an end without anything", before: up, body: one("deleted", "", `null`), want: gone}, commands.KindState)
	add(documented{name: "audio becomes active before the answer", body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","state":"establishing","mediaState":{"audio":"active"}}`),
		want: folded{State: "establishing", AudioActive: true}}, commands.KindState)
	add(documented{name: "a tone", before: up, body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","toneInfo":{"@odata.type":"#microsoft.graph.toneInfo","sequenceId":1,"tone":"tone5"}}`), want: established}, commands.KindState)
	add(documented{name: "a full roster", before: up, body: one("updated", "/participants", `[{"@odata.type":"#microsoft.graph.participant","id":"a"},{"@odata.type":"#microsoft.graph.participant","id":"b"},{"@odata.type":"#microsoft.graph.participant","id":"c"}]`),
		want: folded{State: "established", Participants: 3}}, commands.KindRoster)
	add(documented{name: "a delta roster counts nobody", before: up, body: one("updated", "/participants", `{"@odata.type":"#microsoft.graph.deltaParticipants","sequenceNumber":"12","participants":[{"id":"a","rosterSequenceNumber":12}]}`),
		want: established}, commands.KindRoster)
	for _, changeType := range []string{"created", "updated", "deleted"} {
		add(documented{name: "content sharing " + changeType, before: up, body: one(changeType, "/contentsharingsessions", `[{"@odata.type":"#microsoft.graph.contentSharingSession","id":"F7D9EF30"}]`), want: established}, commands.KindContentSharing)
	}
	add(operation(`"completed"`, commands.Succeeded), commands.KindOperation)
	add(operation(`"Failed"`, commands.Failed), commands.KindOperation)
	add(operation(`"running"`, commands.Accepted), commands.KindOperation)
	add(operation(`null`, commands.Accepted), commands.KindOperation)
	for _, kind := range []string{"recordOperation", "inviteParticipantsOperation", "muteParticipantOperation", "unmuteParticipantOperation",
		"cancelMediaProcessingOperation", "updateRecordingStatusOperation", "subscribeToToneOperation", "addLargeGalleryViewOperation"} {
		add(documented{name: "a " + kind + " of somebody else", before: up, body: one("deleted", "/operations/A1", `{"@odata.type":"#microsoft.graph.`+kind+`","status":"completed","clientContext":"not ours"}`), want: established}, commands.KindOperation)
	}
	add(documented{name: "a type that nobody knows", before: up, body: one("updated", "", `{"@odata.type":"#microsoft.graph.somethingNew","state":"terminated"}`), want: established}, commands.KindOther)
	add(documented{name: "a part that nobody knows", before: up, body: one("updated", "/audioRoutingGroups/x", `{"id":"x"}`), want: established}, commands.KindOther)
	add(documented{name: "an incoming call", webhook: true, body: one("created", "", `{"@odata.type":"#microsoft.graph.call","state":"incoming","direction":"incoming","callChainId":"d8217646","meetingInfo":null,`+
		`"incomingContext":{"@odata.type":"#microsoft.graph.incomingContext","transferor":null},"myParticipantId":"p"}`), want: folded{State: "incoming", RespondBy: true}}, commands.KindIncoming)

	// Forms.
	add(documented{name: "only the older twin of the path", body: `{"value":[{"changeType":"updated","resource":"/app/calls/` + tableID + `","resourceData":{"state":"established"}}]}`, want: established}, commands.KindState)
	add(documented{name: "32 hex digits for an id", body: `{"value":[{"changeType":"updated","resourceUrl":"/communications/calls/` + hexID + `","resourceData":{"state":"established"}}]}`, want: established}, commands.KindState)
	add(documented{name: "words in Pascal case", body: `{"value":[{"changeType":"Updated",` + oneURL + `,"resourceData":{"state":"Established"}}]}`, want: established}, commands.KindState)
	add(documented{name: "codes as strings", before: up, body: one("deleted", "", `{"state":"Terminated","resultInfo":{"code":"486","subCode":"560486","message":"m"}}`),
		want: folded{State: "terminated", Reason: commands.ExplainResult(486, 560486).Reason, Info: &commands.ResultInfo{Code: 486, Subcode: 560486, Message: "m"}}}, commands.KindState)
	add(documented{name: "one value that is no array", body: `{"value":{"changeType":"updated",` + oneURL + `,"resourceData":{"state":"established"}}}`, want: established}, commands.KindState)
	add(documented{name: "a call in an array", body: one("updated", "", `[{"@odata.type":"#microsoft.graph.call","state":"established"}]`), want: established}, commands.KindState)
	add(documented{name: "an id and a link in the data", body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","@odata.id":"/communications/calls/`+tableID+`","@odata.etag":"W/\"5445\"","id":"`+tableID+`","state":"established"}`), want: established}, commands.KindState)
	add(documented{name: "members that no schema lists", body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","state":"established","ringingTimeoutInSeconds":60,"activeModalities":["audio"],"routingPolicies":[],"answeredBy":{"user":{"id":"u"}}}`), want: established}, commands.KindState)
	add(documented{name: "several values in one body",
		body: `{"value":[{"changeType":"updated",` + oneURL + `,"resourceData":{"state":"establishing"}},{"changeType":"updated","resourceUrl":"/communications/calls/` + tableID + `/participants","resourceData":[{"id":"a"}]},` +
			`{"changeType":"updated",` + oneURL + `,"resourceData":{"state":"established"}}]}`, want: folded{State: "established", Participants: 1}},
		commands.KindState, commands.KindRoster, commands.KindState)
	add(documented{name: "established before establishing", before: up, body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","state":"establishing"}`), want: established}, commands.KindState)
	add(documented{name: "hold ends", before: []string{"established", "hold"}, body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","state":"established"}`), want: established}, commands.KindState)
	add(documented{name: "news after the end", before: []string{"established", "terminated"}, body: one("updated", "", `{"@odata.type":"#microsoft.graph.call","state":"established"}`), want: gone}, commands.KindState)
	return rows
}
