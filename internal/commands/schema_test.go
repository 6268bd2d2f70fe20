package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const apiDir = "../../api"

func readSchema(t testing.TB, file string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(apiDir, file))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return schema
}

// compile gives the schema at a place like "command.schema.json#/$defs/place".
func compile(t testing.TB, place string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.DefaultDraft(jsonschema.Draft2020)
	schema, err := c.Compile(filepath.Join(apiDir, place))
	if err != nil {
		t.Fatalf("%s: %v", place, err)
	}
	return schema
}

func instance(t testing.TB, body string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

// asJSON is a value as JSON gives it back.
func asJSON(t testing.TB, v any) (out any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCommandSchemaSaysWhatTheShapesSay(t *testing.T) {
	defs := readSchema(t, "command.schema.json")["$defs"].(map[string]any)
	want := commandSchemas()
	for name, schema := range want {
		if name == "metadata" {
			continue // a map: TestContract's rows hold it to the schema
		}
		if diff := cmp.Diff(stripped(asJSON(t, schema)), stripped(defs[name])); diff != "" {
			t.Errorf("$defs/%s differs (-Go +schema):\n%s", name, diff)
		}
	}
	for name := range defs {
		if _, ok := want[name]; !ok && !Action(name).Known() {
			t.Errorf("$defs/%s is the schema's alone", name)
		}
	}
	for _, a := range Actions {
		parameters := fmt.Sprint(defs[string(a)].(map[string]any)["properties"].(map[string]any)["parameters"])
		if !strings.Contains(parameters, "#/$defs/"+parameterDef(a)) {
			t.Errorf("$defs/%s has parameters %s; want %s", a, parameters, parameterDef(a))
		}
	}
}

func TestBodyHasTheMembersOfTheEnvelope(t *testing.T) {
	got := fmt.Sprint(sorted(typeSchema(reflect.TypeFor[Body](), "")["properties"].(map[string]any)))
	if want := fmt.Sprint(fieldNames(envelopeShape.fields)); got != want {
		t.Errorf("Body has %s; want %s", got, want)
	}
	got = fmt.Sprint(sorted(typeSchema(reflect.TypeFor[CallLimits](), "")["properties"].(map[string]any)))
	if want := fmt.Sprint(fieldNames(limitsShape.fields)); got != want {
		t.Errorf("CallLimits has %s; want %s", got, want)
	}
}

func TestRecordSchemasSayWhatTheTypesSay(t *testing.T) {
	for typ, home := range homes {
		file, def, _ := strings.Cut(home, "#/$defs/")
		schema := readSchema(t, file)
		if def != "" {
			schema = schema["$defs"].(map[string]any)[def].(map[string]any)
		}
		if diff := cmp.Diff(asJSON(t, typeSchema(typ, file)), stripped(schema)); diff != "" {
			t.Errorf("%s differs from %s (-Go +schema):\n%s", home, typ, diff)
		}
	}
}

func TestSchemaAcceptsEveryDocumentedRequest(t *testing.T) {
	for body, action := range documented(t) {
		if err := compile(t, "command.schema.json#/$defs/"+string(action)).Validate(instance(t, body)); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// beyond are the refusals that no schema can express, by their sentences:
// members given twice or in another case, times relative to one another,
// identities compared, what begins with whose name.
var beyond = []string{
	"id given twice", "a parameter given twice",
	"expiresAt 72 hours and a second after", "notBefore at expiresAt", "notBefore 72 hours after publishing", "expiresAt in year one",
	"replyTo another producer's inbox", "replyTo another producer's replies", "replyTo another prefix", "replyTo with an empty token",
	"a target that is two", "a target without id", "the same user twice", "a Phone in capitals",
	"a phone number as a user", "a phone number as a tel URI", "a phone number as the service spells it",
	"a phone without tenant", "a meeting without tenant", "a meeting by organizer who is nobody", "two tenants",
	"callbackUri in small letters", "redirect to the same phone twice", "transfer of a phone", "transfer to oneself",
}

func TestSchemaAndDecodeAgree(t *testing.T) {
	schemas := map[Action]*jsonschema.Schema{}
	for _, a := range Actions {
		schemas[a] = compile(t, "command.schema.json#/$defs/"+string(a))
	}
	all := compile(t, "command.schema.json")
	used := map[string]bool{}
	for _, row := range contract {
		body := instance(t, row.body)
		err := schemas[row.action].Validate(body)
		used[row.sentence] = true
		switch accepted := row.member == ""; {
		case accepted && err != nil:
			t.Errorf("%s: the schema refuses what Decode accepts: %v", row.sentence, err)
		case accepted && all.Validate(body) != nil:
			t.Errorf("%s: the schema of any command refuses it", row.sentence)
		case !accepted && (err == nil) != slices.Contains(beyond, row.sentence):
			t.Errorf("%s: the schema says %v; beyond it: %t", row.sentence, err, slices.Contains(beyond, row.sentence))
		}
	}
	for _, sentence := range beyond {
		if !used[sentence] {
			t.Errorf("beyond names %q, which no row does", sentence)
		}
	}
}

func TestSchemaAcceptsRecords(t *testing.T) {
	at, yes, n := testPublished, true, int64(5)
	count := 2
	info := &ResultInfo{Code: 486, Subcode: 1, Message: "m"}
	op := &Operation{ID: "o", Status: "completed", ResultInfo: info, ClientContext: "c"}
	failure := &Error{Class: ClassCallee, Reason: "busy", Code: "486", Message: "m", Hint: "h", ResultInfo: info, HTTPStatus: 429,
		RequestID: "r", ClientRequestID: "c", Retryable: true, RetryAfter: &at}
	result := Result{Producer: "p", CallRef: "r", CommandID: "c", Action: Place, Status: Failed, Final: true, Corrects: 1, Time: at, CallID: "i",
		TenantID: "t", Reason: "busy", Until: &at, Observed: &yes, Operation: op, Data: json.RawMessage(`{"a":1}`), Error: failure, Attempts: 1,
		Timing: &Timing{ReceivedAt: &at, StartedAt: &at, QueuedMS: 1}, Metadata: map[string]string{"k": "v"}, ReplayOf: "x", Worker: "w",
		Truncated: true, Bytes: 1, SHA256: "s"}
	event := Event{Producer: "p", CallRef: "r", CallID: "i", CallChainID: "h", TenantID: "t", CommandID: "c", Attempt: 1, Kind: KindEnded, Time: at,
		ChangeType: "deleted", State: "terminated", ResultInfo: info, Reason: "busy", Hint: "h", TerminationReason: "t", AudioActive: &yes,
		AnsweredBy: json.RawMessage(`{}`), RingMS: &n, TalkMS: &n, RespondBy: &at, Operation: op, Participants: &count, Source: "read",
		Raw: json.RawMessage(`[]`), Truncated: true, Bytes: 1, SHA256: "s"}
	dead := DeadLetter{Producer: "p", CallRef: "r", CommandID: "c", Action: Place, Cause: CauseUnknown, Error: failure, Time: at, Subject: "s", Sequence: 1,
		Headers: map[string][]string{"h": {"v"}}, Ledger: []Result{result}, Original: "o", OriginalEncoding: "base64", Truncated: true, Bytes: 1, SHA256: "s"}
	for file, records := range map[string][]any{
		"result.schema.json": {result, Result{Action: Place, Status: Waiting, Time: time.Now()}},
		"event.schema.json":  {event, Event{Kind: KindOther}},
		"dead.schema.json":   {dead, DeadLetter{Action: Hangup, Cause: CauseInvalid}},
	} {
		schema := compile(t, file)
		for i, record := range records {
			v := asJSON(t, record)
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s refuses %+v: %v", file, record, err)
			}
			properties := readSchema(t, file)["properties"].(map[string]any)
			if i == 0 && len(v.(map[string]any)) != len(properties) {
				t.Errorf("%s: the full record has %d members of %d", file, len(v.(map[string]any)), len(properties))
			}
		}
	}
	bad := result
	bad.Status = "done"
	if compile(t, "result.schema.json").Validate(asJSON(t, bad)) == nil {
		t.Error("result.schema.json accepts a status of its own")
	}
}

func TestSchemaExamplesDecode(t *testing.T) {
	for _, example := range readSchema(t, "command.schema.json")["examples"].([]any) {
		body, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(testCall, Place, body, testOptions); err != nil {
			t.Errorf("Decode(%s) = %v; want no error", body, err)
		}
	}
}
