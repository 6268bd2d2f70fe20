package graph

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is what the fake Graph recorded of a request.
type seen struct {
	Method, URI, Body, Authorization string
	Header                           http.Header
	ContentLength                    int64
	RemoteAddr                       string
}

// fakeGraph answers with handle, which gets the request's number from 1, and
// records what came.
type fakeGraph struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
}

type handler func(w http.ResponseWriter, r *http.Request, n int)

func startGraph(t testing.TB, handle handler) *fakeGraph {
	t.Helper()
	f := &fakeGraph{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.requests = append(f.requests, seen{
			Method: r.Method, URI: r.RequestURI, Body: string(body), Header: r.Header,
			Authorization: r.Header.Get("Authorization"), ContentLength: r.ContentLength, RemoteAddr: r.RemoteAddr,
		})
		n := len(f.requests)
		f.mu.Unlock()
		handle(w, r, n)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeGraph) seen() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.requests...)
}

func (f *fakeGraph) base() string { return f.URL + "/v1.0" }

// newClient makes a client of the fake Graph with a fixed token, unless change
// says otherwise.
func newClient(t testing.TB, base string, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{BaseURL: base, StaticToken: "fixed-token", UserAgent: "callbus/1.2.3"}
	for _, c := range change {
		c(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// answering is a handler with the same answer for all.
func answering(status int, body string, header ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		reply(w, status, body, header...)
	}
}

func reply(w http.ResponseWriter, status int, body string, header ...string) {
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// golden is one of Microsoft's documented bodies.
func golden(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// wantError asserts that err is an *Error with the reason.
func wantError(t testing.TB, err error, want Reason) *Error {
	t.Helper()
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("error = %v (%T); want an *Error with reason %s", err, err, want)
	}
	if e.Reason != want {
		t.Fatalf("error = %v with reason %s; want %s", e, e.Reason, want)
	}
	if strings.ContainsAny(e.Error(), "\r\n") {
		t.Errorf("Error() = %q; want one line", e.Error())
	}
	return e
}

const createBody = `{"@odata.type":"#microsoft.graph.call","callbackUri":"https://bot.contoso.com/cb"}`

var createRequest = Request{Operation: CreateCall, Body: []byte(createBody)}
