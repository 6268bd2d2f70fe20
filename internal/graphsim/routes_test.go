package graphsim

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

// The 23 method and route pairs of Calls.Initiate.All, by what they answer.
func TestEveryRouteAnswersAsDocumented(t *testing.T) {
	const (
		empty = "empty" // no body and no content type
		plain = "plain" // empty text/plain
		json  = "json"
	)
	tests := []struct {
		method, path string
		status       int
		kind         string
		odataType    string
		location     string // with the call's id as {id}; ends in "/" for an operation
		body         any
		on           string // what kind of call: "p2p", "group", "incoming"
		appToo       bool
	}{
		{"POST", "", 201, json, "call", "", userCall("alice"), "", true},
		{"GET", "/{id}", 200, json, "call", "", nil, "p2p", true},
		{"DELETE", "/{id}", 204, empty, "", "", nil, "p2p", true},
		{"GET", "/{id}/participants", 200, json, "", "", nil, "group", true},
		{"GET", "/{id}/contentSharingSessions", 200, json, "", "", nil, "p2p", false},
		{"GET", "/{id}/contentSharingSessions/{session}", 200, json, "contentSharingSession", "", nil, "p2p", false},
		{"POST", "/{id}/keepAlive", 200, plain, "", "", nil, "p2p", false},
		{"POST", "/{id}/mute", 200, json, "muteParticipantOperation", "/{id}/operations/", object{}, "group", true},
		{"POST", "/{id}/unmute", 200, json, "unmuteParticipantOperation", "/{id}/operations/", nil, "group", true},
		{"POST", "/{id}/playPrompt", 200, json, "playPromptOperation", "/{id}/operations/", prompts("https://cdn.example/a.wav"), "p2p", true},
		{"POST", "/{id}/cancelMediaProcessing", 200, json, "cancelMediaProcessingOperation", "/{id}/operations/", object{"clientContext": "c"}, "p2p", true},
		{"POST", "/{id}/redirect", 202, empty, "", "", object{"targets": []any{target("user", "bob")}}, "incoming", true},
		{"POST", "/{id}/transfer", 202, empty, "", "", object{"transferTarget": target("user", "bob")}, "p2p", true},
	}
	pairs := 0
	for _, tt := range tests {
		for _, family := range []string{"communications", "app"} {
			t.Run(tt.method+" "+family+"/calls"+tt.path, func(t *testing.T) {
				story(t, nil, func(w *world) {
					var id, session string
					switch tt.on {
					case "p2p":
						id = w.placed(userCall("alice-777"))
						w.pass(w.opts.StepDuration)
						c, _ := w.Call(id)
						session = c.ContentSharingSessions[0]
					case "group":
						id = w.placed(userCall("alice", "bob"))
					case "incoming":
						var err error
						if id, err = w.Incoming(IncomingCall{CallbackURI: webhook, Source: []byte(`{"user":"carol"}`)}); err != nil {
							t.Fatal(err)
						}
					}
					path := strings.NewReplacer("{id}", id, "{session}", session).Replace(tt.path)
					base := "/v1.0/" + family + "/calls"
					res := w.do(tt.method, base+path, tt.body)
					if family == "app" && !tt.appToo {
						if res.status != http.StatusNotFound {
							t.Fatalf("answered %d; want 404, the alias does not have it", res.status)
						}
						return
					}
					pairs++
					if res.status != tt.status {
						t.Fatalf("answered %d %s; want %d", res.status, res.text, tt.status)
					}
					contentType := res.header.Get("Content-Type")
					switch tt.kind {
					case empty:
						if res.text != "" || contentType != "" {
							t.Errorf("body %q of type %q; want none", res.text, contentType)
						}
					case plain:
						if res.text != "" || contentType != "text/plain" || res.header.Get("Content-Length") != "0" {
							t.Errorf("body %q of type %q; want an empty text/plain", res.text, contentType)
						}
					case json:
						if !strings.HasPrefix(contentType, "application/json") || res.body == nil {
							t.Errorf("body %q of type %q; want JSON", res.text, contentType)
						}
						if tt.odataType != "" && res.body["@odata.type"] != "#microsoft.graph."+tt.odataType {
							t.Errorf("@odata.type %v; want %s", res.body["@odata.type"], tt.odataType)
						}
						if context, _ := res.body["@odata.context"].(string); !strings.HasPrefix(context, "http://graph.test/v1.0/$metadata#") {
							t.Errorf("@odata.context %q; want one of this Graph", context)
						}
					}
					location := ""
					switch {
					case tt.status == 201:
						location = "http://graph.test" + base + "/" + res.id()
					case tt.location != "":
						location = "http://graph.test" + base + strings.ReplaceAll(tt.location, "{id}", id) + res.id()
					}
					if got := res.header.Get("Location"); got != location {
						t.Errorf("Location %q; want %q", got, location)
					}
				})
			})
		}
	}
	if pairs != 23 {
		t.Errorf("%d pairs were answered; want 23", pairs)
	}
}

func TestWhatGraphDoesNotHave(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("alice"))
		tests := []struct {
			name, method, path string
			want               int
		}{
			{"an operation cannot be read", "GET", calls + "/" + id + "/operations/x", 404},
			{"another version", "GET", "/beta/communications/calls/" + id, 404},
			{"another resource", "GET", "/v1.0/users", 404},
			{"calls cannot be listed", "GET", calls, 405},
			{"a call cannot be changed", "PATCH", calls + "/" + id, 405},
			{"an action cannot be read", "GET", calls + "/" + id + "/mute", 405},
			{"the spelling counts", "POST", calls + "/" + id + "/keepalive", 404},
		}
		for _, tt := range tests {
			if res := w.do(tt.method, tt.path, nil); res.status != tt.want || res.code() == "" {
				t.Errorf("%s: answered %d %q; want %d with a code", tt.name, res.status, res.code(), tt.want)
			}
		}
	})
}

func TestHeadersOfAnswers(t *testing.T) {
	story(t, nil, func(w *world) {
		const mine, scenario = "7ebde706-ab9e-4495-b901-7ab4b0ce91ba", "28b200d4-5ea9-4b3d-8cc7-ba3145d404e9"
		for _, path := range []string{"/unknown", "/" + w.place(userCall("alice"))} {
			res := w.do("GET", calls+path, nil, "client-request-id", mine, "Scenario-Id", scenario)
			if got := res.header.Get("client-request-id"); got != mine {
				t.Errorf("client-request-id %q; want it echoed", got)
			}
			if got := res.header.Get("scenario-id"); got != scenario {
				t.Errorf("scenario-id %q; want it echoed", got)
			}
			if res.header.Get("request-id") == "" || res.header.Get("x-ms-ags-diagnostic") == "" {
				t.Errorf("headers %v; want request-id and x-ms-ags-diagnostic", res.header)
			}
		}
		res := w.do("GET", calls+"/unknown", nil)
		if a, b := res.header.Get("request-id"), res.header.Get("client-request-id"); a == "" || a != b {
			t.Errorf("request-id %q and client-request-id %q; want the same when none was sent", a, b)
		}
	})
}

func TestRequestBodies(t *testing.T) {
	zipped := func(text string) string {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		z.Write([]byte(text))
		z.Close()
		return buf.String()
	}
	const create = `{"callbackUri":"` + webhook + `","mediaConfig":{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"},` +
		`"targets":[{"identity":{"user":{"id":"alice"}}}]}`
	tests := []struct {
		name, body, encoding, contentType string
		want                              int
	}{
		{"plain JSON", create, "", "application/json; charset=utf-8", 201},
		{"gzip", zipped(create), "gzip", "application/json", 201},
		{"gzip that is none", create, "gzip", "application/json", 400},
		{"gzip that is cut off", zipped(create)[:40], "gzip", "application/json", 400},
		{"an encoding nobody speaks", create, "br", "application/json", 415},
		{"no JSON", `{"callbackUri":`, "", "application/json", 400},
		{"an array", `[]`, "", "application/json", 400},
		{"null", `null`, "", "application/json", 400},
		{"two objects", create + create, "", "application/json", 400},
		{"nothing", ``, "", "application/json", 400},
		{"a form", create, "", "application/x-www-form-urlencoded", 400},
		{"too much", strings.Repeat(" ", maxRequestBody+1), "", "application/json", 413},
		{"too much, zipped", zipped(strings.Repeat(" ", maxRequestBody+1)), "gzip", "application/json", 413},
	}
	story(t, nil, func(w *world) {
		for _, tt := range tests {
			res := w.do("POST", calls, tt.body, "Content-Encoding", tt.encoding, "Content-Type", tt.contentType)
			if res.status != tt.want {
				t.Errorf("%s: answered %d %s; want %d", tt.name, res.status, res.text, tt.want)
			}
		}
	})
}

func TestGetSelects(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("alice"))
		res := w.do("GET", calls+"/"+id+"?$select=state,%20direction,nonsense", nil)
		if res.status != 200 || len(res.body) != 5 || res.body["state"] != "established" || res.body["direction"] != "outgoing" || res.id() != id {
			t.Errorf("answered %d %s; want state, direction, id, type and context", res.status, res.text)
		}
	})
}
