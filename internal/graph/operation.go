package graph

// Operation is one kind of request to the calls API.
type Operation string

// The thirteen operations; all but KeepAlive and the content sharing reads
// exist under both route families.
const (
	CreateCall                 Operation = "createCall"
	GetCall                    Operation = "getCall"
	DeleteCall                 Operation = "deleteCall"
	ListParticipants           Operation = "listParticipants"
	ListContentSharingSessions Operation = "listContentSharingSessions"
	GetContentSharingSession   Operation = "getContentSharingSession"
	KeepAlive                  Operation = "keepAlive"
	Mute                       Operation = "mute"
	Unmute                     Operation = "unmute"
	PlayPrompt                 Operation = "playPrompt"
	CancelMediaProcessing      Operation = "cancelMediaProcessing"
	Redirect                   Operation = "redirect"
	Transfer                   Operation = "transfer"
)

// Idempotent tells whether sending the operation a second time, after an
// answer that never came, does no harm: reads, keepAlive, DELETE (404 means
// done), mute and unmute (an end state). Graph documents no idempotency key,
// so a repeated create dials twice and a repeated prompt plays twice.
// CancelMediaProcessing is left out because it may hit newer prompts.
func (o Operation) Idempotent() bool {
	switch o {
	case GetCall, DeleteCall, ListParticipants, ListContentSharingSessions,
		GetContentSharingSession, KeepAlive, Mute, Unmute:
		return true
	default:
		return false
	}
}

// answer tells what a 2xx answer to the operation carries.
func (o Operation) answer() answer {
	switch o {
	case CreateCall, GetCall, GetContentSharingSession:
		return answerEntity
	case ListParticipants, ListContentSharingSessions:
		return answerCollection
	case Mute, Unmute, PlayPrompt, CancelMediaProcessing:
		return answerOperation
	default:
		return answerEmpty
	}
}

type answer int

const (
	answerEmpty      answer = iota // a body is ignored unless it is JSON
	answerEntity                   // a JSON object
	answerCollection               // a JSON object with an array named value
	answerOperation                // a JSON object, or nothing: the OpenAPI document says 204
)
