package commands

import (
	"slices"
	"strings"
	"testing"
)

func TestExplainResult(t *testing.T) {
	tests := []struct {
		sentence      string
		code, subcode int
		reason        string
		class         Class
		normal, retry bool
		known         bool
	}{
		{"a busy phone", 486, 560486, "busy", ClassCallee, false, true, true},
		{"busy with an unknown subcode", 486, 1, "busy", ClassCallee, false, true, true},
		{"PSTN subcodes end in the SIP status", 480, 560486, "busy", ClassCallee, false, true, true},
		{"nobody answered", 487, 10004, "noAnswer", ClassCallee, false, true, true},
		{"everybody declined", 487, 10024, "declined", ClassCallee, false, true, true},
		{"the caller cancelled", 487, 0, "cancelled", ClassCallee, false, false, true},
		{"declined", 603, 0, "declined", ClassCallee, false, false, true},
		{"an ordinary end", 200, 5001, "ended", ClassGone, true, false, true},
		{"an ordinary end of the old form", 0, 0, "ended", ClassGone, true, false, true},
		{"an ordinary end with an unknown subcode", 200, 99999, "ended", ClassGone, true, false, true},
		{"7000 with 200: the bot hung up", 200, 7000, "ended", ClassGone, true, false, true},
		{"7000 with 500: a transfer failed", 500, 7000, "transferFailed", ClassCallee, false, true, true},
		{"a finished transfer", 0, 7015, "transferred", ClassGone, true, false, true},
		{"a finished transfer of the new form", 200, 7015, "transferred", ClassGone, true, false, true},
		{"a forgotten keepAlive", 408, 8537, "keepAliveTimeout", ClassGone, false, false, true},
		{"a cancelled prompt, by its subcode alone", 400, 8508, "mediaCancelled", ClassConflict, false, true, true},
		{"a prompt that could not be downloaded", 400, 8536, "mediaDownload", ClassInvalid, false, false, true},
		{"an offline callee", 480, 10077, "unreachable", ClassCallee, false, true, true},
		{"an unknown 4xx", 499, 1, "other", ClassCallee, false, false, false},
		{"an unknown 5xx", 555, 1, "other", ClassTransient, false, true, false},
		{"an unknown 6xx", 699, 1, "declined", ClassCallee, false, false, false},
		{"an unknown 2xx", 299, 1, "ended", ClassGone, true, false, false},
		{"nonsense", -5000, 1, "other", ClassInternal, false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			got := ExplainResult(tt.code, tt.subcode)
			if got.Reason != tt.reason || got.Class != tt.class || got.Normal != tt.normal || got.Retryable != tt.retry || got.Known != tt.known {
				t.Errorf("ExplainResult(%d, %d) = %+v; want %+v", tt.code, tt.subcode, got, tt)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	tests := []struct {
		code, reason string
		class        Class
		retry, known bool
	}{
		{"8529", "monthlyCalls", ClassQuota, true, true},
		{"8530", "liveCalls", ClassQuota, true, true},
		{"7505", "notPermitted", ClassConfiguration, false, true},
		{"8522", "callGone", ClassGone, false, true},
		{"8523", "badRequest", ClassInvalid, false, true},
		{"9999", "serviceError", ClassTransient, true, true},
		{"486", "busy", ClassCallee, true, true},
		{"480/10037", "unreachable", ClassCallee, true, true},
		{"486/7", "busy", ClassCallee, true, true},
		{"10037", "unreachable", ClassCallee, true, true},
		{"7000", "other", ClassInternal, false, false},
		{"toomanyrequests", "throttled", ClassThrottled, true, true},
		{"InvalidAuthenticationToken", "notPermitted", ClassConfiguration, false, true},
		{" callEnded ", "callEnded", ClassGone, false, true},
		{"endedUnseen", "unseen", ClassAmbiguous, false, true},
		{"4242424242", "other", ClassInternal, false, false},
		{"", "other", ClassInternal, false, false},
	}
	for _, tt := range tests {
		got := Explain(tt.code)
		if got.Reason != tt.reason || got.Class != tt.class || got.Retryable != tt.retry || got.Known != tt.known || got.Message == "" {
			t.Errorf("Explain(%q) = %+v; want %+v", tt.code, got, tt)
		}
	}
}

func TestTheTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range Explanations() {
		word := strings.ToLower(e.Code)
		if seen[word] {
			t.Errorf("two rows for %s", e.Code)
		}
		seen[word] = true
		if e.Reason == "" || e.Message == "" || e.Source == "" || !slices.Contains(Classes, e.Class) || !e.Known {
			t.Errorf("row %s = %+v; want reason, message, source and a known class", e.Code, e)
		}
		if e.Normal && e.Retryable {
			t.Errorf("row %s is a normal end and yet to be retried", e.Code)
		}
	}
	for _, cause := range Causes {
		if !seen[strings.ToLower(string(cause))] {
			t.Errorf("no row explains the cause %s", cause)
		}
	}
}
