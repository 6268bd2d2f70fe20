package producer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"callbus/internal/commands"
)

// Expect is how a command is to end. An empty field expects nothing.
type Expect struct {
	Status commands.Status
	Code   string
	Class  commands.Class
	Reason string // of the error or, for want of one, of the result
}

// Match compares a command's last record with what was expected; the error
// says what differs.
func (e Expect) Match(r commands.Result) error {
	err := r.Error
	if err == nil {
		err = &commands.Error{}
	}
	reason := err.Reason
	if reason == "" {
		reason = r.Reason
	}
	var differs []string
	for _, part := range []struct{ what, got, want string }{
		{"status", string(r.Status), string(e.Status)},
		{"error.code", err.Code, e.Code},
		{"error.class", string(err.Class), string(e.Class)},
		{"error.reason", reason, e.Reason},
	} {
		if part.want != "" && part.got != part.want {
			got := part.got
			if got == "" {
				got = "absent"
			}
			differs = append(differs, fmt.Sprintf("%s is %s, expected %s", part.what, got, part.want))
		}
	}
	if len(differs) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(differs, "; "))
}

// Met is [Expect.Match] where no expectation means success.
func (e *Expect) Met(r commands.Result) error {
	if e == nil {
		return Expect{Status: commands.Succeeded}.Match(r)
	}
	return e.Match(r)
}

// parseExpect reads a status or an object; the members of its error may stand
// in "error", be written with a dot, or stand alone.
func parseExpect(value json.RawMessage, to **Expect) *LineError {
	e := &Expect{}
	if len(value) > 0 && value[0] == '"' {
		if problem := e.take("", "status", value); problem != nil {
			return problem
		}
		*to = e
		return nil
	}
	members, err := readObject(value)
	if err != nil {
		return &LineError{Problem: "neither a string nor an object", Allowed: `a status such as "failed", or {"status", "error": {"code", "class", "reason"}}`}
	}
	for _, m := range members {
		if m.name != "error" {
			if problem := e.take("."+m.name, strings.TrimPrefix(m.name, "error."), m.value); problem != nil {
				return problem
			}
			continue
		}
		inner, err := readObject(m.value)
		if err != nil {
			return &LineError{Member: ".error", Problem: "not an object", Allowed: `{"code", "class", "reason"}`}
		}
		for _, m := range inner {
			if m.name == "status" {
				return &LineError{Member: ".error.status", Problem: "unknown", Allowed: "code, class or reason"}
			}
			if problem := e.take(".error."+m.name, m.name, m.value); problem != nil {
				return problem
			}
		}
	}
	*to = e
	return nil
}

func (e *Expect) take(at, what string, value json.RawMessage) *LineError {
	var text string
	if json.Unmarshal(value, &text) != nil || value[0] != '"' {
		return &LineError{Member: at, Problem: "not a string: " + cut(string(value), 40), Allowed: "a string"}
	}
	switch what {
	case "status":
		e.Status = commands.Status(text)
		if !slices.Contains(commands.Statuses, e.Status) || !e.Status.Final() {
			return &LineError{Member: at, Problem: fmt.Sprintf("%q is no final status", cut(text, 40)), Allowed: "one of " + words(finalStatuses())}
		}
	case "class":
		e.Class = commands.Class(text)
		if !slices.Contains(commands.Classes, e.Class) {
			return &LineError{Member: at, Problem: fmt.Sprintf("%q is no class", cut(text, 40)), Allowed: "one of " + words(commands.Classes)}
		}
	case "code":
		e.Code = text
	case "reason":
		e.Reason = text
	default:
		return &LineError{Member: at, Problem: "unknown", Allowed: "status, error.code, error.class, error.reason"}
	}
	return nil
}

func finalStatuses() []commands.Status {
	return slices.DeleteFunc(slices.Clone(commands.Statuses), func(s commands.Status) bool { return !s.Final() })
}
