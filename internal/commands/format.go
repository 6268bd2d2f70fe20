package commands

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// isToken tells whether s is made of [A-Za-z0-9_-] alone.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

// tokenProblem holds a name to the alphabet of ids; reserved names, which
// begin with "_", are refused. It returns "" when nothing is wrong.
func tokenProblem(s string, max int) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > max:
		return fmt.Sprintf("has %d characters", len(s))
	case !isToken(s):
		return "has other characters"
	case s[0] == '_':
		return `begins with "_", which is reserved`
	}
	return ""
}

func tokenWant(max int) string {
	return fmt.Sprintf(`1 to %d of A-Z a-z 0-9 _ -, not beginning with "_"`, max)
}

// CheckProducer says in one line what is wrong with a producer's name, nil
// when it may be used.
func CheckProducer(s string) error { return checkToken("producer", s, MaxProducer) }

// CheckCallRef says what is wrong with a callRef, nil when it may be used.
func CheckCallRef(s string) error { return checkToken("callRef", s, MaxCallRef) }

// CheckID says what is wrong with a command's id, nil when it may be used.
func CheckID(s string) error { return checkToken("id", s, MaxID) }

func checkToken(member, s string, max int) error {
	if problem := tokenProblem(s, max); problem != "" {
		return &DecodeError{Member: member, Problem: problem, Allowed: tokenWant(max)}
	}
	return nil
}

// callIDProblem: Graph's call ids are GUIDs or 32 hex digits, but opaque; what
// becomes part of URLs, keys and subjects keeps to their alphabet.
func callIDProblem(s string) string {
	if !isToken(s) {
		return "has characters that no call id has"
	}
	return ""
}

// tenantProblem: a tenant is a GUID or one of its verified domain names.
func tenantProblem(s string) string {
	for part := range strings.SplitSeq(s, ".") {
		if !isToken(part) {
			return "has characters that no tenant has"
		}
	}
	return ""
}

// segmentProblem: opaque ids that become one segment of a URL.
func segmentProblem(s string) string {
	if s == "." || s == ".." || strings.ContainsAny(s, `/\?#%`) || strings.ContainsFunc(s, notGraphic) {
		return "has characters that no id has"
	}
	return ""
}

func notGraphic(r rune) bool { return r <= ' ' || r > '~' }

// urlProblem never repeats the URL: its query may be a secret.
func urlProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, notGraphic):
		return "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "is not an http URL"
	case u.Hostname() == "":
		return "names no host"
	}
	return ""
}

// IsPhone tells whether s is an E.164 number: "+" and 7 to 15 digits, the
// first of which is not 0 (Microsoft Graph, Create call, example 9).
func IsPhone(s string) bool {
	digits, ok := strings.CutPrefix(s, "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// parseTime reads RFC 3339 strictly; times before 1970 are mistakes, and the
// zero time would read as "not given".
func parseTime(s string) (time.Time, bool) {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil || t.Unix() < 0 {
		return time.Time{}, false
	}
	return t.UTC(), true
}

func timeProblem(s string) string {
	if _, ok := parseTime(s); !ok {
		return "is " + show(s)
	}
	return ""
}
