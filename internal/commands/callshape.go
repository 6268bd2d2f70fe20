package commands

// The types that a request to create a call is made of (Microsoft Graph, call,
// its media configuration, meetingInfo and callOptions).

var serviceHosted = &shape{
	name: "#microsoft.graph.serviceHostedMediaConfig",
	fields: map[string]field{
		"preFetchMedia": {kind: objects, shapes: []*shape{mediaInfoShape}},
		// Not in the schema, but in the page's own group calls.
		"removeFromDefaultAudioGroup": {kind: flag},
	},
}

var appHosted = &shape{
	name: "#microsoft.graph.appHostedMediaConfig",
	mark: "blob",
	fields: map[string]field{
		"blob":                        {kind: text, needed: true, min: 1},
		"removeFromDefaultAudioGroup": {kind: flag},
	},
}

var organizerMeeting = &shape{
	name: "#microsoft.graph.organizerMeetingInfo",
	mark: "organizer",
	open: true,
	fields: map[string]field{
		"organizer":                    {kind: object, needed: true, shapes: []*shape{identitySetShape}},
		"allowConversationWithoutHost": {kind: flag},
	},
}

var joinMeetingID = &shape{
	name: "#microsoft.graph.joinMeetingIdMeetingInfo",
	mark: "joinMeetingId",
	open: true,
	fields: map[string]field{
		"joinMeetingId":                {kind: text, needed: true, min: 1},
		"passcode":                     {kind: text},
		"allowConversationWithoutHost": {kind: flag},
	},
}

var tokenMeeting = &shape{
	name: "#microsoft.graph.tokenMeetingInfo",
	mark: "token",
	fields: map[string]field{
		"token":                        {kind: text, needed: true, min: 1},
		"allowConversationWithoutHost": {kind: flag},
	},
}

var chatInfoShape = &shape{
	name: "#microsoft.graph.chatInfo",
	fields: map[string]field{
		"threadId":            {kind: text},
		"messageId":           {kind: text},
		"replyChainMessageId": {kind: text},
	},
}

var callOptionsShape = &shape{
	name: "#microsoft.graph.outgoingCallOptions",
	fields: map[string]field{
		"hideBotAfterEscalation":              {kind: flag},
		"isContentSharingNotificationEnabled": {kind: flag},
		"isDeltaRosterEnabled":                {kind: flag},
		"isInteractiveRosterEnabled":          {kind: flag},
	},
}

// callShape is the call resource as a request carries it (Microsoft Graph,
// call and Create call).
var callShape = &shape{
	name: "#microsoft.graph.call",
	open: true,
	fields: map[string]field{
		"targets":             {kind: objects, max: maxPlaceTargets, shapes: []*shape{invitationShape}, want: placeTargets},
		"requestedModalities": {kind: texts, min: 1, enum: []string{"audio", "video", "videoBasedScreenSharing", "data"}},
		"mediaConfig":         {kind: object, shapes: []*shape{serviceHosted, appHosted}},
		"source":              {kind: object, shapes: []*shape{participantInfoShape}},
		"tenantId":            {kind: text, min: 1, max: maxTenant, check: tenantProblem, want: tenantWant},
		"subject":             {kind: text},
		"direction":           {kind: text, enum: []string{"outgoing"}},
		"callOptions":         {kind: object, shapes: []*shape{callOptionsShape}},
		"chatInfo":            {kind: object, shapes: []*shape{chatInfoShape}},
		"meetingInfo":         {kind: object, shapes: []*shape{organizerMeeting, joinMeetingID, tokenMeeting}},
		"callChainId":         {kind: text},

		"callbackUri": {kind: workers},

		"id": {kind: readOnly}, "state": {kind: readOnly}, "myParticipantId": {kind: readOnly}, "resultInfo": {kind: readOnly},
		"callRoutes": {kind: readOnly}, "mediaState": {kind: readOnly}, "toneInfo": {kind: readOnly},
		"transcription": {kind: readOnly}, "incomingContext": {kind: readOnly}, "answeredBy": {kind: readOnly},
		"terminationReason": {kind: readOnly}, "activeModalities": {kind: readOnly},
		"audioRoutingGroups": {kind: readOnly}, "contentSharingSessions": {kind: readOnly},
		"operations": {kind: readOnly}, "participants": {kind: readOnly},
	},
}
