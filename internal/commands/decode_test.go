package commands

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	testCall      = CallKey{Producer: "crm", CallRef: "order-4711"}
	testPublished = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	testOptions   = DecodeOptions{Published: testPublished}
)

// envelope is a body with an id and more members; params one with parameters.
func envelope(members string) string { return `{"id":"c1",` + members + `}` }
func params(p string) string         { return envelope(`"parameters":` + p) }

func user(id string) string { return `{"identity":{"user":{"id":"` + id + `"}}}` }

func phone(number string) string { return `{"identity":{"phone":{"id":"` + number + `"}}}` }

// list is the JSON list of entry(0), entry(1), … n entries long.
func list(n int, entry func(int) string) string {
	entries := repeat(n, entry)
	return "[" + strings.Join(entries, ",") + "]"
}

func repeat(n int, f func(int) string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = f(i)
	}
	return all
}

func users(n int) string {
	return list(n, func(i int) string { return user("u" + string(rune('a'+i))) })
}

// documented gives every request body of testdata with its action.
func documented(t testing.TB) map[string]Action {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no request bodies in testdata: %v", err)
	}
	bodies := map[string]Action{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		action, _, _ := strings.Cut(filepath.Base(file), ".")
		bodies[params(string(b))] = Action(action)
	}
	return bodies
}

func TestEveryDocumentedRequestDecodes(t *testing.T) {
	for body, action := range documented(t) {
		cmd, err := Decode(testCall, action, []byte(body), testOptions)
		if err != nil {
			t.Errorf("Decode(%s, %s) = %v; want no error", action, body, err)
			continue
		}
		// What the page sends is sent: nothing lost, nothing changed.
		var given struct{ Parameters map[string]any }
		var sent map[string]any
		if err := errors.Join(json.Unmarshal([]byte(body), &given), json.Unmarshal(cmd.Parameters, &sent)); err != nil {
			t.Fatal(err)
		}
		if missing := lost("", given.Parameters, sent); missing != nil {
			t.Errorf("%s: members lost or changed: %v", action, missing)
		}
	}
}

// lost lists what of given is not in sent with the same value.
func lost(path string, given, sent any) []string {
	object, ok := given.(map[string]any)
	if !ok {
		if entries, ok := given.([]any); ok {
			other, _ := sent.([]any)
			if len(other) != len(entries) {
				return []string{path}
			}
			var all []string
			for i := range entries {
				all = append(all, lost(path+index(i), entries[i], other[i])...)
			}
			return all
		}
		if given != sent {
			return []string{path}
		}
		return nil
	}
	other, _ := sent.(map[string]any)
	var all []string
	for name, value := range object {
		got, ok := other[name]
		if !ok {
			all = append(all, path+"."+name)
			continue
		}
		all = append(all, lost(path+"."+name, value, got)...)
	}
	return all
}

func TestDecodeReadsTheWholeEnvelope(t *testing.T) {
	body := `{"id":"01JDC9Z6M4Q8","notBefore":"2026-11-23T11:00:00+01:00","expiresAt":"2026-11-23T10:05:00Z","wait":"turn",
		"onUnknown":"retry","tenantId":"contoso.example","replyTo":"_INBOX.abc","limits":{"ringSeconds":45,"callSeconds":3600},
		"metadata":{"ticket":"4711"},"parameters":{"targets":[{"identity":{"user":{"id":"u1"}}}]}}`
	got, err := Decode(testCall, Place, []byte(body), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	want := Command{
		Key: Key{"crm", "order-4711", "01JDC9Z6M4Q8"}, Action: Place,
		NotBefore: testPublished, ExpiresAt: testPublished.Add(5 * time.Minute), Wait: WaitTurn, OnUnknown: OnUnknownRetry,
		TenantID: "contoso.example", ReplyTo: "_INBOX.abc", Limits: CallLimits{45, 3600}, Metadata: map[string]string{"ticket": "4711"},
		Parameters: json.RawMessage(`{"@odata.type":"#microsoft.graph.call",` +
			`"mediaConfig":{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"},"requestedModalities":["audio"],` +
			`"targets":[{"@odata.type":"#microsoft.graph.invitationParticipantInfo","identity":{"@odata.type":"#microsoft.graph.identitySet",` +
			`"user":{"@odata.type":"#microsoft.graph.identity","id":"u1"}}}],"tenantId":"contoso.example"}`),
		Body: []byte(body),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Decode() differs (-want +got):\n%s", diff)
	}
}

func TestDecodeBindsAForeignCall(t *testing.T) {
	body := envelope(`"callId":"57DAB8B1894C409AB240BD8BEAE78896","keepAlive":true`)
	got, err := Decode(testCall, Hangup, []byte(body), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	if got.CallID != "57DAB8B1894C409AB240BD8BEAE78896" || !got.KeepAlive || got.Wait != WaitReady || got.OnUnknown != OnUnknownFail || got.Parameters != nil {
		t.Errorf("Decode() = %+v; want call id, keepAlive, defaults and no parameters", got)
	}
}

func TestParametersKeepWhatTheyWere(t *testing.T) {
	body := params(`{"targets":[{"identity":{"user":{"id":"u1","score":1.50,"note":"<&>"},"room":{"id":"r"}},"big":12345678901234567890.10}],"z":null,"a":{"b":[1e2]}}`)
	_, err := Decode(testCall, Place, []byte(body), testOptions)
	if err == nil || !strings.Contains(err.Error(), "parameters.targets[0].identity names more than one identity") {
		t.Fatalf("Decode() = %v; want two identities refused", err)
	}
	body = strings.Replace(body, `,"room":{"id":"r"}`, `,"note":"kept"`, 1)
	got, err := Decode(testCall, Place, []byte(body), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{`"score":1.50`, `"note":"<&>"`, `"big":12345678901234567890.10`, `"z":null`, `"a":{"b":[1e2]}`} {
		if !strings.Contains(string(got.Parameters), kept) {
			t.Errorf("Parameters = %s; want %s in it", got.Parameters, kept)
		}
	}
}

func TestADynamicIdentityIsAnnotated(t *testing.T) {
	got, err := Decode(testCall, Place, []byte(params(`{"targets":[{"identity":{"spool":{"id":"x"}}}]}`)), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"spool":{"@odata.type":"#microsoft.graph.identity","id":"x"}`; !strings.Contains(string(got.Parameters), want) {
		t.Errorf("Parameters = %s; want %s in it", got.Parameters, want)
	}
}

func TestTenantIsSettled(t *testing.T) {
	join := `"meetingInfo":{"joinMeetingId":"1"}`
	tests := []struct {
		sentence, body, fallback, want, sent string
	}{
		{"the command's tenant is sent to Graph", envelope(`"tenantId":"t1","parameters":{` + join + `}`), "d", "t1", `"tenantId":"t1"`},
		{"the parameters' tenant becomes the command's", params(`{"tenantId":"t2",` + join + `}`), "d", "t2", `"tenantId":"t2"`},
		{"tenants that differ in case only are one", envelope(`"tenantId":"AB","parameters":{"tenantId":"ab",` + join + `}`), "", "AB", `"tenantId":"ab"`},
		{"a meeting needs a tenant, so the default is filled in", params(`{` + join + `}`), "d", "d", `"tenantId":"d"`},
		{"a null tenant is as good as none", params(`{"tenantId":null,` + join + `}`), "d", "d", `"tenantId":"d"`},
		{"a call to a user goes without a tenant", params(`{"targets":` + users(1) + `}`), "d", "", `"targets"`},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			got, err := Decode(testCall, Place, []byte(tt.body), DecodeOptions{DefaultTenant: tt.fallback})
			if err != nil {
				t.Fatal(err)
			}
			if got.TenantID != tt.want || !strings.Contains(string(got.Parameters), tt.sent) {
				t.Errorf("Decode() = tenant %q, parameters %s; want %q and %s", got.TenantID, got.Parameters, tt.want, tt.sent)
			}
		})
	}
}

func TestARefusedCommandStillTellsWhoToAnswer(t *testing.T) {
	body := `{"id":"c1","replyTo":"_INBOX.a.b","metadata":{"k":"v"},"callId":"ab-1","tenantId":"t","wait":"later"}`
	got, err := Decode(testCall, Mute, []byte(body), testOptions)
	if err == nil {
		t.Fatal("Decode() = nil; want an error")
	}
	want := Command{Key: Key{"crm", "order-4711", "c1"}, Action: Mute, ReplyTo: "_INBOX.a.b", Metadata: map[string]string{"k": "v"},
		CallID: "ab-1", TenantID: "t", Wait: WaitReady, OnUnknown: OnUnknownFail, Body: []byte(body)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Decode() differs (-want +got):\n%s", diff)
	}
	bad := `{"id":"_x","replyTo":"elsewhere","metadata":{"k":1}}`
	if got, _ = Decode(testCall, Mute, []byte(bad), testOptions); got.ID != "" || got.ReplyTo != "" || got.Metadata != nil {
		t.Errorf("Decode() = %+v; want nothing that is not valid", got)
	}
	twice := `{"id":"a","id":"b","replyTo":"_INBOX.a","replyTo":"_INBOX.b"}`
	if got, _ = Decode(testCall, Mute, []byte(twice), testOptions); got.ID != "" || got.ReplyTo != "" {
		t.Errorf("Decode() = %+v; want nothing that was given twice", got)
	}
}

func TestCausesOfRefusal(t *testing.T) {
	tests := []struct {
		sentence, body string
		want           Cause
	}{
		{"a wrong member is invalid", `{"id":"c1","wait":"x"}`, CauseInvalid},
		{"a list is unreadable", `[]`, CauseUnreadable},
		{"half an object is unreadable", `{"id":`, CauseUnreadable},
		{"two objects are unreadable", `{"id":"a"}{}`, CauseUnreadable},
		{"latin-1 is unreadable", "{\"id\":\"\xe9\"}", CauseUnreadable},
		{"nothing is unreadable", ``, CauseUnreadable},
		{"66 levels are unreadable", `{"id":"a","parameters":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, CauseUnreadable},
		{"a byte more than 64 KiB is too large", `{"id":"c1"}` + strings.Repeat(" ", MaxBody-10), CauseTooLarge},
		{"a megabyte is too large and not read", `{"id":"c1"}` + strings.Repeat(" ", 1<<20), CauseTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			_, err := Decode(testCall, Hangup, []byte(tt.body), testOptions)
			all, ok := errors.AsType[DecodeErrors](err)
			if !ok || all.Cause() != tt.want {
				t.Fatalf("Decode() = %v; want cause %s", err, tt.want)
			}
			if out := all.Outcome(); out.Class != ClassInvalid || out.Code != string(tt.want) || out.Message != err.Error() || out.Retryable {
				t.Errorf("Outcome() = %+v; want class invalid, code %s, the message, not retryable", out, tt.want)
			}
		})
	}
	full := `{"id":"c1"}` + strings.Repeat(" ", MaxBody-11)
	if _, err := Decode(testCall, Hangup, []byte(full), testOptions); len(full) != MaxBody || err != nil {
		t.Errorf("Decode() of %d bytes = %v; want no error", len(full), err)
	}
	cmd, err := Decode(testCall, Hangup, []byte(full+" "), testOptions)
	if err == nil || cmd.ID != "c1" {
		t.Errorf("Decode() of %d bytes = id %q, %v; want the id beside the error", len(full)+1, cmd.ID, err)
	}
}

func TestErrorsAreOneLineAndKeepSecrets(t *testing.T) {
	secrets := []string{"2345678901", "John", "Doe", "psw123", "sig=abc"}
	bodies := map[string]Action{
		params(`{"targets":[{"identity":{"phone":{"id":"+1234567890 1","displayName":"John Doe"}}}],"John Doe":1}`):   Place,
		params(`{"targets":[{"identity":{"user":{"id":"+12345678901"}}}]}`):                                           Place,
		params(`{"targets":[{"identity":{"phone":"+12345678901"}}]}`):                                                 Redirect,
		params(`{"prompts":[{"mediaInfo":{"uri":"ftp://h/x.wav?sig=abc"}}]}`):                                         PlayPrompt,
		params(`{"prompts":[{"mediaInfo":{"uri":"http://h/ x.wav?sig=abc"}}]}`):                                       PlayPrompt,
		params(`{"meetingInfo":{"joinMeetingId":12345678901,"passcode":["psw123"]}}`):                                 Place,
		envelope(`"wait":"+12345678901","metadata":{"+12345678901":1},"tenantId":"+12345678901","callId":"John/Doe"`): Mute,
		envelope(`"+12345678901":true`):                                       Mute,
		envelope(`"limits":{"ringSeconds":12345678901}`):                      Place,
		`{"id":"c\u000ad","wait":"a\u000ab` + strings.Repeat("x", 400) + `"}`: Mute,
		params(`{"targets":[{"identity":{"user":{"@odata.type":"+12345678901"}}},{"identity":{"user":{"id":"tel:2345678901"}}}]}`): Place,
	}
	for body, action := range bodies {
		_, err := Decode(testCall, action, []byte(body), testOptions)
		if err == nil {
			t.Errorf("Decode(%s, %s) = nil; want an error", action, body)
			continue
		}
		message := err.Error()
		if strings.ContainsAny(message, "\n\r") {
			t.Errorf("error of %s has more than one line: %q", body, message)
		}
		for _, secret := range secrets {
			if strings.Contains(message, secret) {
				t.Errorf("error of %s gives away %q: %s", body, secret, message)
			}
		}
		for _, part := range err.(DecodeErrors) {
			if n := len(part.Member) + len(part.Problem); n > 200 {
				t.Errorf("error of %s repeats too much: %s", body, message)
			}
		}
	}
}

func TestManyProblemsAreCounted(t *testing.T) {
	body := `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}`
	_, err := Decode(testCall, Hangup, []byte(body), testOptions)
	if err == nil || strings.Count(err.Error(), ";") != 5 || !strings.HasSuffix(err.Error(), "; and 3 more") {
		t.Errorf("Decode() = %v; want five problems and three more counted", err)
	}
	first, ok := errors.AsType[*DecodeError](err)
	if !ok || first.Member != "a" {
		t.Errorf("AsType = %+v, %t; want the first problem", first, ok)
	}
}
