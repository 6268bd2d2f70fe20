package graphsim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testToken = "fixed-token"
	webhook   = "https://bot.example/v1/notifications/crm/order-1/cmd-1/1"
	tenantA   = "aa67bd4c-8475-432d-bd41-39f255720e0a"
)

// notifySigner is one signing key for all stories: making keys takes its time.
var notifySigner keyring

// world is a simulator, a client of it and the receiver of its notifications. In a
// synctest bubble its time is the bubble's.
type world struct {
	*Sim
	t       *testing.T
	handler http.Handler

	mu      sync.Mutex
	inbox   []received
	respond func(r *http.Request) (int, http.Header, error) // nil: 202
}

// received is one notification as it came.
type received struct {
	at     time.Time
	url    string
	header http.Header
	body   object
}

// RoundTrip receives notifications in place of a network.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var body object
	if err := json.Unmarshal(raw, &body); err != nil {
		w.t.Errorf("notification %s: %v", raw, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	status, header := http.StatusAccepted, http.Header{}
	if w.respond != nil {
		if status, header, err = w.respond(r); err != nil {
			return nil, err
		}
	}
	w.inbox = append(w.inbox, received{time.Now(), r.URL.String(), r.Header, body})
	return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: r}, nil
}

func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t}
	opts := Options{Token: testToken, NotifyClient: &http.Client{
		Transport:     w,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if change != nil {
		change(&opts)
	}
	sim, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := notifySigner.current(); err != nil {
		t.Fatal(err)
	}
	sim.notifyKeys.keys = notifySigner.keys
	w.Sim, w.handler = sim, sim.Handler()
	t.Cleanup(sim.Close)
	return w
}

// story runs a test in fake time.
func story(t *testing.T, change func(*Options), run func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(newWorld(t, change)) })
}

// response is an answer of the simulator; cut means the connection was closed.
type response struct {
	status int
	header http.Header
	text   string
	body   object
	cut    bool
}

// code is the code of the error.
func (r response) code() string {
	e, _ := r.body["error"].(object)
	code, _ := e["code"].(string)
	return code
}

func (r response) id() string { id, _ := r.body["id"].(string); return id }

// do makes one request. A body is a string, or anything that becomes JSON.
func (w *world) do(method, path string, body any, header ...string) response {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	req := httptest.NewRequest(method, "http://graph.test"+path, reader)
	req.RemoteAddr = "127.0.0.1:1234"
	req.Header.Set("Authorization", "Bearer "+testToken)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if req.Header.Del(header[i]); header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	rec := httptest.NewRecorder()
	cut := false
	func() {
		defer func() {
			if p := recover(); p == http.ErrAbortHandler {
				cut = true
			} else if p != nil {
				panic(p)
			}
		}()
		w.handler.ServeHTTP(rec, req)
	}()
	res := response{status: rec.Code, header: rec.Result().Header, text: rec.Body.String(), cut: cut}
	if strings.HasPrefix(strings.TrimSpace(res.text), "{") {
		if err := json.Unmarshal([]byte(res.text), &res.body); err != nil {
			w.t.Fatalf("%s %s answered %q: %v", method, path, res.text, err)
		}
	}
	return res
}

const calls = "/v1.0/communications/calls"

// place creates a call and returns its id.
func (w *world) place(body object) string {
	w.t.Helper()
	res := w.do("POST", calls, body)
	if res.status != http.StatusCreated || res.id() == "" {
		w.t.Fatalf("create answered %d %s; want 201", res.status, res.text)
	}
	return res.id()
}

// placed creates a call and waits until audio is active.
func (w *world) placed(body object) string {
	w.t.Helper()
	id := w.place(body)
	w.pass(w.opts.AnswerAfter + w.opts.StepDuration)
	if c, _ := w.Call(id); c.State != stateEstablished || c.Audio != "active" {
		w.t.Fatalf("call is %s, audio %q; want established, active", c.State, c.Audio)
	}
	w.read()
	return id
}

// post posts an action and checks the status.
func (w *world) post(id, action string, body any, want int) response {
	w.t.Helper()
	res := w.do("POST", calls+"/"+id+"/"+action, body)
	if res.status != want {
		w.t.Fatalf("%s answered %d %s; want %d", action, res.status, res.text, want)
	}
	return res
}

// pass lets fake time pass and everything settle.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// read empties the inbox.
func (w *world) read() []received {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.inbox
	w.inbox = nil
	return all
}

// told reads the inbox in short: "updated established", "deleted terminated 200/7000",
// "updated participants".
func (w *world) told() []string {
	var lines []string
	for _, n := range w.read() {
		lines = append(lines, n.short())
	}
	return lines
}

func (n received) value() object {
	return n.body["value"].([]any)[0].(object)
}

func (n received) short() string {
	v := n.value()
	words := []string{v["changeType"].(string)}
	data, isObject := v["resourceData"].(object)
	if state, ok := data["state"].(string); ok {
		words = append(words, state)
	} else {
		segments := strings.Split(v["resourceUrl"].(string), "/")
		words = append(words, segments[4])
	}
	if isObject {
		if status, ok := data["status"].(string); ok {
			words = append(words, status)
		}
		if audio, ok := data["mediaState"].(object); ok {
			words = append(words, "audio", audio["audio"].(string))
		}
		if result, ok := data["resultInfo"].(object); ok {
			words = append(words, resultText(result))
		}
		if reason, ok := data["terminationReason"].(string); ok {
			words = append(words, reason)
		}
	}
	return strings.Join(words, " ")
}

func resultText(result object) string {
	sub, spelled := result["subcode"], ""
	if sub == nil {
		sub, spelled = result["subCode"], " subCode"
	}
	raw, _ := json.Marshal([]any{result["code"], sub})
	return strings.NewReplacer("[", "", "]", "", ",", "/").Replace(string(raw)) + spelled
}

// wantTold compares what was told with what should have been.
func (w *world) wantTold(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.told()); diff != "" {
		w.t.Errorf("notifications (-want +got):\n%s", diff)
	}
}

func typedIdentity(id string) object {
	return typed("identity", object{"id": id, "displayName": "Somebody"})
}

// userCall is the body of a call to users.
func userCall(ids ...string) object {
	targets := []any{}
	for _, id := range ids {
		targets = append(targets, target("user", id))
	}
	return typed("call", object{
		"callbackUri": webhook, "targets": targets, "requestedModalities": []any{"audio"},
		"mediaConfig": typed("serviceHostedMediaConfig", nil),
	})
}

func target(kind, id string) object {
	return typed("invitationParticipantInfo", object{"identity": typed("identitySet", object{kind: typedIdentity(id)})})
}

func phoneCall(number string) object {
	body := userCall()
	body["targets"] = []any{target("phone", number)}
	body["tenantId"] = tenantA
	body["source"] = typed("participantInfo", object{"identity": typed("identitySet", object{"applicationInstance": typedIdentity("instance-1")})})
	return body
}

func meetingCall(organizer string) object {
	body := userCall()
	delete(body, "targets")
	body["tenantId"] = tenantA
	body["chatInfo"] = typed("chatInfo", object{"threadId": "19:meeting@thread.v2", "messageId": "0"})
	body["meetingInfo"] = typed("organizerMeetingInfo", object{"organizer": typed("identitySet", object{"user": typedIdentity(organizer)})})
	return body
}

func prompts(uris ...string) object {
	items := []any{}
	for _, uri := range uris {
		items = append(items, typed("mediaPrompt", object{"mediaInfo": typed("mediaInfo", object{"uri": uri, "resourceId": "r"})}))
	}
	return object{"prompts": items, "clientContext": "ctx"}
}

func with(body object, member string, value any) object {
	if value == nil {
		delete(body, member)
	} else {
		body[member] = value
	}
	return body
}

// sample reads a body from Microsoft's documentation.
func sample(t *testing.T, name string) object {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var body object
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return body
}
