package graph

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCall(t *testing.T) {
	yes, no := true, false
	for _, row := range []struct {
		name, body string
		want       Call
	}{
		{"an established call from the documentation", golden(t, "call-get.1.response.json"), Call{
			ID: "2e1a0b00-2db4-4022-9570-243709c565ab", State: "established", Direction: "outgoing",
			CallbackURI: "https://bot.contoso.com/callback", MyParticipantID: "499ff390-7a72-40e8-83a0-8fac6295ae7e"}},
		{"a new PSTN call from the documentation", golden(t, "application-post-calls.9.response.json"), Call{
			ID: "2e1a0b00-2db4-4022-9570-243709c565ab", State: "establishing", Direction: "outgoing",
			CallChainID: "d8217646-3110-40b1-bae6-e9ac6c3a9f74", TenantID: "aa67bd4c-8475-432d-bd41-39f255720e0a",
			CallbackURI: "https://bot.contoso.com/callback", MyParticipantID: "499ff390-7a72-40e8-83a0-8fac6295ae7e"}},
		{"enums in another case", `{"state":"TransferAccepted","direction":"Incoming","mediaState":{"audio":"Active"}}`,
			Call{State: "transferAccepted", Direction: "incoming", AudioActive: &yes}},
		{"members in another case", `{"ID":"c1","State":"terminated","resultInfo":{"Code":"487","subCode":"10004","message":"m"}}`,
			Call{ID: "c1", State: "terminated", ResultInfo: &ResultInfo{487, 10004, "m"}}},
		{"codes as numbers", `{"resultInfo":{"code":500,"subcode":7000}}`, Call{ResultInfo: &ResultInfo{Code: 500, Subcode: 7000}}},
		{"codes as fractions and null", `{"resultInfo":{"code":200.0,"subcode":null}}`, Call{ResultInfo: &ResultInfo{Code: 200}}},
		{"a state that is new to us", `{"state":"levitating"}`, Call{State: "levitating"}},
		{"ringing, which only the text documents", `{"state":"Ringing"}`, Call{State: "ringing"}},
		{"inactive audio", `{"mediaState":{"audio":"inactive"}}`, Call{AudioActive: &no}},
		{"media state that says nothing of audio", `{"mediaState":{"video":"active"}}`, Call{}},
		{"a termination reason", `{"terminationReason":"AppTransferred"}`, Call{TerminationReason: "AppTransferred"}},
		{"a group call by its targets", `{"targets":[{},{}]}`, Call{Group: true}},
		{"a peer-to-peer call by its target", `{"targets":[{}],"chatInfo":{"threadId":"x"}}`, Call{}},
		{"a meeting", `{"chatInfo":{"threadId":"x"},"meetingInfo":{"@odata.type":"#microsoft.graph.organizerMeetingInfo"}}`, Call{Group: true}},
		{"an incoming call's own meeting info", `{"targets":[{}],"meetingInfo":{"@odata.type":"#microsoft.graph.tokenMeetingInfo"}}`, Call{}},
		{"unexpected types everywhere", `{"id":7,"state":[],"targets":"x","mediaState":"active","chatInfo":1,"meetingInfo":true,"resultInfo":"none"}`, Call{ID: "7"}},
		{"nothing", `{}`, Call{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseCall(json.RawMessage(row.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("ParseCall() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseOperation(t *testing.T) {
	for _, row := range []struct {
		name, body string
		want       CommsOperation
	}{
		{"mute from the documentation", golden(t, "call-mute.1.response.json"),
			CommsOperation{ID: "17e3b46c-f61d-4f4d-9635-c626ef18e6ad", Status: "completed", ClientContext: "clientContext-value"}},
		{"playPrompt from the documentation", golden(t, "call-playprompt.1.response.json"),
			CommsOperation{ID: "0fe0623f-d628-42ed-b4bd-8ac290072cc5", Status: "running", ClientContext: "d45324c1-fcb5-430a-902c-f20af696537c"}},
		{"cancelMediaProcessing from the documentation", golden(t, "call-cancelmediaprocessing.1.response.json"),
			CommsOperation{ID: "0fe0623f-d628-42ed-b4bd-8ac290072cc5", Status: "completed", ClientContext: "d45324c1-fcb5-430a-902c-f20af696537c"}},
		{"the schema's spelling of a status", `{"status":"NotStarted"}`, CommsOperation{Status: "notStarted"}},
		{"a failure", `{"id":"o","status":"Failed","resultInfo":{"code":"400","subcode":8508}}`,
			CommsOperation{ID: "o", Status: "failed", ResultInfo: &ResultInfo{Code: 400, Subcode: 8508}}},
		{"null members", `{"id":"o","status":null,"resultInfo":null}`, CommsOperation{ID: "o"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseOperation(json.RawMessage(row.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("ParseOperation() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBodiesThatAreNoObjects(t *testing.T) {
	for _, body := range []string{"", " ", "null", "[]", `"call"`, "{", `{"id":}`, "<html>"} {
		if _, err := ParseCall(json.RawMessage(body)); err == nil {
			t.Errorf("ParseCall(%q) succeeded", body)
		}
		if _, err := ParseOperation(json.RawMessage(body)); err == nil {
			t.Errorf("ParseOperation(%q) succeeded", body)
		}
	}
}

func TestIDsFallBackOnTheLocation(t *testing.T) {
	for location, want := range map[string]string{
		"https://graph.microsoft.com/v1.0/communications/calls/c1":               "c1",
		"https://graph.microsoft.com/v1.0/communications/calls/c1/operations/o1": "o1",
		"/app/calls/c1/":      "c1",
		"/app/calls('c1')":    "c1",
		"/app/calls/a%2Fb":    "b",
		"/app/calls/c1?x=y#z": "c1",
		"":                    "",
		"https://x":           "",
		"/app/calls/..":       "",
		":":                   "",
	} {
		if got := IDFromLocation(location); got != want {
			t.Errorf("IDFromLocation(%q) = %q; want %q", location, got, want)
		}
	}
	for _, body := range []string{"", `{"state":"establishing"}`} {
		resp := &Response{Location: "https://x/calls/c9"}
		if body != "" {
			resp.Body = json.RawMessage(body)
		}
		if call, err := resp.Call(); err != nil || call.ID != "c9" {
			t.Errorf("Call() of %q = %+v, %v; want id c9", body, call, err)
		}
		if op, err := resp.CommsOperation(); err != nil || op.ID != "c9" {
			t.Errorf("CommsOperation() of %q = %+v, %v; want id c9", body, op, err)
		}
	}
	own := &Response{Location: "https://x/calls/c9", Body: json.RawMessage(`{"id":"c1"}`)}
	if call, err := own.Call(); err != nil || call.ID != "c1" {
		t.Errorf("Call() = %+v, %v; want its own id", call, err)
	}
	if _, err := (&Response{}).Call(); err == nil {
		t.Error("Call() of nothing succeeded")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(golden(f, "call-get.1.response.json")))
	f.Add([]byte(`{"resultInfo":{"code":"1e999"},"mediaState":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, callErr := ParseCall(body)
		_, operationErr := ParseOperation(body)
		if (callErr == nil) != (operationErr == nil) {
			t.Errorf("ParseCall() = %v, ParseOperation() = %v; want both or none", callErr, operationErr)
		}
	})
}
