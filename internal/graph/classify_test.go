package graph

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestClassify(t *testing.T) {
	type row struct {
		name        string
		status      int
		header      []string
		body        string
		reason      Reason
		definite    bool
		code        string
		message     string // "" is not compared
		contentType string
	}
	plain := func(code, message string) string {
		return `{"error":{"code":` + quote(code) + `,"message":` + quote(message) + `,"innerError":{"date":"2020-07-06T23:05:11","request-id":"r"}}}`
	}
	wrapped := func(code, message string) string {
		return plain("UnknownError", `{"errorCode":`+quote(code)+`,"message":`+quote(message)+`,"instanceAnnotations":[]}`)
	}
	rows := []row{
		// Shape 1: textual codes of the gateway go by the status.
		{name: "bad request", status: 400, body: plain("BadRequest", "no"), reason: Invalid, definite: true, code: "BadRequest", message: "no"},
		{name: "token refused", status: 401, body: plain("InvalidAuthenticationToken", "expired"), reason: Unauthorized, definite: true, code: "InvalidAuthenticationToken"},
		{name: "forbidden", status: 403, body: plain("Forbidden", "no"), reason: Forbidden, definite: true, code: "Forbidden"},
		{name: "not found", status: 404, body: plain("ResourceNotFound", "no"), reason: NotFound, definite: true, code: "ResourceNotFound"},
		{name: "method not allowed", status: 405, body: plain("x", ""), reason: Invalid, definite: true, code: "x", message: "Method Not Allowed"},
		{name: "request timeout may have been executed", status: 408, body: plain("x", ""), reason: GatewayLost, code: "x"},
		{name: "conflict", status: 409, body: plain("Conflict", ""), reason: Conflict, definite: true, code: "Conflict"},
		{name: "gone", status: 410, reason: NotFound, definite: true},
		{name: "precondition", status: 412, reason: Conflict, definite: true},
		{name: "too large", status: 413, reason: Invalid, definite: true},
		{name: "unprocessable", status: 422, reason: Invalid, definite: true},
		{name: "locked", status: 423, reason: Conflict, definite: true},
		{name: "too many requests", status: 429, body: plain("TooManyRequests", "later"), reason: Throttled, definite: true, code: "TooManyRequests"},
		{name: "proxy wants credentials", status: 407, reason: Forbidden, definite: true},
		{name: "general exception may have been executed", status: 500, body: plain("generalException", "x"), reason: ServerError, code: "generalException"},
		{name: "bad gateway may have been executed", status: 502, reason: GatewayLost},
		{name: "gateway timeout may have been executed", status: 504, body: plain("UnknownError", ""), reason: GatewayLost, code: "UnknownError"},
		{name: "unavailable by Graph's own word", status: 503, body: plain("serviceNotAvailable", "later"), reason: Unavailable, definite: true, code: "serviceNotAvailable"},
		{name: "unavailable with Retry-After", status: 503, header: []string{"Retry-After", "1"}, reason: Unavailable, definite: true},
		{name: "a bare 503 proves nothing", status: 503, body: "upstream connect error", contentType: "text/plain", reason: Unavailable, message: "upstream connect error"},
		{name: "insufficient storage", status: 507, reason: ServerError},
		{name: "a redirect is not followed", status: 302, header: []string{"Location", "https://elsewhere/"}, reason: Unreadable},

		// Shape 2: numeric codes of the calling service.
		{name: "7500 delegated token", status: 401, body: plain("7500", "Unsupported AAD Identity"), reason: Forbidden, definite: true, code: "7500"},
		{name: "7501 invalid token on a 403", status: 403, body: plain("7501", "x"), reason: Unauthorized, definite: true, code: "7501"},
		{name: "7502", status: 401, body: plain("7502", "x"), reason: Forbidden, definite: true, code: "7502"},
		{name: "7503 not registered", status: 403, body: wrapped("7503", "Application is not registered in our store."), reason: Forbidden, definite: true, code: "7503", message: "Application is not registered in our store."},
		{name: "7504 from the documentation", status: 403, body: golden(t, "error.403-7504-insufficient-tenant-permissions.json"), reason: Forbidden, definite: true, code: "7504", message: "Insufficient enterprise tenant permissions, cannot access this API."},
		{name: "7505 on a 400", status: 400, body: plain("7505", "x"), reason: Forbidden, definite: true, code: "7505"},
		{name: "7506", status: 403, body: plain("7506", "x"), reason: Forbidden, definite: true, code: "7506"},
		{name: "7507 source is another app", status: 403, body: plain("7507", "x"), reason: Forbidden, definite: true, code: "7507"},
		{name: "8500", status: 400, body: plain("8500", "x"), reason: Invalid, definite: true, code: "8500"},
		{name: "8501 not established", status: 400, body: plain("8501", "x"), reason: NotReady, definite: true, code: "8501"},
		{name: "8503 audio inactive", status: 400, body: plain("8503", "x"), reason: NotReady, definite: true, code: "8503"},
		{name: "8585 wrong state", status: 400, body: plain("8585", "x"), reason: NotReady, definite: true, code: "8585"},
		{name: "8528 terminated", status: 400, body: plain("8528", "x"), reason: NotFound, definite: true, code: "8528"},
		{name: "8516 throttled on a 503", status: 503, body: plain("8516", "x"), reason: Throttled, definite: true, code: "8516"},
		{name: "8519 conflict", status: 409, body: plain("8519", "x"), reason: Conflict, definite: true, code: "8519"},
		{name: "8607 transfer running on a 400", status: 400, body: plain("8607", "x"), reason: Conflict, definite: true, code: "8607"},
		{name: "8583 precondition", status: 412, body: plain("8583", "x"), reason: Conflict, definite: true, code: "8583"},
		{name: "8520 not implemented", status: 405, body: plain("8520", "x"), reason: Invalid, definite: true, code: "8520"},
		{name: "8522 from the documentation", status: 404, body: golden(t, "error.404-8522-call-not-found.json"), reason: NotFound, definite: true, code: "8522", message: "Call not found."},
		{name: "8522 on a 400", status: 400, body: plain("8522", "x"), reason: NotFound, definite: true, code: "8522"},
		{name: "8523 invalid argument", status: 400, body: plain("8523", "x"), reason: Invalid, definite: true, code: "8523"},
		{name: "8530 live calls", status: 429, body: plain("8530", "x"), reason: LiveCalls, definite: true, code: "8530"},
		{name: "8530 on a 403", status: 403, body: plain("8530", "x"), reason: LiveCalls, definite: true, code: "8530"},
		{name: "8548 not a group call", status: 400, body: plain("8548", "x"), reason: Invalid, definite: true, code: "8548"},
		{name: "9999 fatal", status: 500, body: plain("9999", "Unkown internal Server Error."), reason: ServerError, code: "9999"},
		{name: "9999 on a 400 proves nothing", status: 400, body: plain("9999", "x"), reason: ServerError, code: "9999"},
		{name: "9002 timeout underneath", status: 500, body: plain("9002", "x"), reason: ServerError, code: "9002"},
		{name: "an unknown number goes by the status", status: 400, body: plain("8999", "x"), reason: Invalid, definite: true, code: "8999"},

		// Shape 3: wrapped in a message.
		{name: "8529 from the documentation", status: 429, body: golden(t, "error.429-8529-monthly-limit.json"), reason: MonthlyCalls, definite: true, code: "8529", message: "Application reached the monthly call creation limit."},
		{name: "8529 on a 403", status: 403, body: wrapped("8529", "x"), reason: MonthlyCalls, definite: true, code: "8529", message: "x"},
		{name: "throttled as documented", status: 429, body: golden(t, "error.429-throttled.json"), reason: Throttled, definite: true, code: "TooManyRequests", message: "Please retry again later."},
		{name: "a wrapped error in full", status: 404, body: plain("UnknownError", `{"error":{"code":8522,"message":"gone"}}`), reason: NotFound, definite: true, code: "8522", message: "gone"},
		{name: "other JSON in a message", status: 404, body: plain("UnknownError", `{"message":"No HTTP resource was found that matches the request URI 'https://pma.plat.skype.com/platform/v1?x=secret'"}`), reason: NotFound, definite: true, code: "UnknownError", message: "No HTTP resource was found that matches the request URI 'https://pma.plat.skype.com/platform/v1?***'"},
		{name: "a message that only looks like JSON", status: 400, body: plain("BadRequest", "{not json"), reason: Invalid, definite: true, code: "BadRequest", message: "{not json"},

		// Variations.
		{name: "a numeric code as a number", status: 404, body: `{"error":{"code":8522,"message":"x"}}`, reason: NotFound, definite: true, code: "8522"},
		{name: "errorCode as a number, wrapped", status: 429, body: plain("UnknownError", `{"errorCode":8529,"message":"x"}`), reason: MonthlyCalls, definite: true, code: "8529"},
		{name: "members in another case", status: 400, body: `{"Error":{"Code":"BadRequest","Message":"x","innererror":{"code":"8523","REQUEST-ID":"r"}}}`, reason: Invalid, definite: true, code: "8523", message: "x"},
		{name: "a status inside innerError is no code", status: 429, body: `{"error":{"code":"","message":"x","innerError":{"code":"429"}}}`, reason: Throttled, definite: true, code: ""},
		{name: "a code two innerErrors down", status: 400, body: `{"error":{"code":"BadRequest","message":"x","innerError":{"innererror":{"code":"8501"}}}}`, reason: NotReady, definite: true, code: "8501"},
		{name: "without the outer error", status: 429, body: `{"errorCode":"8530","message":"x"}`, reason: LiveCalls, definite: true, code: "8530"},
		{name: "an OAuth error", status: 400, body: `{"error":"invalid_request","error_description":"x"}`, reason: Invalid, definite: true, code: "invalid_request", message: "x"},
		{name: "ASP.NET's own", status: 500, body: `{"Message":"An error has occurred."}`, reason: ServerError, message: "An error has occurred."},
		{name: "members of unexpected types", status: 400, body: `{"error":{"code":["8529"],"message":{"a":1},"innerError":7}}`, reason: Invalid, definite: true, code: "", message: `{"error":{"code":["8529"],"message":{"a":1},"innerError":7}}`},
		{name: "a byte order mark", status: 404, body: "\xef\xbb\xbf" + plain("8522", "x"), reason: NotFound, definite: true, code: "8522"},
		{name: "null for an error", status: 400, body: `{"error":null}`, reason: Invalid, definite: true},
		{name: "an empty body", status: 400, reason: Invalid, definite: true, message: "Bad Request"},
		{name: "a page of HTML", status: 502, contentType: "text/html", body: "<html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>", reason: GatewayLost, message: "502 Bad Gateway"},
		{name: "HTML without a title", status: 403, body: "<p>Access <b>denied</b></p>", reason: Forbidden, definite: true, message: "Access denied"},
		{name: "a 404 page is not the end of a call", status: 404, contentType: "text/html", body: "<html><title>Not here</title></html>", reason: Unreadable, definite: true, message: "Not here"},
		{name: "a huge body that was cut", status: 500, body: `{"error":{"code":"x","message":"` + strings.Repeat("a", 1<<16), reason: ServerError},
		{name: "bytes that are no text", status: 500, body: "\xff\xfe\x00\x01", reason: ServerError},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Content-Type", firstOf(r.contentType, "application/json"))
			for i := 0; i+1 < len(r.header); i += 2 {
				h.Set(r.header[i], r.header[i+1])
			}
			e := classify(CreateCall, r.status, h, []byte(r.body))
			if e.Reason != r.reason || e.Definite() != r.definite || e.Code != r.code {
				t.Errorf("classify() = %s, definite %v, code %q (%s); want %s, %v, %q",
					e.Reason, e.Definite(), e.Code, e.Message, r.reason, r.definite, r.code)
			}
			if r.message != "" && e.Message != r.message {
				t.Errorf("Message = %q; want %q", e.Message, r.message)
			}
			if len(e.Message) > maxMessage || len(e.Code) > maxCode || !utf8.ValidString(e.Message) || strings.ContainsAny(e.Error(), "\r\n") {
				t.Errorf("Message = %q; want one valid line of at most %d bytes", e.Message, maxMessage)
			}
			if e.Status != r.status || e.Sent != Answered || e.Operation != CreateCall {
				t.Errorf("classify() = %+v", e)
			}
		})
	}
}

func TestClassifyFindsTheRequestID(t *testing.T) {
	body := `{"error":{"code":"x","message":"{\"innerError\":{\"request-id\":\"deep\"}}","innerError":{"request-id":"inner"}}}`
	for want, header := range map[string]http.Header{
		"header": {"Request-Id": {"header"}},
		"deep":   {},
	} {
		if got := classify(GetCall, 400, header, []byte(body)).RequestID; got != want && (want == "header" || got != "inner") {
			t.Errorf("RequestID = %q; want %q", got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, r := range []struct {
		name, value, date string
		want              time.Duration
		has               bool
	}{
		{"absent", "", "", 0, false},
		{"whole seconds", "120", "", 2 * time.Minute, true},
		{"an asked-for zero", "0", "", 0, true},
		{"a fraction", "2.128", "", 2128 * time.Millisecond, true},
		{"a negative number is zero", "-5", "", 0, true},
		{"spaces", " 7 ", "", 7 * time.Second, true},
		{"an HTTP date", date(90 * time.Second), "", 90 * time.Second, true},
		{"a date counts from the answer's own", date(time.Hour), date(time.Hour - 30*time.Second), 30 * time.Second, true},
		{"a past date is zero", date(-time.Hour), "", 0, true},
		{"garbage", "soon", "", 0, false},
		{"infinity", "Inf", "", 0, false},
		{"not a number", "NaN", "", 0, false},
		{"an exponent", "1e3", "", 0, false},
		{"two dots", "1.2.3", "", 0, false},
		{"absurdly long", "99999999999999999999", "", maxRetryAfter, true},
	} {
		t.Run(r.name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Retry-After", r.value)
			h.Set("Date", r.date)
			got, has := retryAfter(h, now)
			if got.Round(time.Millisecond) != r.want || has != r.has {
				t.Errorf("retryAfter(%q) = %v, %v; want %v, %v", r.value, got, has, r.want, r.has)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(429, golden(f, "error.429-8529-monthly-limit.json"))
	f.Add(404, golden(f, "error.404-8522-call-not-found.json"))
	f.Add(502, "<html>")
	f.Add(400, `{"error":{"code":"x","message":"{\"message\":\"{}\"}","innerError":{}}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		e := classify(CreateCall, status, http.Header{}, []byte(body))
		if e.Reason == "" || len(e.Message) > maxMessage || len(e.Code) > maxCode || strings.ContainsAny(e.Error(), "\r\n") {
			t.Errorf("classify(%d, %q) = %+v", status, body, e)
		}
	})
}

func TestErrorSaysItInOneLine(t *testing.T) {
	e := &Error{Reason: Throttled, Operation: CreateCall, Sent: Answered, Status: 429, Code: "8516", Message: "slow down", RequestID: "r1"}
	want := "graph createCall: throttled: HTTP 429 8516: slow down (request-id r1)"
	if diff := cmp.Diff(want, e.Error()); diff != "" {
		t.Error(diff)
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
