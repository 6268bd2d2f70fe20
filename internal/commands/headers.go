package commands

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Headers of journal records and of producers' messages.
const (
	HeaderAttempt       = "Callbus-Attempt"        // nonce of the delivery that wrote the record
	HeaderBody          = "Callbus-Body"           // identity of the command, see BodyHash
	HeaderPlace         = "Callbus-Place"          // id of the place command the call's name stands for
	HeaderReplyTo       = "Callbus-Reply-To"       // the command's replyTo, for whoever writes the final record
	HeaderClientContext = "Callbus-Client-Context" // what correlates Graph's operation with the command
	HeaderCall          = "Callbus-Call"           // what the registry needs of the command, see CallTerms
	HeaderCause         = "Callbus-Cause"          // why a message is a dead letter
	HeaderReplayOf      = "Callbus-Replay-Of"      // id of the command that this one is a replay of
	HeaderTraceParent   = "traceparent"            // W3C trace context, carried on
)

// ReplayOf reads the header of a message that says which command it repeats.
// The header is no part of the command's identity, and anyone may write it: what
// cannot be a commandId is passed over.
func ReplayOf(header map[string][]string) string {
	values := header[HeaderReplayOf]
	if len(values) == 0 || len(values[0]) > MaxID || !isToken(values[0]) {
		return ""
	}
	return values[0]
}

// BodyHash identifies a command: SHA-256 of action, newline, body bytes as
// received, in hex. The same id with another hash is another command.
func BodyHash(a Action, body []byte) string {
	h := sha256.New()
	h.Write([]byte(a))
	h.Write([]byte{'\n'})
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// NormalCallID makes Graph's call ids comparable: lower case, no dashes. Graph
// writes the same id as a GUID and as 32 capital hex digits (Microsoft Graph,
// call: playPrompt, notification samples).
func NormalCallID(id string) string {
	return strings.ToLower(strings.ReplaceAll(id, "-", ""))
}
