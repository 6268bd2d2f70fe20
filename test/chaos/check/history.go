// Package check holds what a chaos run left behind against the five promises.
// It believes nobody: it reads the streams, the queue and the simulated Graph's
// own record, and compares them with what was published.
package check

import (
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// History is everything that a run left behind.
type History struct {
	Commands  []Command             // in order of publication, per call
	Records   []Record              // of the results stream, in stream order
	Events    []Event               // of the events stream, in stream order
	Dead      []commands.DeadLetter // in stream order
	Queued    []string              // subjects of what is left in the queue
	Calls     []graphsim.Call       // the simulated Graph's record, without their requests
	Requests  []graphsim.Request    // what the simulated Graph was asked, in order of arrival
	Incidents []Incident            // what was done to the system
	Settings  Settings              // of the workers
}

// Settings are what the workers ran with. A zero one is a worker's default.
type Settings struct {
	// AckWait is the lease of a command, --ack-wait (15 s).
	AckWait time.Duration
	// GraphTimeout is how long a worker waits for an answer, --graph-timeout (10 s).
	// What Graph does with a request after that is not held against the worker.
	GraphTimeout time.Duration
	// ReconcileWait is the bounded wait before a second attempt, --reconcile-wait (90 s).
	ReconcileWait time.Duration
}

// Command is one command as it was published.
type Command struct {
	Key       commands.Key
	Action    commands.Action
	Body      []byte
	Seq       uint64    // of the publish acknowledgement; a lost one may have stored an earlier copy
	Published time.Time // when the publishing began
	Copies    int       // how often the very same was published, at least 1
	// Conflicts says that the id was published again with another body; the
	// second one is not in the list.
	Conflicts int
	// Invalid says that the body is wrong on purpose and must be rejected.
	Invalid bool
	// OnUnknownRetry allows a second attempt after the bounded wait.
	OnUnknownRetry bool
	// Turn says that a hang-up does not overtake ("wait": "turn").
	Turn bool
}

// Record is one stored record of the journal.
type Record struct {
	commands.Result
	Seq     uint64
	Stored  time.Time
	Attempt string // Callbus-Attempt
	Body    string // Callbus-Body, the identity of the command; empty: not checked
	// ExpectedLast and ExpectedSubject are the compare-and-swap it was written with.
	ExpectedLast    uint64
	ExpectedSubject string
}

// Event is one stored event.
type Event struct {
	commands.Event
	Seq    uint64
	Stored time.Time
	// MessageID is Nats-Msg-Id: "<Graph's message id>.<index>.<hash>"
	// of a notification.
	MessageID string
}

// Incident is one thing that was done to the system. Every kind but "faults",
// which the requests and notifications tell of themselves, and "term", which
// must do no harm, can explain an answer that was lost.
type Incident struct {
	Kind string // kill, pause, cut, freeze, delay, natsKill, natsTerm, faults, term
	// Target is "worker-1", "nats-2", ...: a worker by its name in results, and
	// "worker-1/graph" for its connections to Graph. "callbacks" is the way of the
	// notifications, which costs no worker an answer. Any other can hurt every worker.
	Target string
	Detail string
	From   time.Time
	To     time.Time // zero when it has no end
}
