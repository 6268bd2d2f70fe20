package commands

// The media operations take a clientContext and nothing else (Microsoft Graph,
// call: mute, call: unmute, call: cancelMediaProcessing).
var operationShape = &shape{fields: map[string]field{"clientContext": clientContext}}

// MaxTop is the largest page of participants that can be asked for.
const MaxTop = 1000

var participantsShape = &shape{
	fields: map[string]field{
		"top":       {kind: whole, min: 1, max: MaxTop},
		"skipToken": {kind: text, min: 1, max: 4096},
	},
}

var sharingSessionShape = &shape{
	fields: map[string]field{
		"contentSharingSessionId": {kind: text, needed: true, min: 1, max: 256, check: segmentProblem,
			want: "the id of a content sharing session"},
	},
}

var noParameters = &shape{}

// parameterShapes says what each action's parameters are.
var parameterShapes = map[Action]*shape{
	Place:                      callShape,
	Hangup:                     noParameters,
	GetCall:                    noParameters,
	ListParticipants:           participantsShape,
	ListContentSharingSessions: noParameters,
	GetContentSharingSession:   sharingSessionShape,
	Mute:                       operationShape,
	Unmute:                     operationShape,
	PlayPrompt:                 playPromptShape,
	CancelMediaProcessing:      operationShape,
	Transfer:                   transferShape,
	Redirect:                   redirectShape,
	KeepAlive:                  noParameters,
}
