package graph

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callbus/internal/ports"
)

var keepAliveRequest = Request{Operation: KeepAlive, CallID: "c1"}

func TestGuardThatRefusesStopsEveryRequest(t *testing.T) {
	refusal := errors.New("lease lost")
	for name, r := range map[string]Request{
		"a POST with a body":    createRequest,
		"a POST without a body": keepAliveRequest,
		"a GET":                 {Operation: GetCall, CallID: "c1"},
		"a DELETE":              {Operation: DeleteCall, CallID: "c1"},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				var requests, conns atomic.Int32
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					reply(w, 200, `{"id":"c1"}`)
				})
				server, transport := httptest.NewUnstartedServer(h), http.RoundTripper(nil)
				server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						conns.Add(1)
					}
				}
				if secure {
					server.StartTLS()
					transport = server.Client().Transport
				} else {
					server.Start()
				}
				t.Cleanup(server.Close)
				c := newClient(t, server.URL+"/v1.0", func(o *Options) { o.Transport = transport })
				// A request before makes the connection one that net/http would
				// replace by itself.
				if _, err := c.Do(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				asked := 0
				guarded := r
				guarded.Guard = func() error { asked++; return refusal }
				_, err := c.Do(t.Context(), guarded)
				e := wantError(t, err, Guarded)
				if !errors.Is(err, refusal) || e.Sent != NotSent || !e.Definite() || asked != 1 {
					t.Errorf("error = %+v after %d questions; want it not sent, with the guard's error, asked once", e, asked)
				}
				server.Close() // waits for requests under way
				if n, m := requests.Load(), conns.Load(); n != 1 || m != 1 {
					t.Errorf("Graph saw %d requests on %d connections; want the first alone", n, m)
				}
			})
		}
	}
}

func TestGuardIsAskedWhenAConnectionIsThere(t *testing.T) {
	var connected atomic.Bool
	g := startGraph(t, answering(201, `{"id":"c1"}`))
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		connected.Store(true)
		return conn, err
	}}
	c := newClient(t, g.base(), func(o *Options) { o.Transport = transport })
	r := createRequest
	r.Guard = func() error {
		if !connected.Load() {
			t.Error("guard asked before there was a connection")
		}
		if n := len(g.seen()); n != 0 {
			t.Errorf("guard asked after %d requests had arrived", n)
		}
		return nil
	}
	if _, err := c.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := len(g.seen()); n != 1 {
		t.Errorf("Graph saw %d requests; want 1", n)
	}
}

func TestGuardThatOutlivesTheContextTellsTheTruth(t *testing.T) {
	g := startGraph(t, answering(201, `{"id":"c1"}`))
	c := newClient(t, g.base())
	ctx, cancel := context.WithCancel(t.Context())
	r := createRequest
	r.Guard = func() error { cancel(); return nil }
	_, err := c.Do(ctx, r)
	// The guard allowed it; whether the connection is torn down before the
	// request, before the answer or not in time for either is a race. What is
	// reported must agree with what Graph saw.
	g.Close()
	n := len(g.seen())
	if err == nil {
		if n != 1 {
			t.Errorf("Do() = nil; Graph saw %d requests, want 1", n)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Do() = %v; want an *Error", err)
	}
	if n != 0 && e.Definite() {
		t.Errorf("error %v says that nothing was sent; Graph saw %d requests", e, n)
	}
}

// scriptedServer accepts connections and hands each to the next script; it
// counts the requests whose header it could read.
func scriptedServer(t *testing.T, scripts ...func(net.Conn, *bufio.Reader)) (base string, accepted *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = new(atomic.Int32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, script := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			script(conn, bufio.NewReader(conn))
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String() + "/v1.0", accepted
}

// takeRequest reads one request, with its body.
func takeRequest(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

const rawOK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"id\":\"c1\"}"

func TestLostAnswers(t *testing.T) {
	cutBefore := func(_ net.Conn, r *bufio.Reader) { takeRequest(r) }
	reset := func(c net.Conn, r *bufio.Reader) {
		takeRequest(r)
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	raw := func(s string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) {
			takeRequest(r)
			_, _ = io.WriteString(c, s)
		}
	}
	get := Request{Operation: GetCall, CallID: "c1"}
	for _, row := range []struct {
		name     string
		request  Request
		script   func(net.Conn, *bufio.Reader)
		reason   Reason
		sent     Sent
		status   int
		location string
	}{
		{"connection cut before the answer", createRequest, cutBefore, Lost, MaybeSent, 0, ""},
		{"connection reset before the answer", createRequest, reset, Lost, MaybeSent, 0, ""},
		{"a read whose answer is lost", get, cutBefore, Lost, MaybeSent, 0, ""},
		{"half a status line", createRequest, raw("HTTP/1.1 20"), Lost, MaybeSent, 0, ""},
		{"something that is not HTTP", createRequest, raw("220 smtp.contoso.com ready\r\n\r\n"), Lost, MaybeSent, 0, ""},
		{"a body cut short keeps the call's id", createRequest,
			raw("HTTP/1.1 201 Created\r\nLocation: https://x/calls/c9\r\nContent-Length: 100\r\n\r\n{\"id\":"), Unreadable, Answered, 201, "https://x/calls/c9"},
		{"an error body cut short still counts", createRequest,
			raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n{\"error\":"), Forbidden, Answered, 403, ""},
		{"a 201 that says nothing", createRequest, raw("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"), Unreadable, Answered, 201, ""},
		{"a 200 with a page of HTML", get, raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), Unreadable, Answered, 200, ""},
		{"a list without value", Request{Operation: ListContentSharingSessions, CallID: "c"}, raw(rawOK), Unreadable, Answered, 200, ""},
		{"a redirect is not followed", createRequest,
			raw("HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), Unreadable, Answered, 307, "/elsewhere"},
	} {
		t.Run(row.name, func(t *testing.T) {
			base, accepted := scriptedServer(t, row.script, row.script)
			c := newClient(t, base)
			_, err := c.Do(t.Context(), row.request)
			e := wantError(t, err, row.reason)
			if e.Sent != row.sent || e.Status != row.status || e.Location != row.location {
				t.Errorf("error = %+v; want sent %d, status %d, location %q", e, row.sent, row.status, row.location)
			}
			if definite := row.reason == Forbidden; e.Definite() != definite {
				t.Errorf("Definite() = %v; want %v", e.Definite(), definite)
			}
			if e.ClientRequestID == "" || e.Duration <= 0 || e.Operation != row.request.Operation {
				t.Errorf("error = %+v; want it to identify the request", e)
			}
			if n := accepted.Load(); n != 1 {
				t.Errorf("server saw %d connections; want 1", n)
			}
		})
	}
}

func TestStatusIsEnoughWhereNoBodyIsExpected(t *testing.T) {
	base, _ := scriptedServer(t, func(c net.Conn, r *bufio.Reader) {
		takeRequest(r)
		_, _ = io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nAccep")
	})
	resp, err := newClient(t, base).Do(t.Context(), Request{Operation: Redirect, CallID: "c1", Body: []byte(`{"targets":[]}`)})
	if err != nil || resp.Status != 202 || resp.Body != nil {
		t.Errorf("Do() = %+v, %v; want 202 without a body", resp, err)
	}
}

// A server may close an idle connection just when the next request is on its
// way. net/http repeats some requests then by itself; whatever may have been
// executed must not be.
func TestNothingIsSentTwiceOnADeadIdleConnection(t *testing.T) {
	for _, r := range []Request{createRequest, keepAliveRequest, {Operation: GetCall, CallID: "c1"}, {Operation: DeleteCall, CallID: "c1"}} {
		t.Run(string(r.Operation), func(t *testing.T) {
			var requests atomic.Int32
			base, _ := scriptedServer(t,
				func(c net.Conn, b *bufio.Reader) {
					for i := range 2 {
						if !takeRequest(b) {
							return
						}
						requests.Add(1)
						if i == 0 {
							_, _ = io.WriteString(c, rawOK)
						}
					}
				},
				func(c net.Conn, b *bufio.Reader) {
					if takeRequest(b) {
						requests.Add(1)
						_, _ = io.WriteString(c, rawOK)
					}
				})
			c := newClient(t, base)
			if _, err := c.Do(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			_, err := c.Do(t.Context(), r)
			e := wantError(t, err, Lost)
			if e.Sent != MaybeSent || e.Definite() {
				t.Errorf("error = %+v; want it possibly sent", e)
			}
			if n := requests.Load(); n != 2 {
				t.Errorf("server saw %d requests; want 2, none of them repeated", n)
			}
		})
	}
}

func TestStaleConnectionIsNotUsedForACreate(t *testing.T) {
	g := startGraph(t, answering(200, `{"id":"c1"}`))
	transport := watchTransport(defaultTransport(), staleAfter)
	var conns []*watchedConn
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			conns = append(conns, conn.(*watchedConn))
		}
		return conn, err
	}
	c := newClient(t, g.base())
	c.wire.base = transport
	asked := 0
	do := func(r Request) {
		t.Helper()
		r.Guard = func() error { asked++; return nil }
		if _, err := c.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		for _, conn := range conns {
			conn.used.Store(0) // idle since 1970
		}
	}
	do(createRequest)
	do(keepAliveRequest)
	do(createRequest)
	all := g.seen()
	if len(all) != 3 || asked != 3 {
		t.Fatalf("Graph saw %d requests, guard was asked %d times; want 3 of each", len(all), asked)
	}
	if all[1].RemoteAddr != all[0].RemoteAddr {
		t.Error("keepAlive, which may be repeated, did not use the idle connection")
	}
	if all[2].RemoteAddr == all[0].RemoteAddr {
		t.Error("create used a connection that was idle for long")
	}
}

func TestWhatNeverConnectedWasNotSent(t *testing.T) {
	nobody, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	refused := "http://" + nobody + "/v1.0"
	plain := startGraph(t, answering(200, `{}`))
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = discardLog
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, base := range map[string]string{
		"connection refused":       refused,
		"TLS to a plain server":    strings.Replace(plain.base(), "http:", "https:", 1),
		"an untrusted certificate": secure.URL + "/v1.0",
		"no such host":             "https://graph.invalid./v1.0",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, base, func(o *Options) {
				if name == "no such host" { // no query leaves the machine
					o.StaticToken, o.Credential = "", fixedCredential("t")
					o.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
						return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "graph.invalid.", IsNotFound: true}}
					}}
				}
			})
			_, err := c.Do(t.Context(), createRequest)
			e := wantError(t, err, ConnectFailed)
			if e.Sent != NotSent || !e.Definite() || e.Err == nil {
				t.Errorf("error = %+v; want it not sent and definite", e)
			}
		})
	}
}

func TestContexts(t *testing.T) {
	arrived := make(chan struct{}, 1)
	hold := make(chan struct{})
	g := startGraph(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		arrived <- struct{}{}
		<-hold
	})
	t.Cleanup(func() { close(hold) }) // before the server's Close
	c := newClient(t, g.base())

	t.Run("cancelled before anything was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stopping")
		cancel(stop)
		_, err := c.Do(ctx, createRequest)
		if e := wantError(t, err, Cancelled); e.Sent != NotSent || !errors.Is(err, stop) {
			t.Errorf("error = %+v; want it not sent, with the cause", e)
		}
	})
	t.Run("cancelled after the request left", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		_, err := c.Do(ctx, createRequest)
		if e := wantError(t, err, Lost); e.Sent != MaybeSent || !errors.Is(err, context.Canceled) {
			t.Errorf("error = %+v; want it possibly sent", e)
		}
	})
	t.Run("the context's deadline is the request's", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := c.Do(ctx, createRequest)
		<-arrived
		if e := wantError(t, err, Lost); !errors.Is(err, context.DeadlineExceeded) || e.Duration < 50*time.Millisecond {
			t.Errorf("error = %+v; want it after the deadline", e)
		}
	})
	t.Run("without a deadline the option's timeout counts", func(t *testing.T) {
		c := newClient(t, g.base(), func(o *Options) { o.Timeout = 50 * time.Millisecond })
		_, err := c.Do(context.Background(), createRequest)
		<-arrived
		if e := wantError(t, err, Lost); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %+v; want the deadline", e)
		}
	})
	t.Run("a connect that hangs was not sent", func(t *testing.T) {
		c := newClient(t, g.base(), func(o *Options) {
			o.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := c.Do(ctx, createRequest)
		if e := wantError(t, err, ConnectFailed); e.Sent != NotSent || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %+v; want it not sent, after the deadline", e)
		}
	})
}

// roundTripper is a transport whose connections nobody can watch.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestForeignTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newClient(t, "http://127.0.0.1:1/v1.0", func(o *Options) {
			o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				calls++
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		r := createRequest
		r.Guard = func() error { return errors.New("no") }
		_, err := c.Do(t.Context(), r)
		wantError(t, err, Guarded)
		if calls != 0 {
			t.Errorf("transport was called %d times; want 0", calls)
		}
		start := time.Now()
		_, err = c.Do(t.Context(), createRequest)
		if e := wantError(t, err, Lost); e.Sent != MaybeSent {
			t.Errorf("error = %+v; want it possibly sent", e)
		}
		if took := time.Since(start); took != DefaultTimeout {
			t.Errorf("Do() took %v; want %v", took, DefaultTimeout)
		}
	})
}

func TestAnswerThatCameWithTheCancellationCounts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newClient(t, "http://127.0.0.1:1/v1.0", func(o *Options) {
		o.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			cancel()
			w := httptest.NewRecorder()
			reply(w, 201, `{"id":"c1"}`)
			return w.Result(), nil
		})
	})
	if resp, err := c.Do(ctx, createRequest); err != nil || resp.Status != 201 {
		t.Errorf("Do() = %+v, %v; want the answer: the call exists", resp, err)
	}
}

func TestHTTP2IsNotSpoken(t *testing.T) {
	protocols := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols <- r.Proto
		reply(w, 200, `{"id":"c1"}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	c := newClient(t, server.URL+"/v1.0", func(o *Options) { o.Transport = server.Client().Transport })
	if _, err := c.Do(t.Context(), createRequest); err != nil {
		t.Fatal(err)
	}
	if got := <-protocols; got != "HTTP/1.1" {
		t.Errorf("spoke %s; want HTTP/1.1", got)
	}
}

func TestProxiedRequestsAreWatchedToo(t *testing.T) {
	g := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(w, 200, `{"id":"c1"}`) }))
	t.Cleanup(g.Close)
	proxy := httptest.NewServer(http.HandlerFunc(tunnel))
	t.Cleanup(proxy.Close)
	transport := g.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	c := newClient(t, g.URL+"/v1.0", func(o *Options) { o.Transport = transport })
	if _, err := c.Do(t.Context(), createRequest); err != nil {
		t.Fatal(err)
	}
	r := createRequest
	r.Guard = func() error { return errors.New("no") }
	_, err := c.Do(t.Context(), r)
	wantError(t, err, Guarded)
}

func TestTooLargeAnAnswer(t *testing.T) {
	huge := `{"id":"` + strings.Repeat("a", maxAnswer) + `"}`
	g := startGraph(t, answering(200, huge))
	_, err := newClient(t, g.base()).Do(t.Context(), Request{Operation: GetCall, CallID: "c"})
	if e := wantError(t, err, Unreadable); e.Status != 200 || !strings.Contains(e.Error(), "larger than") {
		t.Errorf("error = %v", e)
	}
	g = startGraph(t, answering(500, huge))
	_, err = newClient(t, g.base()).Do(t.Context(), Request{Operation: GetCall, CallID: "c"})
	wantError(t, err, ServerError)
}

func TestObserverSeesEveryRequest(t *testing.T) {
	type event struct {
		op     Operation
		status int
		code   string
	}
	var events []event
	g := startGraph(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			reply(w, 201, `{"id":"c1"}`)
			return
		}
		reply(w, 404, golden(t, "error.404-8522-call-not-found.json"), "request-id", "h1", "Retry-After", "1.5")
	})
	c := newClient(t, g.base(), func(o *Options) {
		o.OnRequest = func(_ context.Context, a Attempt) {
			if a.Duration <= 0 || a.ClientRequestID == "" {
				t.Errorf("attempt = %+v", a)
			}
			events = append(events, event{a.Operation, a.Status, a.Code})
		}
	})
	if _, err := c.Do(t.Context(), createRequest); err != nil {
		t.Fatal(err)
	}
	r := keepAliveRequest
	r.ClientRequestID = "mine"
	_, err := c.Do(t.Context(), r)
	e := wantError(t, err, NotFound)
	if e.RequestID != "h1" || e.ClientRequestID != "mine" || !e.HasRetryAfter || e.RetryAfter != 1500*time.Millisecond {
		t.Errorf("error = %+v", e)
	}
	c.Close() // or the request may leave on the connection that the server closes
	g.Close()
	_, err = c.Do(t.Context(), createRequest)
	wantError(t, err, ConnectFailed)
	guarded := createRequest
	guarded.Guard = func() error { return errors.New("no") }
	_, err = newClient(t, startGraph(t, answering(201, `{}`)).base(), func(o *Options) { o.OnRequest = c.onRequest }).Do(t.Context(), guarded)
	wantError(t, err, Guarded)
	want := []event{{CreateCall, 201, ""}, {KeepAlive, 404, "8522"}, {CreateCall, 0, ""}}
	if len(events) != len(want) {
		t.Fatalf("events = %v; want %v", events, want)
	}
	for i := range want {
		if events[i] != want[i] {
			t.Errorf("event %d = %v; want %v", i, events[i], want[i])
		}
	}
}
