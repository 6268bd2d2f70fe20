package callbacks

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Graph's enumerations in the spelling of its schema; payloads and SDK logs
// also say "Established" and "Updated". For operationStatus the schema says
// "Completed" and every payload "completed": payloads win. "ringing" is on the
// page "call resource type" and not in the schema.
var (
	callStates = spellings("incoming", "establishing", "ringing", "established", "hold", "transferring",
		"transferAccepted", "redirecting", "terminating", "terminated")
	changeTypes       = spellings("created", "updated", "deleted")
	operationStatuses = spellings("notStarted", "running", "completed", "failed")
	directions        = spellings("incoming", "outgoing")
)

func spellings(words ...string) map[string]string {
	m := make(map[string]string, len(words))
	for _, w := range words {
		m[strings.ToLower(w)] = w
	}
	return m
}

// spell gives the word in the schema's spelling. One that the schema does not have is kept,
// in the schema's manner: the first letter small.
func spell(known map[string]string, word string) string {
	if w, ok := known[strings.ToLower(word)]; ok {
		return w
	}
	first, size := utf8.DecodeRuneInString(word)
	if size == 0 || first == utf8.RuneError {
		return word
	}
	return string(unicode.ToLower(first)) + word[size:]
}
