package commands

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRedact(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a number", "call +49 (30) 1234-5678 back", "call *** back"},
		{"a number without plus", "tel 0301234567", "tel ***"},
		{"an address", "user anna.schmidt@contoso.com is away", "user *** is away"},
		{"an escaped address", "anna%40contoso.com", "***"},
		{"the query of a URL", "at https://cdn.contoso.com/a.wav?sig=abc&x=1 now", "at https://cdn.contoso.com/a.wav?*** now"},
		{"the way into a meeting", "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x", "https://teams.microsoft.com/***"},
		{"a name in a JSON text that was cut", `{"displayName":"Anna Schmidt","targets":[{"i`, `{"displayName":***,"targets":[{"i`},
		{"a passcode", "passcode: 4711 is wrong", "passcode:*** is wrong"},
		{"an id stays", "call a372053c-0b7f-4f53-a4b6-25b95cb3d9e5", "call a372053c-0b7f-4f53-a4b6-25b95cb3d9e5"},
		{"an id without dashes stays", "57DAB8B1894C409AB240BD8BEAE78896", "57DAB8B1894C409AB240BD8BEAE78896"},
		{"a time stays", "until 2026-11-23T10:00:00.123Z", "until 2026-11-23T10:00:00.123Z"},
		{"a code stays", "AADSTS7000215 486/560486", "AADSTS7000215 486/560486"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Redact(tt.text); got != tt.want {
				t.Errorf("Redact(%q) = %q; want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestRedactJSON(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"names go, ids stay", `{"id":"p-20261123001","targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001","displayName":"Anna"}}}]}`,
			`{"id":"p-20261123001","targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001","displayName":"***"}}}]}`},
		{"numbers go, however they are spelled", `[{"phone":{"id":"+12345678001"}},{"id":"tel:030"},{"id":"4:+1234"},"0301234567"]`,
			`[{"phone":{"id":"***"}},{"id":"***"},{"id":"***"},"***"]`},
		{"what lets one into a meeting goes", `{"joinMeetingId":"12345678901","passcode":4711,"joinToken":"a"}`, `{"joinMeetingId":"***","passcode":"***","joinToken":"***"}`},
		{"members keep their order, numbers their spelling", `{"b":1.50,"a":[true,null,{}],"c":[]}`, `{"b":1.50,"a":[true,null,{}],"c":[]}`},
		{"times stay", `{"expiresAt":"2026-11-23T10:00:00Z"}`, `{"expiresAt":"2026-11-23T10:00:00Z"}`},
		{"a list of numbers under a name", `{"businessPhones":["a","b"]}`, `{"businessPhones":["***","***"]}`},
		{"no JSON", `call +49301234567`, `"call ***"`},
		{"two values", `{} {"phone":"+49301234567"}`, `"{} {\"phone\":\"***\"}"`},
		{"half of one", `{"displayName":"Anna`, `"{\"displayName\":***"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := RedactJSON([]byte(tt.text))
			if string(got) != tt.want {
				t.Errorf("RedactJSON(%s) = %s; want %s", tt.text, got, tt.want)
			}
			if !json.Valid(got) {
				t.Errorf("RedactJSON(%s) = %s; want JSON", tt.text, got)
			}
		})
	}
}

// Nothing of a person is left wherever in a record it may stand, and the record
// that was asked keeps what it had.
func TestRedactedRecordsHoldNobody(t *testing.T) {
	const number, name = "+49301234567", "Anna"
	person := json.RawMessage(`{"displayName":"` + name + `","id":"` + number + `"}`)
	info := &ResultInfo{Message: "from " + number}
	result := Result{CallRef: "r", Time: time.Unix(0, 0), Data: person, Metadata: map[string]string{"from": number}, Operation: &Operation{ResultInfo: info}, Error: &Error{ResultInfo: info}}
	event := Event{CallRef: "r", Raw: person, AnsweredBy: person, ResultInfo: info, Operation: &Operation{ResultInfo: info}}
	letters := []DeadLetter{
		{CallRef: "r", Original: string(person), Ledger: []Result{result}},
		{CallRef: "r", Original: "call " + number + ` "displayName":"Anna`},
		{CallRef: "r", Original: "QW5uYQ==", OriginalEncoding: base64Encoding},
	}
	before, _ := json.Marshal([]any{result, event, letters})
	after, err := json.Marshal([]any{result.Redacted(), event.Redacted(), letters[0].Redacted(), letters[1].Redacted(), letters[2].Redacted()})
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{number, name, "QW5uYQ"} {
		if strings.Contains(string(after), what) {
			t.Errorf("%s is left in %s", what, after)
		}
	}
	if untouched, _ := json.Marshal([]any{result, event, letters}); !cmp.Equal(before, untouched) {
		t.Errorf("redacting changed the record itself: %s", untouched)
	}
}
