package graph

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// errorBody is what an error answer's body says.
type errorBody struct {
	code      string // of the calling service where there is one, else the gateway's
	message   string // redacted
	requestID string
	html      bool
}

// wireError holds the spellings of an error object that occur: the gateway's
// {code, message, innerError}, the calling service's {errorCode, message} inside
// a message, ASP.NET's {Message} and OAuth's error_description. Members are
// matched in any case.
type wireError struct {
	Error            json.RawMessage `json:"error"`
	Code             text            `json:"code"`
	ErrorCode        text            `json:"errorCode"`
	Message          text            `json:"message"`
	ErrorDescription text            `json:"error_description"`
	InnerError       json.RawMessage `json:"innerError"`
	RequestID        text            `json:"request-id"`
}

const (
	maxCode    = 64
	maxMessage = 512
	// maxNesting bounds errors within errors within messages.
	maxNesting = 5
)

// parseErrorBody reads the three shapes of error that the calls API answers,
// and makes something readable of whatever else comes.
func parseErrorBody(contentType string, body []byte) errorBody {
	body = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xef\xbb\xbf")))
	var out errorBody
	if !out.read(body, maxNesting) {
		out.html = strings.Contains(contentType, "html") || bytes.HasPrefix(body, []byte("<"))
		out.message = plainText(body)
	}
	out.code = cut(redact(out.code), maxCode)
	out.message = redact(out.message)
	return out
}

// read takes over what one object says and descends into what it wraps. It
// reports whether the text was a JSON object that says anything.
func (b *errorBody) read(data []byte, depth int) bool {
	if depth == 0 || len(data) == 0 || data[0] != '{' {
		return false
	}
	var w wireError
	if json.Unmarshal(data, &w) != nil {
		return false
	}
	said := b.take(firstOf(string(w.ErrorCode), string(w.Code)), string(w.Message), depth)
	if id := string(w.RequestID); id != "" && len(id) <= maxCode {
		b.requestID = firstOf(b.requestID, id)
	}
	if len(w.Error) > 0 {
		var code text
		if w.Error[0] == '{' {
			said = b.read(w.Error, depth-1) || said
		} else if json.Unmarshal(w.Error, &code) == nil && code != "" {
			said = b.take(string(code), string(w.ErrorDescription), depth) || said
		}
	}
	if len(w.InnerError) > 0 {
		b.readInner(w.InnerError, depth-1)
	}
	return said
}

// take keeps a code and a message, unwrapping the message if it is JSON.
func (b *errorBody) take(code, message string, depth int) bool {
	if code != "" && !isServiceCode(b.code) && (b.code == "" || isServiceCode(code)) {
		b.code = code
	}
	inner := strings.TrimSpace(message)
	if strings.HasPrefix(inner, "{") && b.read([]byte(inner), depth-1) {
		return true
	}
	if b.message == "" {
		b.message = inner
	}
	return code != "" || message != ""
}

// readInner takes the request id and a calling service code from an innerError.
// Its other codes repeat the HTTP status.
func (b *errorBody) readInner(data []byte, depth int) {
	if depth <= 0 {
		return
	}
	var w wireError
	if json.Unmarshal(data, &w) != nil {
		return
	}
	if id := string(w.RequestID); id != "" && len(id) <= maxCode {
		b.requestID = firstOf(b.requestID, id)
	}
	if code := firstOf(string(w.ErrorCode), string(w.Code)); isServiceCode(code) && !isServiceCode(b.code) {
		b.code = code
	}
	if len(w.InnerError) > 0 {
		b.readInner(w.InnerError, depth-1)
	}
}

// isServiceCode tells the calling service's decimal codes from textual ones
// and from HTTP statuses in disguise.
func isServiceCode(code string) bool {
	if len(code) < 4 || len(code) > 6 {
		return false
	}
	for _, r := range code {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

var (
	htmlTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	htmlTag   = regexp.MustCompile(`(?s)<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>`)
)

// plainText makes one readable line of a body that is no JSON object.
func plainText(body []byte) string {
	if len(body) > 8*maxMessage {
		body = body[:8*maxMessage]
	}
	if m := htmlTitle.FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return string(htmlTag.ReplaceAll(body, []byte(" ")))
}
