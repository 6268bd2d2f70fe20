package callbacks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
)

const (
	callID  = "57dab8b1-894c-409a-b240-bd8beae78896"
	callURL = "/communications/calls/" + callID
)

// value writes one notification about a path below the call.
func value(changeType, suffix, data string) string {
	return fmt.Sprintf(`{"changeType":%q,"resourceUrl":%q,"resourceData":%s}`, changeType, callURL+suffix, data)
}

func TestParseOfOneValue(t *testing.T) {
	kind := func(k commands.Kind, changeType string) commands.Event { return event(k, changeType, callID, nil) }
	op := func(o commands.Operation) commands.Event {
		return event(commands.KindOperation, "deleted", callID, func(e *commands.Event) { e.Operation = &o })
	}
	incoming := func(more func(*commands.Event)) commands.Event {
		return event(commands.KindIncoming, "created", callID, func(e *commands.Event) {
			e.State, e.RespondBy = "incoming", new(arrival.Add(15*time.Second))
			if more != nil {
				more(e)
			}
		})
	}
	rosterNoCount := kind(commands.KindRoster, "updated")
	established := state("updated", callID, "established", nil)

	tests := []struct {
		name  string
		value string
		want  commands.Event
	}{
		// Incoming calls.
		{"an incoming call must be answered in 15 s",
			value("created", "", `{"@odata.type":"#microsoft.graph.call","state":"incoming","callChainId":"chain"}`),
			incoming(func(e *commands.Event) { e.CallChainID = "chain" })},
		{"a created call without a state is incoming", value("created", "", `{"@odata.type":"#microsoft.graph.call"}`), incoming(nil)},
		{"the token's tenant wins over the call's",
			value("created", "", `{"@odata.type":"#microsoft.graph.call","tenantId":"other"}`), incoming(nil)},
		{"a created outgoing call is a state", value("created", "", `{"state":"establishing","direction":"Outgoing"}`),
			state("created", callID, "establishing", nil)},
		{"an update of a ringing incoming call gives no new 15 s", value("updated", "", `{"state":"incoming"}`),
			state("updated", callID, "incoming", nil)},

		// States.
		{"early audio comes with a state", value("updated", "", `{"state":"establishing","mediaState":{"audio":"active"}}`),
			event(commands.KindState, "updated", callID, func(e *commands.Event) { e.State, e.AudioActive = "establishing", new(true) })},
		{"audio alone is a state without a state", value("updated", "", `{"@odata.type":"#microsoft.graph.call","mediaState":{"audio":"Inactive"}}`),
			event(commands.KindState, "updated", callID, func(e *commands.Event) { e.AudioActive = new(false) })},
		{"an unknown audio state tells nothing", value("updated", "", `{"state":"established","mediaState":{"audio":"unknownFutureValue"}}`), established},
		{"a tone is a state without a state", value("updated", "", `{"@odata.type":"#microsoft.graph.call","toneInfo":{"sequenceId":1,"tone":"tone1"}}`),
			kind(commands.KindState, "updated")},
		{"who answered is kept as it came", value("updated", "", `{"state":"established","answeredBy":{"user":{"id":"u"}}}`),
			event(commands.KindState, "updated", callID, func(e *commands.Event) {
				e.State, e.AnsweredBy = "established", json.RawMessage(`{"user":{"id":"u"}}`)
			})},
		{"a null answeredBy is none", value("updated", "", `{"state":"established","answeredBy":null,"resultInfo":null}`), established},
		{"a deleted call is over whatever it says", value("deleted", "", `{"@odata.type":"#microsoft.graph.call","state":"established"}`),
			state("deleted", callID, "terminated", nil)},
		{"a deleted call without a state is over", value("deleted", "", `{"@odata.type":"#microsoft.graph.call","terminationReason":"AppTransferred"}`),
			event(commands.KindState, "deleted", callID, func(e *commands.Event) {
				e.State, e.TerminationReason = "terminated", "AppTransferred"
			})},
		{"a deleted call without data is over", value("deleted", "", `null`), state("deleted", callID, "terminated", nil)},
		{"hold", value("updated", "", `{"state":"hold"}`), state("updated", callID, "hold", nil)},
		{"ringing, which only the documentation has", value("updated", "", `{"state":"Ringing"}`), state("updated", callID, "ringing", nil)},
		{"redirecting", value("updated", "", `{"state":"redirecting"}`), state("updated", callID, "redirecting", nil)},
		{"a state of the future is kept", value("updated", "", `{"state":"Parked"}`), state("updated", callID, "parked", nil)},

		// Spelling.
		{"enumerations in Pascal case", value("Updated", "", `{"state":"TransferAccepted"}`), state("updated", callID, "transferAccepted", nil)},
		{"members in Pascal case", `{"ChangeType":"updated","ResourceUrl":"` + callURL + `","ResourceData":{"@OData.Type":"#Microsoft.Graph.Call","State":"Established"}}`, established},
		{"codes as strings and subCode in camel case", value("deleted", "", `{"state":"terminated","resultInfo":{"code":"486","subCode":"560486","message":"Busy"}}`),
			state("deleted", callID, "terminated", &commands.ResultInfo{Code: 486, Subcode: 560486, Message: "Busy"})},
		{"codes as floating point", value("deleted", "", `{"resultInfo":{"code":4.86e2,"subcode":0.0}}`),
			state("deleted", callID, "terminated", &commands.ResultInfo{Code: 486})},
		{"codes that are none count as 0", value("deleted", "", `{"resultInfo":{"code":"n/a","subcode":[1],"message":7}}`),
			state("deleted", callID, "terminated", &commands.ResultInfo{Message: "7"})},

		// Paths.
		{"the older twin alone", `{"changeType":"updated","resource":"/app/calls/` + callID + `","resourceData":{"state":"established"}}`, established},
		{"both twins", `{"changeType":"updated","resource":"/app/calls/x","resourceUrl":"` + callURL + `","resourceData":{"state":"established"}}`, established},
		{"an OData key", `{"changeType":"updated","resourceUrl":"/communications/calls('` + callID + `')","resourceData":{"state":"established"}}`, established},
		{"a whole URL with a query", `{"changeType":"updated","resourceUrl":"https://graph.microsoft.com/v1.0/communications/calls/` + callID + `?x=1","resourceData":{"state":"established"}}`, established},
		{"the id of the data when there is no path", `{"changeType":"updated","resourceData":{"@odata.type":"#microsoft.graph.call","id":"` + callID + `","state":"established"}}`, established},
		{"the path of the data when there is no other", `{"changeType":"updated","resourceData":{"@odata.id":"` + callURL + `","state":"established"}}`, established},
		{"the path beats the id of the data", value("updated", "", `{"@odata.type":"#microsoft.graph.call","id":"other","state":"established"}`), established},
		{"a call in an array", value("updated", "", `[{"@odata.type":"#microsoft.graph.call","state":"established"}]`), established},

		// Rosters.
		{"a full roster is counted", value("updated", "/participants", `[{"@odata.type":"#microsoft.graph.participant"},{},{}]`), roster(callID, 3)},
		{"a roster without types", value("updated", "/participants", `[{"id":"a"}]`), roster(callID, 1)},
		{"an empty roster is a count too", value("updated", "/participants", `[]`), roster(callID, 0)},
		{"a delta roster has no count", value("updated", "/participants",
			`{"@odata.type":"#microsoft.graph.deltaParticipants","sequenceNumber":4,"participants":[{"id":"a"}]}`), rosterNoCount},
		{"a delta roster without type", value("updated", "/participants", `{"sequenceNumber":4,"participants":[]}`), rosterNoCount},
		{"a delta roster in an array", value("updated", "/participants", `[{"sequenceNumber":4,"participants":[]}]`), rosterNoCount},
		{"one participant is no roster", value("updated", "/participants/a", `[{"@odata.type":"#microsoft.graph.participant"}]`), rosterNoCount},

		// Content sharing.
		{"content sharing by its path, in any case", value("created", "/contentSharingSessions", `[{"id":"F7D9"}]`), kind(commands.KindContentSharing, "created")},
		{"content sharing as an object", value("deleted", "/contentsharingsessions", `{"@odata.type":"#microsoft.graph.contentSharingSession","id":"F7D9"}`), kind(commands.KindContentSharing, "deleted")},

		// Operations.
		{"an operation by its path", value("deleted", "/operations/A1", `{"status":"Completed","clientContext":"c"}`),
			op(commands.Operation{ID: "A1", Status: "completed", ClientContext: "c"})},
		{"an operation with OData keys", `{"changeType":"deleted","resourceUrl":"/app/calls('` + callID + `')/operations('A1')","resourceData":{"@odata.type":"#microsoft.graph.playPromptOperation","status":"failed"}}`,
			op(commands.Operation{ID: "A1", Status: "failed"})},
		{"an operation of an unknown type", value("deleted", "/operations/A1", `{"@odata.type":"#microsoft.graph.somethingNew","status":"running"}`),
			op(commands.Operation{ID: "A1", Status: "running"})},
		{"an operation by its type alone", value("deleted", "", `{"@odata.type":"#microsoft.graph.inviteParticipantsOperation","@odata.id":"`+callURL+`/operations/A2","status":"completed"}`),
			op(commands.Operation{ID: "A2", Status: "completed"})},
		{"an operation's own id beats the path", value("deleted", "/operations/A1", `{"id":"own","status":"completed"}`),
			op(commands.Operation{ID: "own", Status: "completed"})},
		{"a finished operation without status goes by its code", value("deleted", "/operations/A1", `{"resultInfo":{"code":500,"subcode":8511}}`),
			op(commands.Operation{ID: "A1", Status: "failed", ResultInfo: &commands.ResultInfo{Code: 500, Subcode: 8511}})},
		{"a finished operation with a good code is completed", value("deleted", "/operations/A1", `{"resultInfo":{"code":"200"}}`),
			op(commands.Operation{ID: "A1", Status: "completed", ResultInfo: &commands.ResultInfo{Code: 200}})},

		// What we do not know.
		{"an unknown type", value("updated", "", `{"@odata.type":"#microsoft.graph.somethingNew","state":"established"}`), kind(commands.KindOther, "updated")},
		{"an unknown part", value("updated", "/audioRoutingGroups", `{"id":"x"}`), kind(commands.KindOther, "updated")},
		{"no call at all", `{"changeType":"created","resourceUrl":"/communications/onlineMeetings/x","resourceData":{}}`, event(commands.KindOther, "created", "", nil)},
		{"members of the wrong type", `{"changeType":["updated"],"resourceUrl":{},"resourceData":"state"}`, event(commands.KindOther, "", "", nil)},
		{"a value that is no object", `"hello"`, event(commands.KindOther, "", "", nil)},
		{"a null", `null`, event(commands.KindOther, "", "", nil)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			notes, err := Parse([]byte(`{"@odata.type":"#microsoft.graph.commsNotifications","value":[` + tt.value + `]}`))
			if err != nil || len(notes) != 1 {
				t.Fatalf("Parse() = %d notifications, %v; want 1", len(notes), err)
			}
			got := notes[0].Event(base)
			if string(got.Raw) != tt.value {
				t.Errorf("Raw = %s; want %s", got.Raw, tt.value)
			}
			got.Raw = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseOfEnvelopes(t *testing.T) {
	one, two := value("updated", "", `{"state":"establishing"}`), value("updated", "", `{"state":"established"}`)
	tests := []struct {
		name string
		body string
		want []string // states
	}{
		{"without @odata.type", `{"value":[` + one + `]}`, []string{"establishing"}},
		{"several values keep their order", `{"value":[` + one + `,` + two + `]}`, []string{"establishing", "established"}},
		{"no values", `{"value":[]}`, nil},
		{"one value that is no array", `{"Value":` + two + `}`, []string{"established"}},
		{"a bare array", "\n [" + one + "," + two + "]", []string{"establishing", "established"}},
		{"a bare notification", two, []string{"established"}},
		{"a byte order mark", "\xef\xbb\xbf" + `{"value":[` + two + `]}`, []string{"established"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			notes, err := Parse([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range notes {
				got = append(got, n.State)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseReadsWindows1252(t *testing.T) {
	body := `{"value":[` + value("deleted", "", `{"resultInfo":{"code":200,"message":"J`+"\xfc"+`rgen `+"\x80"+`"}}`) + `]}`
	notes, err := Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := notes[0].ResultInfo.Message, "Jürgen €"; got != want {
		t.Errorf("message = %q; want %q", got, want)
	}
	if !strings.Contains(string(notes[0].Raw), "Jürgen €") {
		t.Errorf("Raw = %s; want it in UTF-8", notes[0].Raw)
	}
}

func TestParseTakesTheTenantOfTheCallWithoutAToken(t *testing.T) {
	notes, err := Parse([]byte(value("created", "", `{"state":"incoming","tenantId":"t-call","callChainId":"c-body"}`)))
	if err != nil {
		t.Fatal(err)
	}
	got := notes[0].Event(commands.Event{CallChainID: "c-header"})
	if got.TenantID != "t-call" || got.CallChainID != "c-body" {
		t.Errorf("tenant, chain = %q, %q; want those of the body", got.TenantID, got.CallChainID)
	}
	notes[0].CallChainID = ""
	if got := notes[0].Event(commands.Event{CallChainID: "c-header"}); got.CallChainID != "c-header" {
		t.Errorf("chain = %q; want that of the header", got.CallChainID)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                     "",
		"white space":                 " \n",
		"no JSON":                     "<html>",
		"half a body":                 `{"value":[{"changeType":`,
		"two bodies":                  `{"value":[]}{"value":[]}`,
		"an object of something else": `{"hello":"world"}`,
		"a null value":                `{"value":null}`,
		"a number":                    `42`,
		"nesting without end":         strings.Repeat("[", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			if notes, err := Parse([]byte(body)); err == nil || strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("Parse() = %v, %v; want an error of one line", notes, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/notification.*.json")
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"Value":[{"RESOURCE":"/app/calls('x')/operations('y')","resourceData":[{"subCode":"1","subcode":2}]},null,7]}`))
	f.Add([]byte("[{\"resourceData\":{\"state\":\"\xff\x81\"}}]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		notes, err := Parse(body)
		if err != nil {
			return
		}
		again, err := Parse(body)
		if diff := cmp.Diff(notes, again); err != nil || diff != "" {
			t.Fatalf("read twice it differs: %v\n%s", err, diff)
		}
		for _, n := range notes {
			e := n.Event(base)
			if (e.RespondBy != nil) != (e.Kind == commands.KindIncoming) || (e.Operation != nil) != (e.Kind == commands.KindOperation) {
				t.Errorf("kind %q does not fit %+v", e.Kind, e)
			}
			stored, err := json.Marshal(e)
			if err != nil {
				t.Fatalf("event cannot be stored: %v", err)
			}
			// What is kept as raw must read the same when it is read again.
			reread, err := Parse([]byte(`{"value":[` + string(n.Raw) + `]}`))
			if err != nil || len(reread) != 1 {
				t.Fatalf("raw of %s cannot be read: %v", stored, err)
			}
			if diff := cmp.Diff(e, reread[0].Event(base)); diff != "" {
				t.Errorf("raw reads differently:\n%s", diff)
			}
		}
	})
}
