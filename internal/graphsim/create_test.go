package graphsim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestCreateRefuses(t *testing.T) {
	many := []string{"a", "b", "c", "d", "e", "f"}
	identity := func(body object, set object) object {
		body["targets"] = []any{object{"identity": set}}
		return body
	}
	tests := []struct {
		name   string
		body   any
		status int
		code   string
	}{
		{"no callbackUri", with(userCall("a"), "callbackUri", nil), 400, "8523"},
		{"http to another host", with(userCall("a"), "callbackUri", "http://bot.example/x"), 400, "8523"},
		{"a callbackUri that is none", with(userCall("a"), "callbackUri", "bot"), 400, "8523"},
		{"a callbackUri that is a number", with(userCall("a"), "callbackUri", 7), 400, "BadRequest"},
		{"no mediaConfig", with(userCall("a"), "mediaConfig", nil), 400, "8523"},
		{"mediaConfig without its type", with(userCall("a"), "mediaConfig", object{}), 400, "BadRequest"},
		{"mediaConfig of an unknown type", with(userCall("a"), "mediaConfig", typed("mediaConfig", nil)), 400, "BadRequest"},
		{"app hosted media without a blob", with(userCall("a"), "mediaConfig", typed("appHostedMediaConfig", nil)), 400, "8523"},
		{"media to fetch without a uri", with(userCall("a"), "mediaConfig", typed("serviceHostedMediaConfig", object{"preFetchMedia": []any{object{}}})), 400, "8523"},
		{"callOptions without their type", with(userCall("a"), "callOptions", object{}), 400, "BadRequest"},
		{"an option that is no Boolean", with(userCall("a"), "callOptions", typed("outgoingCallOptions", object{"isDeltaRosterEnabled": "yes"})), 400, "BadRequest"},
		{"a modality nobody knows", with(userCall("a"), "requestedModalities", []any{"smell"}), 400, "BadRequest"},
		{"modalities that are a string", with(userCall("a"), "requestedModalities", "audio"), 400, "BadRequest"},
		{"modalities that are numbers", with(userCall("a"), "requestedModalities", []any{1}), 400, "BadRequest"},
		{"nobody to call", with(userCall("a"), "targets", nil), 400, "8523"},
		{"targets that are strings", with(userCall("a"), "targets", []any{"a"}), 400, "BadRequest"},
		{"a target without an identity", with(userCall("a"), "targets", []any{object{}}), 400, "8523"},
		{"an identity of nobody", identity(userCall(), object{}), 400, "8523"},
		{"a user without an id", identity(userCall(), object{"user": object{}}), 400, "8523"},
		{"a user that is a string", identity(userCall(), object{"user": "alice"}), 400, "BadRequest"},
		{"six targets", userCall(many...), 400, "8523"},
		{"the same target twice", userCall("a", "A"), 400, "8523"},
		{"a phone without its type", identity(phoneCall("+12345678901"), object{"phone": object{"id": "+12345678901"}}), 500, "9999"},
		{"a phone that is a string", identity(phoneCall("+12345678901"), object{"phone": "+12345678901"}), 500, "9999"},
		{"a phone number that is none", phoneCall("12345"), 400, "8523"},
		{"a phone without a source", with(phoneCall("+12345678901"), "source", nil), 400, "8523"},
		{"a phone called by an application", with(phoneCall("+12345678901"), "source", object{"identity": object{"application": typedIdentity(DefaultAppID)}}), 400, "8523"},
		{"a phone without a tenant", with(phoneCall("+12345678901"), "tenantId", nil), 400, "8523"},
		{"a phone in a group", with(phoneCall("+12345678901"), "targets", []any{target("phone", "+12345678901"), target("user", "a")}), 400, "8523"},
		{"a meeting without a tenant", with(meetingCall("o"), "tenantId", nil), 400, "8523"},
		{"a meeting without chatInfo", with(meetingCall("o"), "chatInfo", nil), 400, "8523"},
		{"a meeting without meetingInfo", with(meetingCall("o"), "meetingInfo", nil), 400, "8523"},
		{"meetingInfo without its type", with(meetingCall("o"), "meetingInfo", object{}), 400, "BadRequest"},
		{"a meeting without its organizer", with(meetingCall("o"), "meetingInfo", typed("organizerMeetingInfo", nil)), 400, "8523"},
		{"a join token that is missing", with(meetingCall("o"), "meetingInfo", typed("tokenMeetingInfo", nil)), 400, "8523"},
		{"a meeting id that is missing", with(meetingCall("o"), "meetingInfo", typed("joinMeetingIdMeetingInfo", nil)), 400, "8523"},
	}
	story(t, nil, func(w *world) {
		for _, tt := range tests {
			res := w.do("POST", calls, tt.body)
			if res.status != tt.status || res.code() != tt.code {
				t.Errorf("%s: answered %d %s; want %d %s", tt.name, res.status, res.text, tt.status, tt.code)
			}
		}
		if n := len(w.Calls()); n != 0 {
			t.Errorf("%d calls were created; want none", n)
		}
	})
}

func TestCreateTakesEveryDocumentedVariant(t *testing.T) {
	for _, n := range []int{1, 3, 5, 9, 10} {
		t.Run(fmt.Sprintf("example %d", n), func(t *testing.T) {
			story(t, nil, func(w *world) {
				request := sample(t, fmt.Sprintf("application-post-calls.%d.request", n))
				res := w.do("POST", calls, request)
				if res.status != 201 {
					t.Fatalf("answered %d %s; want 201", res.status, res.text)
				}
				answer := sample(t, fmt.Sprintf("application-post-calls.%d.response", n))
				delete(answer["mediaConfig"].(object), "preFetchMedia") // which no request had
				contains(t, "answer", answer, res.body)
				contains(t, "echo", request, res.body)
			})
		})
	}
	others := map[string]object{
		"http to loopback":           with(userCall("a"), "callbackUri", "http://127.0.0.1:9/x"),
		"http to localhost":          with(userCall("a"), "callbackUri", "http://localhost:9/x"),
		"a join token":               with(meetingCall("o"), "meetingInfo", typed("tokenMeetingInfo", object{"token": "t"})),
		"a meeting id":               with(with(meetingCall("o"), "chatInfo", nil), "meetingInfo", typed("joinMeetingIdMeetingInfo", object{"joinMeetingId": "1", "passcode": nil})),
		"a declared phone":           with(phoneCall("+12345678901"), "targets", []any{object{"identity": typed("communicationsIdentitySet", object{"phone": object{"id": "+12345678901"}})}}),
		"an application as a target": with(userCall(), "targets", []any{target("application", "x")}),
	}
	for name, body := range others {
		t.Run(name, func(t *testing.T) {
			story(t, nil, func(w *world) { w.place(body) })
		})
	}
}

// contains checks that got has at least the members of the documented sample, of
// the same kinds; types, states and enumerations must be equal.
func contains(t *testing.T, at string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case object:
		o, ok := got.(object)
		if !ok {
			t.Errorf("%s is %T; want an object", at, got)
			return
		}
		for member, value := range want {
			at := at + "." + member
			actual, there := o[member]
			switch {
			case !there:
				t.Errorf("%s is missing", at)
			case member == "@odata.type" || member == "state" || member == "status" || member == "changeType" || member == "direction":
				if actual != value {
					t.Errorf("%s = %v; want %v", at, actual, value)
				}
			default:
				contains(t, at, value, actual)
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(want) > 0 && len(list) == 0 {
			t.Errorf("%s = %v; want a list like %v", at, got, want)
			return
		}
		for i := range min(len(want), len(list)) {
			contains(t, fmt.Sprintf("%s[%d]", at, i), want[i], list[i])
		}
	case nil:
		// a sample's null says only that the member exists
	default:
		// The page "call: delete" has its codes as strings, the schema as numbers.
		_, isNumber := got.(float64)
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) && !(strings.HasSuffix(at, "code") && isNumber) {
			t.Errorf("%s = %v; want something like %v", at, got, want)
		}
	}
}

func TestErrorBodies(t *testing.T) {
	story(t, nil, func(w *world) {
		contains(t, "unknown call", sample(t, "error.404-8522-call-not-found"), w.do("GET", calls+"/x", nil).body)
		w.SetLimits(Limits{Monthly: 1})
		w.place(userCall("a"))
		res := w.do("POST", calls, userCall("b"))
		contains(t, "monthly limit", sample(t, "error.429-8529-monthly-limit"), res.body)
		var wrapped struct{ ErrorCode, Message string }
		message := res.body["error"].(object)["message"].(string)
		if err := json.Unmarshal([]byte(message), &wrapped); err != nil || wrapped.ErrorCode != "8529" || res.code() != "UnknownError" {
			t.Errorf("message %q: %v; want 8529 wrapped in UnknownError", message, err)
		}
		w.SetLimits(Limits{Rate: 0.001, Burst: 1})
		w.do("GET", calls+"/x", nil)
		contains(t, "throttled", sample(t, "error.429-throttled"), w.do("GET", calls+"/x", nil).body)
	})
	for shape, want := range map[Shape]string{Textual: "NotFound", Numeric: "8522", Wrapped: "UnknownError", "": "8522"} {
		story(t, func(o *Options) { o.ErrorShape = shape }, func(w *world) {
			if got := w.do("GET", calls+"/x", nil).code(); got != want {
				t.Errorf("shape %q: code %q; want %q", shape, got, want)
			}
		})
	}
}

func TestAuthentication(t *testing.T) {
	story(t, nil, func(w *world) {
		for name, header := range map[string]string{"no header": "", "another scheme": "Basic x", "an empty token": "Bearer ", "a wrong token": "Bearer nonsense"} {
			res := w.do("GET", calls+"/x", nil, "Authorization", header)
			if res.status != 401 || res.code() != "InvalidAuthenticationToken" || !strings.HasPrefix(res.header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s: answered %d %s; want 401 InvalidAuthenticationToken with a challenge", name, res.status, res.text)
			}
		}
	})
}
