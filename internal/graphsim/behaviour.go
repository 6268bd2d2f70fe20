package graphsim

import "strings"

// Behaviour is what a callee does, chosen by the end of its id or number.
type Behaviour struct {
	Suffix string
	Means  string
	end    *callEnd // nil: it answers
	phone  *callEnd // the end of a telephone call, where that differs
	rings  bool     // the end comes after RingTimeout instead of AnswerAfter
	atOnce bool     // the end comes at once
	shares bool
	leaves bool
	silent bool // its audio never becomes active
	brief  bool // leaves before its audio becomes active
}

type callEnd struct {
	code, subcode int
	message       string
}

// Behaviours lists the endings that mean something; every other id answers.
var Behaviours = []Behaviour{
	{Suffix: "486", Means: "busy: terminated 486/560486 (phone) or 486/0",
		end: &callEnd{486, 0, "Busy here."}, phone: &callEnd{486, 560486, "Called party is busy."}},
	{Suffix: "603", Means: "declines: terminated 603/0 (phone) or 487/10024",
		end: &callEnd{487, 10024, "Call was declined by all endpoints."}, phone: &callEnd{603, 0, "Call was declined."}},
	{Suffix: "487", Means: "does not answer: terminated 487/10004 after the ring timeout",
		end: &callEnd{487, 10004, "Call was not answered in time."}, rings: true},
	{Suffix: "480", Means: "unreachable: terminated 480/10037",
		end: &callEnd{480, 10037, "No callee endpoints were found."}, atOnce: true},
	{Suffix: "500", Means: "media failure: terminated 500/1005",
		end: &callEnd{500, 1005, "Media connectivity to the bot failed."}},
	{Suffix: "777", Means: "answers, then starts to share content", shares: true},
	{Suffix: "333", Means: "answers, then hangs up after a short time", leaves: true},
	{Suffix: "408", Means: "answers, and its audio never becomes active", silent: true},
	{Suffix: "444", Means: "answers and hangs up at once, before its audio becomes active", leaves: true, brief: true},
	{Suffix: "660", Means: "voicemail answers; nothing else differs"},
}

func behaviourOf(id string) Behaviour {
	for _, b := range Behaviours {
		if strings.HasSuffix(id, b.Suffix) {
			return b
		}
	}
	return Behaviour{}
}

func (b Behaviour) answers() bool { return b.end == nil }

// ending is how a call to such a callee ends unanswered.
func (b Behaviour) ending(phone bool) *ResultInfo {
	end := b.end
	if phone && b.phone != nil {
		end = b.phone
	}
	return &ResultInfo{Code: end.code, Subcode: end.subcode, Message: end.message}
}

// identityKinds are the members of an identity set, the declared ones first.
// The others are dynamic: without "@odata.type" Graph cannot bind them.
var (
	declaredKinds = []string{"user", "application", "device"}
	dynamicKinds  = []string{"phone", "applicationInstance", "guest", "encrypted", "onPremises", "azureCommunicationServicesUser", "assertedIdentity"}
)

// identityOf reads the first identity of a participant's identity set.
func identityOf(participant object) (kind string, identity object) {
	set, _ := participant["identity"].(object)
	for _, kinds := range [][]string{dynamicKinds, declaredKinds} {
		for _, kind := range kinds {
			if identity, ok := set[kind].(object); ok {
				return kind, identity
			}
		}
	}
	return "", nil
}

// identityID is the id of identityOf.
func identityID(participant object) string {
	_, identity := identityOf(participant)
	id, _ := identity["id"].(string)
	return id
}

func isPhone(participant object) bool {
	kind, _ := identityOf(participant)
	return kind == "phone"
}
