package executor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"callbus/internal/graph"
	"callbus/internal/ports"
)

// probe causes a kind of failure and returns what the client makes of it, an
// error for each way it can come about.
type probe func(t *testing.T, d *graphDesk, name string) []*graph.Error

// graphDesk is a Graph that answers what the test wants, and its real client.
type graphDesk struct {
	client *graph.Client
	url    string

	mu     sync.Mutex
	answer http.HandlerFunc
	seen   map[graph.Reason]bool
}

func openGraphDesk(t *testing.T) *graphDesk {
	t.Helper()
	d := &graphDesk{seen: map[graph.Reason]bool{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		answer := d.answer
		d.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(srv.Close)
	d.url = srv.URL + "/v1.0"
	d.client = newClient(t, graph.Options{BaseURL: d.url, StaticToken: "fixed"})
	return d
}

func newClient(t *testing.T, o graph.Options) *graph.Client {
	t.Helper()
	c, err := graph.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// ask sends a request that creates a call and returns what went wrong.
func (d *graphDesk) ask(ctx context.Context, t *testing.T, c *graph.Client, guard func() error) *graph.Error {
	t.Helper()
	resp, err := c.Do(ctx, graph.Request{Operation: graph.CreateCall, TenantID: "home", Body: []byte(`{}`), Guard: guard})
	e, ok := errors.AsType[*graph.Error](err)
	if !ok {
		t.Fatalf("Do() = %v, %v; want a *graph.Error", resp, err)
	}
	d.seen[e.Reason] = true
	return e
}

// answers has Graph answer every status and code of the row's name.
func (d *graphDesk) answers(t *testing.T, name string, header http.Header, words bool) (all []*graph.Error) {
	t.Helper()
	statuses, codes := numbers(t, name)
	try := func(status int, code string) {
		d.mu.Lock()
		d.answer = func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range header {
				w.Header()[name] = values
			}
			w.WriteHeader(status)
			if words {
				fmt.Fprintf(w, `{"error":{"code":%q,"message":"said so"}}`, code)
			}
		}
		d.mu.Unlock()
		e := d.ask(t.Context(), t, d.client, nil)
		if e.Status != status || words && e.Code != code {
			t.Errorf("%s: Graph answered %d %s, the client says %v", name, status, code, e)
		}
		all = append(all, e)
	}
	for _, status := range statuses {
		try(status, "SaidSo")
	}
	for _, code := range codes {
		try(http.StatusBadRequest, code) // the code decides, whatever the status
	}
	return all
}

func saidSo(t *testing.T, d *graphDesk, name string) []*graph.Error {
	return d.answers(t, name, nil, true)
}

func saidNothing(t *testing.T, d *graphDesk, name string) []*graph.Error {
	return d.answers(t, name, nil, false)
}

func saidWhen(t *testing.T, d *graphDesk, name string) []*graph.Error {
	return d.answers(t, name, http.Header{"Retry-After": {"7"}}, false)
}

func page(t *testing.T, d *graphDesk, name string) []*graph.Error {
	return d.answers(t, name, http.Header{"Content-Type": {"text/html"}}, false)
}

func noAnswer(t *testing.T, d *graphDesk, _ string) []*graph.Error {
	d.mu.Lock()
	d.answer = func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	d.mu.Unlock()
	cut := d.ask(t.Context(), t, d.client, nil)

	release := make(chan struct{})
	d.mu.Lock()
	d.answer = func(http.ResponseWriter, *http.Request) { <-release }
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	late := d.ask(ctx, t, d.client, nil)
	close(release)
	return []*graph.Error{cut, late}
}

func guardRefuses(t *testing.T, d *graphDesk, _ string) (all []*graph.Error) {
	for _, reason := range []error{errStopping, errLeaseLost} {
		all = append(all, d.ask(t.Context(), t, d.client, func() error { return reason }))
	}
	return all
}

func noToken(t *testing.T, d *graphDesk, _ string) []*graph.Error {
	c := newClient(t, graph.Options{BaseURL: d.url, TokenFile: filepath.Join(t.TempDir(), "none")})
	return []*graph.Error{d.ask(t.Context(), t, c, nil)}
}

func noConnection(t *testing.T, d *graphDesk, _ string) []*graph.Error {
	nobody, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	c := newClient(t, graph.Options{BaseURL: "http://" + nobody + "/v1.0", StaticToken: "fixed"})
	return []*graph.Error{d.ask(t.Context(), t, c, nil)}
}

func cutBefore(t *testing.T, d *graphDesk, _ string) []*graph.Error {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return []*graph.Error{d.ask(ctx, t, d.client, nil)}
}
