package callbacks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// stranger is a connection that sends what it is told to.
type stranger struct {
	net.Conn
	tb testing.TB
	in *bufio.Reader
}

func dial(tb testing.TB, url string) *stranger {
	tb.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return &stranger{conn, tb, bufio.NewReader(conn)}
}

func (s *stranger) send(text string) *stranger {
	s.tb.Helper()
	if _, err := io.WriteString(s, text); err != nil {
		s.tb.Fatal(err)
	}
	return s
}

// status reads an answer and gives its status, 0 when the connection was closed
// without one.
func (s *stranger) status() int {
	s.tb.Helper()
	resp, err := http.ReadResponse(s.in, nil)
	if err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			s.tb.Fatal("no answer, and the connection is open")
		}
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

// notification is a whole request with a token of the fake verifier.
func notification(token, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", callPath, token, len(body), body)
}

func TestOneConnectionTooMany(t *testing.T) {
	established := body(value("updated", "", `{"state":"established"}`))
	tests := []struct {
		name  string
		first func(s *stranger) // what the first of two connections does
		gets  int               // and what it is told when it has to go
	}{
		{"a silent connection makes room and is told", func(*stranger) {}, 503},
		{"half a header is silence", func(s *stranger) { s.send("POST / HTTP/1.1\r\nHost: x\r\nX: ") }, 503},
		{"an idle connection makes room and is just closed", func(s *stranger) {
			if got := s.send(notification("good", established)).status(); got != 202 {
				s.tb.Errorf("status %d; want 202", got)
			}
		}, 0},
		{"half a second request is idleness", func(s *stranger) {
			if got := s.send(notification("good", established)).status(); got != 202 {
				s.tb.Errorf("status %d; want 202", got)
			}
			s.send("POST / HTTP/1.1\r\nHost:")
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &counts{}
			r, _ := setup(t, nil)
			url := listen(t, NewServer(r, ServerOptions{MaxConnections: 2, Counter: c}))
			first := dial(t, url)
			tt.first(first)
			second := dial(t, url)
			if got := second.send(notification("good", established)).status(); got != 202 {
				t.Errorf("the second connection: status %d; want 202", got)
			}
			if got := dial(t, url).send(notification("good", established)).status(); got != 202 {
				t.Errorf("the third connection: status %d; want 202", got)
			}
			if got := first.status(); got != tt.gets {
				t.Errorf("the first connection: status %d; want %d", got, tt.gets)
			}
			if got := second.send(notification("good", established)).status(); got != 202 {
				t.Errorf("the second connection again: status %d; want 202", got)
			}
			if n := c.of(OutcomeTooManyConnections); n != 1 {
				t.Errorf("counted %d times; want once", n)
			}
		})
	}
}

func TestRequestsInHandAreNotCutOff(t *testing.T) {
	c := &counts{}
	arrived, goOn := make(chan struct{}), make(chan struct{})
	url := listen(t, NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-goOn
		w.WriteHeader(http.StatusAccepted)
	}), ServerOptions{MaxConnections: 2, Counter: c}))

	var busy []*stranger
	for range 2 {
		busy = append(busy, dial(t, url).send(notification("good", "{}")))
		<-arrived
	}
	if got := dial(t, url).status(); got != 503 {
		t.Errorf("with all connections busy: status %d; want 503", got)
	}
	if n := c.of(OutcomeTooManyConnections); n != 1 {
		t.Errorf("counted %d times; want once", n)
	}
	close(goOn)
	for i, s := range busy {
		if got := s.status(); got != 202 {
			t.Errorf("busy connection %d: status %d; want 202", i, got)
		}
	}
	go func() { <-arrived }()
	if got := dial(t, url).send(notification("good", "{}")).status(); got != 202 {
		t.Errorf("when they are done: status %d; want 202", got)
	}
}

// A refused body that never comes is waited for a second; until then its
// connection is the first to make room.
func TestARefusedBodyHoldsNoConnection(t *testing.T) {
	r, f := setup(t, nil)
	srv := NewServer(r, ServerOptions{MaxConnections: 1})
	handle, answered := srv.http.Handler, make(chan struct{}, 4)
	srv.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		handle.ServeHTTP(w, req)
		answered <- struct{}{}
	})
	url := listen(t, srv)
	for range 3 {
		dial(t, url).send("POST " + callPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer issuer\r\nContent-Length: 100\r\n\r\n{")
		<-answered
	}
	if got := dial(t, url).send(notification("good", `{"value":[7]}`)).status(); got != 202 {
		t.Errorf("status %d; want 202", got)
	}
	if len(f.stored) != 1 {
		t.Errorf("%d events stored; want 1", len(f.stored))
	}
}

// The last word of the server reaches a sender that goes on sending, and the
// end of the connection follows it at once.
func TestABodyThatIsTooLargeIsAnsweredBeforeItsEnd(t *testing.T) {
	r, _ := setup(t, nil)
	url := listen(t, NewServer(r, ServerOptions{}))
	s := dial(t, url).send("POST " + callPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat(" ", 8<<10))
	start := time.Now()
	if got := s.status(); got != 413 {
		t.Errorf("status %d; want 413", got)
	}
	if _, err := s.in.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v; want %v", err, io.EOF)
	}
	t.Logf("answered and ended in %v", time.Since(start))
}

// held is what n connections that send half a header did.
type held struct {
	heapBefore, heapAfter uint64 // bytes in use, both ends of all connections
	goroutines            int    // more than before
	turnedAway            int
	status                int // of a notification that came in the middle
	stored                int
}

func holdConnections(tb testing.TB, n, limit int) held {
	tb.Helper()
	c, f := &counts{}, &fakes{}
	r, err := NewReceiver(Options{BasePath: "/hooks", Auth: verifier{}, Store: f, Lookup: f.lookup, Counter: c})
	if err != nil {
		tb.Fatal(err)
	}
	url := listen(tb, NewServer(r, ServerOptions{MaxConnections: limit, Counter: c}))
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	h := held{heapBefore: inUse()}
	goroutines := runtime.NumGoroutine()
	conns := make([]net.Conn, 0, n)
	for range n {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			tb.Fatal(err)
		}
		conns = append(conns, conn)
		// One that was turned away at once may not take it any more.
		_, _ = io.WriteString(conn, "POST "+callPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+strings.Repeat("a", 1500))
	}
	h.status = dial(tb, url).send(notification("good", `{"value":[7]}`)).status()
	h.heapAfter, h.goroutines = inUse(), runtime.NumGoroutine()-goroutines
	h.turnedAway, h.stored = c.of(OutcomeTooManyConnections), len(f.stored)
	for _, conn := range conns {
		conn.Close()
	}
	return h
}

func (h held) check(tb testing.TB, n, limit int) {
	tb.Helper()
	if h.status != 202 || h.stored != 1 {
		tb.Errorf("a notification in the middle: status %d, %d events; want 202 and its own", h.status, h.stored)
	}
	if want := n + 1 - limit; h.turnedAway < want {
		tb.Errorf("%d connections turned away; want at least %d", h.turnedAway, want)
	}
	if h.goroutines > 2*limit {
		tb.Errorf("%d goroutines more; want at most two for each of %d connections", h.goroutines, limit)
	}
	// What a connection may cost: buffers, a header, and the sender's own end.
	if grown, may := int64(h.heapAfter)-int64(h.heapBefore), int64(limit*64<<10+n*2<<10); grown > may {
		tb.Errorf("memory grew by %d bytes; want at most %d", grown, may)
	}
}

func TestHeldConnectionsKeepNobodyOut(t *testing.T) {
	const n, limit = 1000, 50
	holdConnections(t, n, limit).check(t, n, limit)
}

// BenchmarkTenThousandConnections opens 10,000 connections that send half a
// header and nothing more to a receiver with the default limit. It fails when a
// notification that comes after them is not stored.
func BenchmarkTenThousandConnections(b *testing.B) {
	const n = 10_000
	var last held
	for b.Loop() {
		last = holdConnections(b, n, DefaultMaxConnections)
		last.check(b, n, DefaultMaxConnections)
	}
	b.ReportMetric(float64(last.heapBefore)/(1<<20), "MB-before")
	b.ReportMetric(float64(last.heapAfter)/(1<<20), "MB-after")
	b.ReportMetric(float64(last.turnedAway), "turned-away")
}
