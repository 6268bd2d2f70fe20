package producer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"callbus/internal/commands"
)

// The kinds of placeholders.
const (
	PlaceholderCallID         = "callId"                // the Graph call id of another call of the file
	PlaceholderContentSharing = "contentSharingSession" // the id of a content sharing session in it
)

// Placeholder stands in a demo's line for something only the run makes known:
// the string "$callId:<callRef>" or "$contentSharingSession:<callRef>" as callId
// or anywhere in parameters.
type Placeholder struct {
	Kind, CallRef string
}

func (p Placeholder) String() string { return "$" + p.Kind + ":" + p.CallRef }

// Placeholders lists those of the line, each once, in the order they stand.
func (l Line) Placeholders() []Placeholder {
	var found []Placeholder
	_, _ = l.Resolve(func(p Placeholder) (string, error) {
		if !slices.Contains(found, p) {
			found = append(found, p)
		}
		return "", nil
	})
	return found
}

// Resolve puts the values in the places of the line's placeholders and leaves
// every other byte as it is. The first error of value ends it.
func (l Line) Resolve(value func(Placeholder) (string, error)) (Line, error) {
	resolved := slices.Clone(l.body)
	for i, m := range resolved {
		if m.name != "parameters" && m.name != "callId" {
			continue
		}
		text, err := replaceStrings(m.value, func(s string) (string, bool, error) {
			p, ok := placeholder(s)
			if !ok {
				return "", false, nil
			}
			v, err := value(p)
			return v, true, err
		})
		if err != nil {
			return l, fmt.Errorf("line %d: %s: %w", l.Number, m.name, err)
		}
		resolved[i].value = text
	}
	l.body = resolved
	l.ID = BodyID(l.Body())
	return l, nil
}

// checkPlaceholders refuses those that name no call, and all of them outside
// of the demo.
func (l Line) checkPlaceholders(demo bool) error {
	for _, p := range l.Placeholders() {
		if !demo {
			return &LineError{Line: l.Number, Problem: fmt.Sprintf("placeholder %q is only for the demo", cut(p.String(), 60)), Allowed: "the value itself"}
		}
		if commands.CheckCallRef(p.CallRef) != nil {
			return &LineError{Line: l.Number, Problem: fmt.Sprintf("placeholder %q names no call", cut(p.String(), 60)), Allowed: "$" + p.Kind + ":<callRef>"}
		}
	}
	return nil
}

func placeholder(s string) (Placeholder, bool) {
	for _, kind := range []string{PlaceholderCallID, PlaceholderContentSharing} {
		if callRef, ok := strings.CutPrefix(s, "$"+kind+":"); ok {
			return Placeholder{Kind: kind, CallRef: callRef}, true
		}
	}
	return Placeholder{}, false
}

// replaceStrings goes through the string values of a JSON text, member names
// excepted, and replaces those that replace says.
func replaceStrings(text json.RawMessage, replace func(string) (string, bool, error)) (json.RawMessage, error) {
	var out bytes.Buffer
	rest := []byte(text)
	for {
		start := bytes.IndexByte(rest, '"')
		if start < 0 {
			out.Write(rest)
			return out.Bytes(), nil
		}
		out.Write(rest[:start])
		rest = rest[start:]
		end := stringEnd(rest)
		token := rest[:end]
		rest = rest[end:]
		isName := bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":"))
		var s string
		if isName || json.Unmarshal(token, &s) != nil {
			out.Write(token)
			continue
		}
		value, found, err := replace(s)
		if err != nil {
			return nil, err
		}
		if found {
			token = quoted(value)
		}
		out.Write(token)
	}
}

// stringEnd is the length of the JSON string that text begins with.
func stringEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
