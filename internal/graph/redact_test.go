package graph

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// leaks are the secrets that no error may show, each in a sentence.
var leaks = []struct{ secret, sentence string }{
	{"+12345678901", "Phone +12345678901 is not allowed"},
	{"030 1234567", "call to 030 1234567 failed"},
	{"(425) 555-0100", "number (425) 555-0100 is busy"},
	{"4912345678", "tel:4912345678 unreachable"},
	{"555010099", "the digits are 555010099."},
	{"john.doe@contoso.com", "User john.doe@contoso.com not found"},
	{"19:meeting_abc@thread.v2", "thread 19:meeting_abc@thread.v2 is gone"},
	{"sig=abcdef", "cannot fetch https://cdn.contoso.com/beep.wav?sv=1&sig=abcdef today"},
	{"user:pass", "proxy http://user:pass@proxy.contoso.com refused"},
	{"meeting_NTk", "bad link https://teams.microsoft.com/l/meetup-join/19%3ameeting_NTk%40thread.v2/0?context=%7b%22Tid%22%7d"},
	{"eyJ0eXAiOiJKV1Qi", "token eyJ0eXAiOiJKV1Qi.eyJhdWQiOiJodHRwczovL2dyYXBo.c2lnbmF0dXJl refused"},
	{"abc123def456", "header was Bearer abc123def456"},
	{"hunter2", `form client_secret=hunter2&scope=x`},
	{"771177", `{"passcode": "771177"}`},
	{"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2", "join token QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2 is bad"},
	{"+491701234567", "see https://bot.contoso.com/calls/+491701234567/x"},
}

func TestNoErrorLeaksASecret(t *testing.T) {
	for _, l := range leaks {
		if !strings.Contains(l.sentence, l.secret) {
			t.Fatalf("%q does not hold %q", l.sentence, l.secret)
		}
		body := `{"error":{"code":"UnknownError","message":` + quote(l.sentence) + `}}`
		wrapped := `{"error":{"code":"UnknownError","message":` + quote(`{"errorCode":"8523","message":`+quote(l.sentence)+`}`) + `}}`
		for shape, text := range map[string]string{
			"plain":       classify(CreateCall, 400, http.Header{}, []byte(body)).Error(),
			"wrapped":     classify(CreateCall, 400, http.Header{}, []byte(wrapped)).Error(),
			"html":        classify(CreateCall, 400, http.Header{}, []byte("<p>"+l.sentence+"</p>")).Error(),
			"code":        classify(CreateCall, 400, http.Header{}, []byte(`{"error":{"code":`+quote(l.sentence)+`}}`)).Error(),
			"late":        classify(CreateCall, 400, http.Header{}, []byte(strings.Repeat("x ", 240)+l.sentence)).Error(),
			"cause":       (&Error{Reason: ConnectFailed, Err: errors.New(l.sentence)}).Error(),
			"token error": newTokenError(errors.New(l.sentence)).Error(),
		} {
			assertNoSecret(t, shape, text, l.secret)
		}
	}
}

// assertNoSecret looks for a secret and for its first half.
func assertNoSecret(t testing.TB, where, text, secret string) {
	t.Helper()
	if strings.Contains(text, secret) || strings.Contains(text, secret[:(len(secret)+1)/2+1]) {
		t.Errorf("%s: %q leaks %q", where, text, secret)
	}
}

func TestRedactKeepsWhatSupportNeeds(t *testing.T) {
	for _, s := range []string{
		"Call 2e1a0b00-2db4-4022-9570-243709c565ab not found.",
		"AADSTS7000215: Invalid client secret provided.",
		"DiagCode: 400#2203",
		"GET https://graph.microsoft.com/v1.0/communications/calls/2e1a0b00-2db4-4022-9570-243709c565ab/participants",
		"Action failed, the operation was cancelled (8508).",
		"dial tcp 127.0.0.1:443: connect: connection refused",
	} {
		if got := redact(s); got != s {
			t.Errorf("redact(%q) = %q; want it unchanged", s, got)
		}
	}
}
