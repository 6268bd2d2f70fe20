package metrics

import "slices"

// Label values that every set knows besides its own.
const (
	other = "other" // a value outside the closed set
	none  = "none"  // no value: a command without an error, a request without an answer
)

// labelSet is a closed set of label values.
type labelSet struct {
	values []string
	known  map[string]bool
}

func newLabelSet(values ...string) labelSet {
	s := labelSet{known: make(map[string]bool, len(values))}
	for _, v := range values {
		if v == "" || s.known[v] {
			continue
		}
		s.known[v] = true
		s.values = append(s.values, v)
	}
	return s
}

// fold returns v when the set has it, "none" for the empty string and "other"
// for everything else.
func (s labelSet) fold(v string) string {
	switch {
	case v == "":
		return none
	case s.known[v]:
		return v
	}
	return other
}

// withOther lists the set's values and "other", for metrics where a value from
// outside is a fact about the world rather than a mistake of ours.
func (s labelSet) withOther() []string {
	if s.known[other] {
		return s.values
	}
	return append(slices.Clip(s.values), other)
}

// The vocabulary of the contract. A test in the parent folder holds these
// against the packages that own the words.
var (
	actions = newLabelSet("place", "hangup", "getCall", "listParticipants", "listContentSharingSessions",
		"getContentSharingSession", "mute", "unmute", "playPrompt", "cancelMediaProcessing", "transfer",
		"redirect", "keepAlive")
	classes = newLabelSet("invalid", "configuration", "refused", "callee", "gone", "conflict", "throttled",
		"quota", "transient", "ambiguous", "internal")
	lanes         = newLabelSet("urgent", "control", "place")
	pacingClasses = newLabelSet("place", "other")
	eventKinds    = newLabelSet("incoming", "state", "ended", "roster", "operation", "contentSharing", "keepAlive", "other")
	deadCauses    = newLabelSet("invalid", "unreadable", "tooLarge", "idConflict", "noSuchCall", "callLives",
		"callOwned", "tenantNotServed", "phoneNotAllowed", "unknown", "internal")
	// storeStreams are the streams and buckets that workers write to.
	storeStreams = newLabelSet("RESULTS", "EVENTS", "DEAD", "TIMERS", "CALLS", "GATES", "QUOTA")
	storeReasons = newLabelSet("full", "noRoom", "tooLarge", "missing")
	// endReasons is a closed part of an open set: what is added to that counts
	// as "other" until it is worth a line on a dashboard.
	endReasons = newLabelSet("ended", "transferred", "redirected", "busy", "noAnswer", "declined", "unreachable",
		"noRoute", "notPermitted", "blocked", "cancelled", "answeredElsewhere", "tooManyHops", "keepAliveTimeout",
		"limit", "media", "transferFailed", "redirectFailed", "badRequest", "notFound", "throttled", "serviceError",
		"callGone", "unseen", "orphan")
	// callStates are Graph's callState but "terminated", which is not live, and
	// "ringing", which is documented though absent from Graph's own schema.
	callStates = newLabelSet("incoming", "establishing", "ringing", "established", "hold", "transferring",
		"transferAccepted", "redirecting", "terminating")
)

// finalStatuses lists the statuses that end a command, each with the classes
// of error it is expected with.
var finalStatuses = []struct {
	status  string
	classes []string
}{
	{"succeeded", []string{none}},
	{"failed", classes.values},
	{"rejected", []string{"invalid", "configuration", "refused", "gone", "conflict", "quota"}},
	{"expired", []string{none, "throttled", "quota", "transient"}},
	{"cancelled", []string{none}},
	{"superseded", []string{none}},
	{"unknown", []string{"ambiguous"}},
}

var statuses = func() labelSet {
	var names []string
	for _, s := range finalStatuses {
		names = append(names, s.status)
	}
	return newLabelSet(names...)
}()
