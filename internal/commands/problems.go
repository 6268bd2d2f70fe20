package commands

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DecodeError is one thing wrong with a command. Its message is one line,
// safe for logs and dead letters: values in it are cut to 32 characters, and
// neither phone numbers nor names are repeated.
type DecodeError struct {
	// Member is the path of the member, e.g. "parameters.targets[0].identity",
	// or "body", "producer", "callRef", "action" for what is no member.
	Member string
	// Problem says what is wrong, e.g. "has 26 entries".
	Problem string
	// Allowed says what is right, e.g. "1 to 25"; empty when nothing is.
	Allowed string

	cause Cause // empty: CauseInvalid
}

// Error is member, problem and what is allowed, in one line.
func (e *DecodeError) Error() string {
	if e.Allowed == "" {
		return e.Member + " " + e.Problem
	}
	return e.Member + " " + e.Problem + ": want " + e.Allowed
}

// DecodeErrors is everything wrong with a command, in the order of reading.
// It unwraps to its parts: errors.AsType[*DecodeError] finds the first.
type DecodeErrors []*DecodeError

// shownProblems is how many problems a message lists; the rest are counted.
const shownProblems = 5

// Error joins the first five problems in one line and counts the others.
func (e DecodeErrors) Error() string {
	lines := make([]string, 0, shownProblems+1)
	for i, problem := range e {
		if i == shownProblems {
			lines = append(lines, fmt.Sprintf("and %d more", len(e)-i))
			break
		}
		lines = append(lines, problem.Error())
	}
	return strings.Join(lines, "; ")
}

// Unwrap gives the single problems to errors.Is and errors.As.
func (e DecodeErrors) Unwrap() []error {
	parts := make([]error, len(e))
	for i, problem := range e {
		parts[i] = problem
	}
	return parts
}

// Cause is why the command is a dead letter: [CauseTooLarge],
// [CauseUnreadable] or [CauseInvalid].
func (e DecodeErrors) Cause() Cause {
	cause := CauseInvalid
	for _, problem := range e {
		switch problem.cause {
		case CauseTooLarge:
			return CauseTooLarge
		case CauseUnreadable:
			cause = CauseUnreadable
		}
	}
	return cause
}

// Outcome is the error of the command's rejected result.
func (e DecodeErrors) Outcome() *Error {
	cause := string(e.Cause())
	return &Error{Class: ClassInvalid, Reason: cause, Code: cause, Message: e.Error(), Hint: Explain(cause).Hint}
}

// problems collects what is wrong while a command is read.
type problems struct {
	list DecodeErrors
}

func (p *problems) add(member, problem, allowed string) {
	p.list = append(p.list, &DecodeError{Member: member, Problem: problem, Allowed: allowed})
}

func (p *problems) addCause(cause Cause, member, problem, allowed string) {
	p.list = append(p.list, &DecodeError{Member: member, Problem: problem, Allowed: allowed, cause: cause})
}

// maxShown is how many characters of a stranger's value a message repeats.
const maxShown = 32

// show quotes a stranger's value for a message: cut, on one line, and with
// its digits masked when there are enough of them to be a phone number.
func show(s string) string {
	return `"` + showName(s) + `"`
}

func showName(s string) string {
	cut := s
	if utf8.RuneCountInString(s) > maxShown {
		cut = string([]rune(s)[:maxShown]) + "…"
	}
	digits := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return strings.Map(func(r rune) rune {
		switch {
		case digits >= 7 && unicode.IsDigit(r):
			return '#'
		case !unicode.IsPrint(r) || r == '"':
			return '?'
		}
		return r
	}, cut)
}
