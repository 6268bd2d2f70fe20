package commands

// MaxClientContext is the length of clientContext in characters (Microsoft
// Graph, call: playPrompt, call: mute).
const MaxClientContext = 256

var clientContext = field{kind: text, max: MaxClientContext}

// mediaInfoShape: Graph fetches the URI itself and takes WAV only, mono, 16-bit,
// 16 kHz (Microsoft Graph, mediaInfo).
var mediaInfoShape = &shape{
	name: "#microsoft.graph.mediaInfo",
	fields: map[string]field{
		"uri":        {kind: text, needed: true, min: 1, check: urlProblem, want: "an http or https URL that Microsoft can fetch"},
		"resourceId": {kind: text},
	},
}

var mediaPromptShape = &shape{
	name: "#microsoft.graph.mediaPrompt",
	fields: map[string]field{
		"mediaInfo": {kind: object, needed: true, shapes: []*shape{mediaInfoShape}},
	},
}

// playPromptShape: 1 to 20 prompts (Microsoft Graph, call: playPrompt).
var playPromptShape = &shape{
	fields: map[string]field{
		"prompts":       {kind: objects, needed: true, min: 1, max: 20, shapes: []*shape{mediaPromptShape}},
		"clientContext": clientContext,
	},
}
