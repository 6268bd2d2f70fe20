package callbacks

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
)

// stream keeps to what a JetStream stream of events would take: it refuses what
// could not be published. It knows ids it has seen.
type stream struct {
	tb  testing.TB
	ids map[string]bool
	n   int
}

const maxEvent = 768 << 10 // three quarters of NATS's default max_payload

func (s *stream) Append(_ context.Context, e commands.Event, id string) error {
	stored, err := json.Marshal(e.Fit(maxEvent))
	if err != nil {
		s.tb.Errorf("event cannot be stored: %v", err)
	}
	if len(stored) > maxEvent {
		s.tb.Errorf("event of %d bytes does not fit", len(stored))
	}
	subject := commands.DefaultPrefix.Event(e.Call(), e.Kind)
	if tokens := strings.Split(subject, "."); len(tokens) != 5 || slices.Contains(tokens, "") || strings.ContainsAny(subject, " \t\r\n*>\x00") {
		s.tb.Errorf("subject %q", subject)
	}
	if id == "" || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		s.tb.Errorf("event id %q", id)
	}
	if s.ids[id] {
		return ErrDuplicate
	}
	s.ids[id] = true
	s.n++
	return nil
}

// FuzzReceiver sends whatever to the receiver, with a good token in every second
// request. It must answer one of its statuses, never one of a fault of ours, store
// something only when it answers 202, and store nothing when all comes again.
func FuzzReceiver(f *testing.F) {
	key := testKeys()[0]
	good := token{kid: "k", key: key}.sign(f, time.Now())
	// No network: a source that gave its keys once and is away since.
	src := &issuer{keys: []map[string]any{jwk("k", key)}, jwksURI: "https://keys.example/keys"}
	auth, err := NewAuth(f.Context(), AuthOptions{
		OIDCURLs: []string{"https://keys.example/openid"}, Audience: appID, Tenants: []string{tenant},
		Client: &http.Client{Transport: wire{"keys.example": src}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(auth.Close)

	files, _ := filepath.Glob("testdata/notification.*.json")
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("POST", callPath, "", "m-1", "", body)
		f.Add("POST", webhook, "", "", "chain", body)
	}
	f.Add("POST", callPath, "a.b.c", "m-1", "", []byte(`{"value":[]}`))
	f.Add("POST", callPath, replaceHeader(good, `{"alg":"none"}`), "m-1", "", []byte(`{"value":[]}`))
	f.Add("POST", webhook, replaceHeader(good, `{"alg":"RS256","kid":7}`), "m-1", "", []byte(`{"value":[]}`))
	f.Add("GET", "/hooks/v1/notifications/crm/a%2fb/c/1", "", "m 1", "", []byte("\xff\xfe{"))
	f.Add("POST", webhook, "", "m-1", "", []byte(`[{"resource":"/app/calls/a.*.b> "},{"resourceData":[{"@odata.id":"calls('')"}]},null]`))
	f.Add("POST", webhook, "", "m-1", "", []byte(`{"value":{"changeType":"created","resourceData":{"@odata.type":"#microsoft.graph.call","targets":[null,{"identity":7}]}}}`))

	allowed := []int{202, 400, 401, 403, 404, 405, 413}
	f.Fuzz(func(t *testing.T, method, path, token, message, chain string, body []byte) {
		u, err := url.ParseRequestURI(path)
		if err != nil || method == "" {
			return // the server answers 400 by itself
		}
		if token == "" {
			token = good
		}
		store := &stream{tb: t, ids: map[string]bool{}}
		r, err := NewReceiver(Options{
			BasePath: "/hooks", Auth: auth, Store: store, Now: func() time.Time { return arrival }, MaxBody: 64 << 10,
			IncomingRoute: map[string]string{tenant: "desk"},
			Lookup: func(_ context.Context, callID string) (commands.CallKey, bool, error) {
				if err := commands.CheckCallRef(callID); err != nil {
					return commands.CallKey{}, false, err // the registry's bucket has no such key
				}
				return commands.CallKey{Producer: "crm", CallRef: "known"}, strings.HasPrefix(callID, "2e1a0b00"), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		send := func() int {
			req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
			req.Method, req.URL = method, u
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("X-Microsoft-Skype-Message-ID", message)
			req.Header.Set("X-Microsoft-Skype-Chain-ID", chain)
			req.Header.Set("X-Forwarded-For", chain)
			rec := httptest.NewRecorder()
			r.ServeHTTP(rec, req)
			return rec.Code
		}
		status := send()
		if !slices.Contains(allowed, status) {
			t.Errorf("status %d", status)
		}
		stored := store.n
		if status != 202 && stored > 0 {
			t.Errorf("status %d, and %d events stored", status, stored)
		}
		if again := send(); again != status || store.n != stored {
			t.Errorf("sent again: status %d after %d, %d events after %d", again, status, store.n, stored)
		}
		if notes, err := Parse(body); status == 202 && (err != nil || len(notes) != stored) {
			t.Errorf("%d events stored of %d notifications, %v", stored, len(notes), err)
		}
	})
}
