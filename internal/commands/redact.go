package commands

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Masked stands where something about a person was.
const Masked = "***"

// personal finds, leftmost first and in this order at one place, what must not
// be shown of a text. Ids, times and codes are found so as to be kept: support
// asks for them, and they hold digits that look like a phone number. The client
// of Graph has the like of it for what Microsoft says; the two rooms know nothing
// of each other.
var personal = regexp.MustCompile(strings.Join([]string{
	`(?P<keep>\b[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\b|\bAADSTS\d{1,9}\b|\b[1-6]\d\d/\d{4,6}\b|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)`,
	`(?P<url>\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+)`,
	`(?P<named>(?i:\b(?:displayname|join_?token|passcode|password|token|secret|authorization))["']?\s*[:=]\s*(?:"[^"]*"?|'[^']*'?|[^\s"'&,;}]+))`,
	`(?P<email>[\w.+'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+)`,
	`(?P<phone>\+?\d(?:[ ().\-/]{0,2}\d){6,})`,
}, "|"))

// Redact takes out of a text for people what is about people: phone numbers,
// e-mail addresses and user principal names, secrets that are named, the query of
// URLs and the way into a meeting. GUIDs and times stay.
func Redact(text string) string {
	var out strings.Builder
	for text != "" {
		m := personal.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		out.WriteString(text[:m[0]])
		out.WriteString(masked(m, text[m[0]:m[1]]))
		text = text[m[1]:]
	}
	return out.String() + text
}

// masked is what stands for what was found.
func masked(match []int, found string) string {
	for i, name := range personal.SubexpNames() {
		switch {
		case name == "" || match[2*i] < 0:
		case name == "keep":
			return found
		case name == "url":
			return redactURL(found)
		case name == "named":
			return found[:strings.IndexAny(found, ":=")+1] + Masked
		}
	}
	return Masked
}

func redactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return Masked
	}
	out := u.Scheme + "://" + u.Host
	if path := strings.ToLower(u.Path); strings.Contains(path, "/meetup-join") || strings.HasPrefix(path, "/meet/") {
		return out + "/" + Masked
	}
	if out += u.EscapedPath(); u.RawQuery != "" {
		out += "?" + Masked
	}
	return out
}

// personalMembers are the members whose value is about a person or opens a
// door, in Microsoft Graph's spelling, in lower case.
var personalMembers = []string{
	"displayname", "givenname", "surname", "mail", "email", "userprincipalname", "upn", "mobilephone", "businessphones",
	"passcode", "jointoken", "joinurl", "joinweburl", "token", "password", "secret", "threadid",
}

func isPersonal(member string) bool {
	return slices.Contains(personalMembers, strings.ToLower(member))
}

// RedactJSON is [Redact] for a JSON text: member by member, so that ids are kept
// as they are and names go whatever they look like. A text that is not JSON comes
// back as a JSON string, redacted. Members keep their order.
func RedactJSON(text []byte) json.RawMessage {
	var out bytes.Buffer
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := redactValue(dec, &out, ""); err != nil || dec.More() {
		return quote(Redact(strings.ToValidUTF8(string(text), "?")))
	}
	return out.Bytes()
}

// redactValue copies one value; member is the name of the one it belongs to.
func redactValue(dec *json.Decoder, out *bytes.Buffer, member string) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		if text, ok := token.(string); ok {
			token = redactMember(member, text)
		}
		if _, ok := token.(json.Number); ok && isPersonal(member) {
			token = Masked
		}
		value, err := json.Marshal(token)
		out.Write(value)
		return err
	}
	out.WriteRune(rune(delim))
	for first := true; dec.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		name := member // the elements of a list are what the list is
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name = key.(string)
			out.Write(quote(name))
			out.WriteByte(':')
		}
		if err := redactValue(dec, out, name); err != nil {
			return err
		}
	}
	end, err := dec.Token()
	if err != nil {
		return err
	}
	out.WriteRune(rune(end.(json.Delim)))
	return nil
}

func redactMember(member, text string) string {
	switch {
	case isPersonal(member), looksDialled(text):
		return Masked
	case isToken(text) && strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' }):
		return text // an id of somebody's: digits and something else
	}
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return text
	}
	return Redact(text)
}

// Redacted is the record without what is about people, for a screen: data,
// metadata and Graph's own texts are taken through [Redact]. What callbus wrote
// itself, its error's message and hint, holds none.
func (r Result) Redacted() Result {
	if r.Data != nil {
		r.Data = RedactJSON(r.Data)
	}
	if r.Metadata != nil {
		clean := make(map[string]string, len(r.Metadata))
		for name, value := range r.Metadata {
			clean[name] = redactMember(name, value)
		}
		r.Metadata = clean
	}
	r.Operation = r.Operation.redacted()
	r.Error = r.Error.redacted()
	return r
}

// Redacted is the event without what is about people; see [Result.Redacted].
func (e Event) Redacted() Event {
	e.ResultInfo, e.Operation = e.ResultInfo.redacted(), e.Operation.redacted()
	if e.Raw != nil {
		e.Raw = RedactJSON(e.Raw)
	}
	if e.AnsweredBy != nil {
		e.AnsweredBy = RedactJSON(e.AnsweredBy)
	}
	return e
}

// Redacted is the letter without what is about people; see [Result.Redacted].
// The original is then for reading and not for publishing; one that is not text
// is left out.
func (d DeadLetter) Redacted() DeadLetter {
	d.Error = d.Error.redacted()
	ledger := make([]Result, len(d.Ledger))
	for i, r := range d.Ledger {
		ledger[i] = r.Redacted()
	}
	d.Ledger = ledger
	headers := make(map[string][]string, len(d.Headers))
	for name, values := range d.Headers {
		for _, value := range values {
			headers[name] = append(headers[name], redactMember(name, value))
		}
	}
	d.Headers = headers
	switch {
	case d.OriginalEncoding != "":
		d.Original, d.OriginalEncoding = Masked, ""
	case json.Valid([]byte(d.Original)):
		d.Original = string(RedactJSON([]byte(d.Original)))
	default:
		d.Original = Redact(d.Original)
	}
	return d
}

func (e *Error) redacted() *Error {
	if e == nil {
		return nil
	}
	clean := *e
	clean.ResultInfo = clean.ResultInfo.redacted()
	return &clean
}

func (i *ResultInfo) redacted() *ResultInfo {
	if i == nil {
		return nil
	}
	clean := *i
	clean.Message = Redact(clean.Message)
	return &clean
}

func (o *Operation) redacted() *Operation {
	if o == nil {
		return nil
	}
	clean := *o
	clean.ResultInfo = clean.ResultInfo.redacted()
	return &clean
}
