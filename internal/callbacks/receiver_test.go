package callbacks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
)

// fakes are what a receiver talks to.
type fakes struct {
	mu      sync.Mutex
	stored  []commands.Event
	ids     []string
	counted []string
	fail    func(n int) error // of the n-th append, counted from 0
	appends int

	known   map[string]commands.CallKey // by normal call id
	lookErr error
	log     bytes.Buffer
}

func (f *fakes) Append(ctx context.Context, e commands.Event, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.appends
	f.appends++
	if f.fail != nil {
		if err := f.fail(n); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	f.stored, f.ids = append(f.stored, e), append(f.ids, id)
	return nil
}

func (f *fakes) lookup(_ context.Context, id string) (commands.CallKey, bool, error) {
	key, ok := f.known[id]
	return key, ok, f.lookErr
}

func (f *fakes) Notification(kind, outcome string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counted = append(f.counted, kind+" "+outcome)
}

// verifier accepts "good" from a tenant, "no-tid" from none, and refuses what
// is named by a refusal.
type verifier struct{}

func (verifier) Verify(_ context.Context, token string, perCall bool) (Claims, error) {
	switch {
	case token == "":
		return Claims{}, RefusedNoToken
	case token == "early":
		return Claims{}, errors.Join(RefusedUnknownKey, ErrNoKeys)
	case slices.Contains(Refusals, Refusal(token)):
		return Claims{}, Refusal(token)
	case token == "no-tid" && perCall:
		return Claims{}, RefusedNoTenant
	case token == "no-tid":
		return Claims{}, nil
	}
	return Claims{TenantID: tenant}, nil
}

func setup(t *testing.T, change func(*Options)) (*Receiver, *fakes) {
	t.Helper()
	f := &fakes{}
	opts := Options{
		BasePath: "/hooks/", Auth: verifier{}, Store: f, Lookup: f.lookup, Counter: f,
		Logger:  slog.New(slog.NewTextHandler(&f.log, nil)),
		MaxBody: 4 << 10, Now: func() time.Time { return arrival },
	}
	if change != nil {
		change(&opts)
	}
	r, err := NewReceiver(opts)
	if err != nil {
		t.Fatal(err)
	}
	return r, f
}

const (
	callPath = "/hooks/v1/notifications/crm/order-4711/01JDC9Z6M4Q8/1"
	webhook  = "/hooks/v1/notifications"
)

func post(path, token, body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("X-Microsoft-Skype-Message-ID", "m-1")
	return req
}

// withoutHash cuts the hash of what an event says off its id.
func withoutHash(ids []string) (cut []string) {
	for _, id := range ids {
		cut = append(cut, id[:strings.LastIndexByte(id, '.')])
	}
	return cut
}

func body(values ...string) string { return `{"value":[` + strings.Join(values, ",") + `]}` }

func TestStatusCodes(t *testing.T) {
	established := body(value("updated", "", `{"state":"established"}`))
	three := body(value("updated", "", `{"state":"establishing"}`), value("updated", "/participants", `[]`), value("updated", "", `{"state":"established"}`))
	down := errors.New("stream is down")
	failing := func(which ...int) func(int) error {
		return func(n int) error {
			if slices.Contains(which, n) {
				return down
			}
			return nil
		}
	}
	header := func(req *http.Request, name, v string) *http.Request {
		req.Header.Del(name)
		if v != "" {
			req.Header.Set(name, v)
		}
		return req
	}
	method := func(m string) *http.Request {
		req := post(callPath, "good", established)
		req.Method = m
		return req
	}
	const messageHeader = "X-Microsoft-Skype-Message-ID"
	byTime := fmt.Sprintf("at%d.0", arrival.Unix()/10)

	tests := []struct {
		name    string
		req     *http.Request
		fail    func(int) error
		status  int
		ids     []string
		counted []string
	}{
		{"a notification on a call's URL is stored", post(callPath, "good", established), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"on the webhook too", post(webhook, "good", established), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"the webhook may end in a slash", post(webhook+"/", "good", established), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"a query does not matter", post(callPath+"?x=1", "good", established), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"the scheme of the token in any case", header(post(callPath, "", established), "Authorization", "bearer good"), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"several values are stored in order", post(callPath, "good", three), nil, 202, []string{"m-1.0", "m-1.1", "m-1.2"}, []string{"state stored", "roster stored", "state stored"}},
		{"no values is nothing to do", post(callPath, "good", body()), nil, 202, nil, nil},
		{"an unknown type is stored", post(callPath, "good", body(`{"resourceData":{"@odata.type":"#microsoft.graph.new"}}`)), nil, 202, []string{"m-1.0"}, []string{"other stored"}},
		{"without a message id the time stands in", header(post(callPath, "good", established), messageHeader, ""), nil, 202, []string{byTime}, []string{"state stored"}},
		{"a message id that is no header value is none", header(post(callPath, "good", established), messageHeader, "a b"), nil, 202, []string{byTime}, []string{"state stored"}},
		{"a message id without end is none", header(post(callPath, "good", established), messageHeader, strings.Repeat("a", 129)), nil, 202, []string{byTime}, []string{"state stored"}},
		{"a redelivery goes by the id of the first delivery", header(post(callPath, "good", established), "X-Microsoft-Skype-Original-Message-ID", "m-0"), nil, 202, []string{"m-0.0"}, []string{"state stored"}},
		{"an original id that is unfit is none", header(post(callPath, "good", established), "X-Microsoft-Skype-Original-Message-ID", "\x01"), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"a duplicate is as good as stored", post(callPath, "good", established), func(int) error { return fmt.Errorf("append: %w", ErrDuplicate) }, 202, nil, []string{"state duplicate"}},

		{"no token", post(callPath, "", established), nil, 401, nil, []string{" noToken"}},
		{"another scheme is no token", header(post(callPath, "", established), "Authorization", "Basic good"), nil, 401, nil, []string{" noToken"}},
		{"a bad signature", post(callPath, "badSignature", established), nil, 403, nil, []string{" badSignature"}},
		{"a foreign tenant", post(callPath, "tenant", established), nil, 403, nil, []string{" tenant"}},
		{"no tenant on a call's URL", post(callPath, "no-tid", established), nil, 403, nil, []string{" noTenant"}},
		{"no tenant on the webhook", post(webhook, "no-tid", established), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"no keys yet: try again", post(callPath, "early", established), nil, 503, nil, []string{" unknownKey"}},
		{"a stranger's body is not read", post(callPath, "issuer", "<html>"), nil, 403, nil, []string{" issuer"}},

		{"no JSON", post(callPath, "good", "<html>"), nil, 400, nil, []string{" unreadable"}},
		{"an empty body", post(callPath, "good", ""), nil, 400, nil, []string{" unreadable"}},
		{"JSON of something else", post(callPath, "good", `{"a":1}`), nil, 400, nil, []string{" unreadable"}},
		{"the largest body", post(callPath, "good", established+strings.Repeat(" ", 4<<10-len(established))), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"one byte more", post(callPath, "good", established+strings.Repeat(" ", 4<<10-len(established)+1)), nil, 413, nil, []string{" tooLarge"}},

		{"GET", method("GET"), nil, 405, nil, []string{" notFound"}},
		{"PUT", method("PUT"), nil, 405, nil, []string{" notFound"}},
		{"another path", post("/hooks/v1/other", "good", established), nil, 404, nil, []string{" notFound"}},
		{"a proxy took the base path away", post(strings.TrimPrefix(callPath, "/hooks"), "good", established), nil, 202, []string{"m-1.0"}, []string{"state stored"}},
		{"a proxy took half a segment away", post("/oks/v1/notifications", "good", established), nil, 404, nil, []string{" notFound"}},
		{"a base path of somebody else", post("/other/v1/notifications", "good", established), nil, 404, nil, []string{" notFound"}},
		{"a name that only begins alike", post(webhook+"x", "good", established), nil, 404, nil, []string{" notFound"}},
		{"too few segments", post(webhook+"/crm/order/id", "good", established), nil, 404, nil, []string{" notFound"}},
		{"too many segments", post(callPath+"/more", "good", established), nil, 404, nil, []string{" notFound"}},
		{"an attempt that is no number", post(webhook+"/crm/order/id/one", "good", established), nil, 404, nil, []string{" notFound"}},
		{"a negative attempt", post(webhook+"/crm/order/id/-1", "good", established), nil, 404, nil, []string{" notFound"}},
		{"an attempt without end", post(webhook+"/crm/order/id/99999999999", "good", established), nil, 404, nil, []string{" notFound"}},
		{"a reserved producer", post(webhook+"/_incoming/order/id/1", "good", established), nil, 404, nil, []string{" notFound"}},
		{"a wildcard for a callRef", post(webhook+"/crm/*/id/1", "good", established), nil, 404, nil, []string{" notFound"}},
		{"a dot in an id", post(webhook+"/crm/order/a.b/1", "good", established), nil, 404, nil, []string{" notFound"}},

		{"nothing stored: send it again", post(callPath, "good", established), failing(0), 503, nil, []string{"state storeFailed"}},
		{"nothing stored and no message id: send it again", header(post(callPath, "good", established), messageHeader, ""), failing(0), 503, nil, []string{"state storeFailed"}},
		{"stored in part: send it again, the rest is tried all the same", post(callPath, "good", three), failing(1), 503,
			[]string{"m-1.0", "m-1.2"}, []string{"state stored", "roster storeFailed", "state stored"}},
		{"stored in part and no message id: again too", header(post(callPath, "good", three), messageHeader, ""), failing(1, 2), 503,
			[]string{byTime}, []string{"state stored", "roster storeFailed", "state storeFailed"}},
		{"more notifications than one body may hold", post(callPath, "good", "["+strings.Repeat("7,", MaxValues)+"7]"), nil, 413, nil, []string{" tooLarge"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, f := setup(t, nil)
			f.fail = tt.fail
			rec := httptest.NewRecorder()
			r.ServeHTTP(rec, tt.req)
			if rec.Code != tt.status {
				t.Errorf("status %d; want %d: %s", rec.Code, tt.status, rec.Body)
			}
			if diff := cmp.Diff(tt.ids, withoutHash(f.ids)); diff != "" {
				t.Errorf("event ids stored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.counted, f.counted); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			for _, c := range f.counted {
				if _, outcome, _ := strings.Cut(c, " "); !slices.Contains(Outcomes, outcome) {
					t.Errorf("outcome %q is not in Outcomes", outcome)
				}
			}
			switch allow, auth := rec.Header().Get("Allow"), rec.Header().Get("WWW-Authenticate"); {
			case (tt.status == 405) != (allow == "POST"), (tt.status == 401) != (auth == "Bearer"):
				t.Errorf("Allow %q, WWW-Authenticate %q with status %d", allow, auth, tt.status)
			}
			if tt.status == 202 && rec.Body.Len() > 0 {
				t.Errorf("202 with a body: %s", rec.Body)
			}
		})
	}
}

func TestEventOfACallURL(t *testing.T) {
	r, f := setup(t, nil)
	raw := value("updated", "", `{"state":"established"}`)
	req := post(CallPath(commands.Key{Producer: "crm", CallRef: "order-4711", ID: "01JDC9Z6M4Q8"}, 3), "good", body(raw))
	req.URL.Path = "/hooks" + req.URL.Path
	req.Header.Set("X-Microsoft-Skype-Chain-ID", "chain")
	// The registry is not asked: the URL says it all.
	f.lookErr = errors.New("bucket is down")
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, req)

	want := base
	want.Kind, want.ChangeType, want.State = commands.KindState, "updated", "established"
	want.CallID, want.CallChainID, want.Attempt, want.Raw = callID, "chain", 3, []byte(raw)
	if diff := cmp.Diff([]commands.Event{want}, f.stored); diff != "" || rec.Code != 202 {
		t.Errorf("status %d, events (-want +got):\n%s", rec.Code, diff)
	}
}

func TestWhoseTheWebhooksEventsAre(t *testing.T) {
	const (
		normal   = "57dab8b1894c409ab240bd8beae78896"
		instance = "11111111-aaaa-4bbb-8ccc-dddddddddddd"
	)
	incoming := func(data string) string {
		return value("created", "", `{"@odata.type":"#microsoft.graph.call","state":"incoming"`+data+`}`)
	}
	called := `,"targets":[{"identity":{"applicationInstance":{"id":"` + instance + `"}}}]`
	byTenant := map[string]string{strings.ToUpper(tenant): "desk"}
	byBoth := map[string]string{tenant: "desk", strings.ToUpper(instance): "hotline"}

	tests := []struct {
		name   string
		routes map[string]string
		known  bool
		token  string
		value  string
		want   commands.CallKey
	}{
		{"an incoming call is nobody's", nil, false, "good", incoming(""), commands.CallKey{Producer: "_incoming", CallRef: normal}},
		{"a known call is its owner's", byTenant, true, "good", incoming(""), commands.CallKey{Producer: "crm", CallRef: "order-1"}},
		{"a known call with its id in capitals", nil, true, "good",
			`{"resourceUrl":"/app/calls/57DAB8B1894C409AB240BD8BEAE78896","resourceData":{"state":"established"}}`, commands.CallKey{Producer: "crm", CallRef: "order-1"}},
		{"an incoming call of a routed tenant", byTenant, false, "good", incoming(""), commands.CallKey{Producer: "desk", CallRef: normal}},
		{"the tenant of the call, when the token has none", byTenant, false, "no-tid", incoming(`,"tenantId":"` + tenant + `"`), commands.CallKey{Producer: "desk", CallRef: normal}},
		{"the resource account beats the tenant", byBoth, false, "good", incoming(called), commands.CallKey{Producer: "hotline", CallRef: normal}},
		{"its end tells that it came in", byTenant, false, "good", value("deleted", "", `{"direction":"incoming"}`), commands.CallKey{Producer: "desk", CallRef: normal}},
		{"an unknown call that did not come in is not routed", byTenant, false, "good", value("updated", "", `{"state":"established"}`), commands.CallKey{Producer: "_incoming", CallRef: normal}},
		{"no tenant, no route", byTenant, false, "no-tid", incoming(""), commands.CallKey{Producer: "_incoming", CallRef: normal}},
		{"no call at all", byTenant, false, "good", `{"resourceData":{}}`, commands.CallKey{Producer: "_incoming", CallRef: "_none"}},
		{"an id unfit for a subject", byTenant, true, "good", `{"resourceUrl":"/communications/calls/a.*.b","resourceData":{}}`,
			commands.CallKey{Producer: "_incoming", CallRef: "21c156de080cbbfa793defae33018225cf2f3c454627ff1c9e4647b919a8812e"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, f := setup(t, func(o *Options) { o.IncomingRoute = tt.routes })
			if tt.known {
				f.known = map[string]commands.CallKey{normal: {Producer: "crm", CallRef: "order-1"}}
			}
			rec := httptest.NewRecorder()
			r.ServeHTTP(rec, post(webhook, tt.token, body(tt.value)))
			if rec.Code != 202 || len(f.stored) != 1 {
				t.Fatalf("status %d, %d events; want 202 and 1", rec.Code, len(f.stored))
			}
			if diff := cmp.Diff(tt.want, f.stored[0].Call()); diff != "" {
				t.Errorf("owner (-want +got):\n%s", diff)
			}
			if f.stored[0].CommandID != "" || f.stored[0].Attempt != 0 {
				t.Errorf("a command is named where none is known: %+v", f.stored[0])
			}
		})
	}
}

func TestAnOwnerThatCannotBeFoundOutIsNotStored(t *testing.T) {
	r, f := setup(t, nil)
	f.lookErr = errors.New("bucket is down")
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, post(webhook, "good", body(value("updated", "", `{"state":"established"}`))))
	if rec.Code != 503 || f.appends != 0 {
		t.Errorf("status %d after %d appends; want 503 after none", rec.Code, f.appends)
	}
}

func TestStoringGoesOnWhenTheSenderGivesUp(t *testing.T) {
	r, f := setup(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	f.fail = func(int) error { cancel(); return nil }
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, post(callPath, "good", body(value("updated", "", `{}`), value("updated", "", `{}`))).WithContext(ctx))
	if len(f.stored) != 2 {
		t.Errorf("%d events stored; want 2", len(f.stored))
	}
}

func TestStoringEndsInTime(t *testing.T) {
	r, _ := setup(t, func(o *Options) {
		o.StoreTimeout = time.Millisecond
		o.Store = storeFunc(func(ctx context.Context, _ commands.Event, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		})
	})
	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, post(callPath, "good", body(value("updated", "", `{}`))))
	if rec.Code != 503 {
		t.Errorf("status %d; want 503", rec.Code)
	}
}

type storeFunc func(context.Context, commands.Event, string) error

func (f storeFunc) Append(ctx context.Context, e commands.Event, id string) error {
	return f(ctx, e, id)
}

// listen serves on a free port until the test ends and gives its URL.
func listen(t testing.TB, srv *Server) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown() = %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve() = %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

func TestASlowBodyIsCutOff(t *testing.T) {
	r, f := setup(t, func(o *Options) { o.ReadTimeout = 20 * time.Millisecond })
	url := listen(t, NewServer(r, ServerOptions{}))
	pipe, body := io.Pipe()
	defer body.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+callPath, pipe)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer good")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout || len(f.stored) != 0 {
		t.Errorf("status %d; want 408", resp.StatusCode)
	}
	if diff := cmp.Diff([]string{" tooSlow"}, f.counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestLogsAreFewAndTellNothing(t *testing.T) {
	r, f := setup(t, nil)
	secret := body(value("updated", "", `{"state":"established","source":{"identity":{"phone":{"id":"+4930123456"}}}}`))
	f.fail = func(int) error { return errors.New("stream is down") }
	for range 10 {
		r.ServeHTTP(httptest.NewRecorder(), post(callPath, "badSignature", secret))
		r.ServeHTTP(httptest.NewRecorder(), post(callPath, "good", secret))
		r.ServeHTTP(httptest.NewRecorder(), post(callPath, "good", secret[1:]))
	}
	logged := f.log.String()
	if n := strings.Count(logged, "\n"); n != 3 {
		t.Errorf("%d lines logged; want one for each kind of trouble:\n%s", n, logged)
	}
	for _, word := range []string{"+4930123456", "4930", "Bearer", "established"} {
		if strings.Contains(logged, word) {
			t.Errorf("log tells %q:\n%s", word, logged)
		}
	}
}

func TestNewReceiverRefusesOptions(t *testing.T) {
	f := &fakes{}
	good := Options{Auth: verifier{}, Store: f, Lookup: f.lookup}
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no auth", func(o *Options) { o.Auth = nil }, "needs Auth"},
		{"no store", func(o *Options) { o.Store = nil }, "needs Auth, Store"},
		{"no lookup", func(o *Options) { o.Lookup = nil }, "Lookup"},
		{"a relative base path", func(o *Options) { o.BasePath = "hooks" }, "begin with /"},
		{"a route to a reserved producer", func(o *Options) { o.IncomingRoute = map[string]string{"t": "_x"} }, "reserved"},
		{"a route of nothing", func(o *Options) { o.IncomingRoute = map[string]string{"": "crm"} }, "tenant or instance"},
		{"a negative limit", func(o *Options) { o.MaxBody = -1 }, "positive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := good
			tt.change(&opts)
			if r, err := NewReceiver(opts); r != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewReceiver() = %v, %v; want an error with %q", r, err, tt.want)
			}
		})
	}
	if _, err := NewReceiver(good); err != nil {
		t.Errorf("NewReceiver() = %v for the least options", err)
	}
}

// The whole way: a signed token over HTTP, through the server, to the store.
func TestSignedNotificationOverHTTP(t *testing.T) {
	key := testKeys()[0]
	auth := newAuth(t, AuthOptions{OIDCURLs: []string{serve(t, &issuer{keys: []map[string]any{jwk("k", key)}})}, Tenants: []string{tenant}})
	r, f := setup(t, func(o *Options) { o.Auth, o.BasePath = auth, "" })
	url := listen(t, NewServer(r, ServerOptions{}))

	send := func(signed string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			url+CallPath(commands.Key{Producer: "crm", CallRef: "c", ID: "i"}, 1), strings.NewReader(body(value("updated", "", `{"state":"established"}`))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+signed)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := send(token{kid: "k", key: key}.sign(t, time.Now())); got != 202 || len(f.stored) != 1 || f.stored[0].TenantID != tenant {
		t.Errorf("status %d, events %+v; want 202 and one of the tenant", got, f.stored)
	}
	if got := send(token{kid: "k", key: testKeys()[1]}.sign(t, time.Now())); got != 403 || len(f.stored) != 1 {
		t.Errorf("status %d for a forged token; want 403", got)
	}
}
