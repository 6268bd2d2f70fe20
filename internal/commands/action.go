package commands

// Action is what a command asks for. The set is closed; see [Actions].
type Action string

// The thirteen actions, one for each kind of request of Calls.Initiate.All.
const (
	Place                      Action = "place"
	Hangup                     Action = "hangup"
	GetCall                    Action = "getCall"
	ListParticipants           Action = "listParticipants"
	ListContentSharingSessions Action = "listContentSharingSessions"
	GetContentSharingSession   Action = "getContentSharingSession"
	Mute                       Action = "mute"
	Unmute                     Action = "unmute"
	PlayPrompt                 Action = "playPrompt"
	CancelMediaProcessing      Action = "cancelMediaProcessing"
	Transfer                   Action = "transfer"
	Redirect                   Action = "redirect"
	KeepAlive                  Action = "keepAlive"
)

// Actions lists every action, in the order of the contract.
var Actions = []Action{
	Place, Hangup, GetCall, ListParticipants, ListContentSharingSessions, GetContentSharingSession,
	Mute, Unmute, PlayPrompt, CancelMediaProcessing, Transfer, Redirect, KeepAlive,
}

// Known tells whether a is one of the thirteen actions, spelled exactly.
func (a Action) Known() bool {
	for _, known := range Actions {
		if a == known {
			return true
		}
	}
	return false
}

// Read tells whether the action only reads, so that the journal needs no
// "started" record for it and a repetition changes nothing.
func (a Action) Read() bool {
	switch a {
	case GetCall, ListParticipants, ListContentSharingSessions, GetContentSharingSession:
		return true
	}
	return false
}

// Idempotent tells whether the request may be sent again after an answer was
// lost. The others are reconciled: a second place dials twice, a second prompt
// plays twice, a second transfer or redirect meets a call in another state.
func (a Action) Idempotent() bool {
	switch a {
	case Place, PlayPrompt, Transfer, Redirect:
		return false
	}
	return true
}

// Lane is one of the three queues that commands are fetched from, so that ten
// thousand queued calls never delay a hang-up.
type Lane string

// The three lanes.
const (
	LaneUrgent  Lane = "urgent"
	LaneControl Lane = "control"
	LanePlace   Lane = "place"
)

// Lanes lists the lanes, the most urgent first.
var Lanes = []Lane{LaneUrgent, LaneControl, LanePlace}

// Lane tells which lane carries the action.
func (a Action) Lane() Lane {
	switch a {
	case Place:
		return LanePlace
	case Hangup, Redirect, CancelMediaProcessing:
		return LaneUrgent
	}
	return LaneControl
}
