package graph

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secrets finds, leftmost first and in this order at one place, what must not
// reach a log. GUIDs and Entra ID's error numbers are found so as to be kept:
// support asks for them, and they hold digits that look like a phone number.
var secrets = regexp.MustCompile(strings.Join([]string{
	`(?P<keep>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\bAADSTS\d{1,9}\b)`,
	`(?P<url>\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+)`,
	`(?P<bearer>(?i:\bbearer)\s+[A-Za-z0-9._~+/=-]{8,})`,
	`(?P<named>(?i:\b(?:client_secret|client_assertion|access_token|refresh_token|join_?token|passcode|password|token|secret|sig|authorization))["']?\s*[:=]\s*["']?[^\s"'&,;}]+)`,
	`(?P<email>[\w.+'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+)`,
	`(?P<opaque>\b[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]*|[A-Za-z0-9_-]{40,}=*|[A-Za-z0-9+/]{60,}=*)`,
	`(?P<phone>\+?\d(?:[ ().\-/]{0,2}\d){6,})`,
}, "|"))

// redact makes a message fit for logs and results: one line of at most 512
// bytes without phone numbers, e-mail addresses and user principal names,
// query strings, bearer tokens and join tokens.
func redact(s string) string {
	// Cutting first bounds the work; what a cut leaves of a secret is still one.
	return cut(maskAll(oneLine(cut(s, 4*maxMessage))), maxMessage)
}

func maskAll(s string) string {
	var b strings.Builder
	for s != "" {
		m := secrets.FindStringSubmatchIndex(s)
		if m == nil {
			break
		}
		b.WriteString(s[:m[0]])
		b.WriteString(mask(kindOf(m), s[m[0]:m[1]]))
		s = s[m[1]:]
	}
	return b.String() + s
}

func kindOf(m []int) string {
	names := secrets.SubexpNames()
	for i := 1; i < len(names); i++ {
		if names[i] != "" && m[2*i] >= 0 {
			return names[i]
		}
	}
	return ""
}

func mask(kind, found string) string {
	switch kind {
	case "keep":
		return found
	case "url":
		return maskURL(found)
	case "named":
		i := strings.IndexAny(found, ":=")
		return found[:i+1] + "***"
	case "bearer":
		return "Bearer ***"
	default:
		return "***"
	}
}

// maskURL keeps where a URL points to and drops user info, query and fragment.
// The path of a meeting link is the way into the meeting and goes too.
func maskURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "***"
	}
	out := u.Scheme + "://" + u.Host
	if path := strings.ToLower(u.Path); strings.Contains(path, "/meetup-join") || strings.HasPrefix(path, "/meet/") {
		return out + "/***"
	}
	out += maskAll(u.EscapedPath())
	if u.RawQuery != "" {
		out += "?***"
	}
	return out
}

// oneLine collapses white space and drops control characters.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const dots = "…"
	for n -= len(dots); n > 0 && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n] + dots
}
