package graph

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// idleTimeout is short so that a connection is closed by us and not, at the
	// moment of the next request, by Graph or by a device on the way.
	idleTimeout = 30 * time.Second
	// staleAfter is how long a connection may have been idle to carry a request
	// that must not be repeated.
	staleAfter = 10 * time.Second
	// maxIdle is enough for every worker slot to keep its connection.
	maxIdle = 256
	// maxAnswer bounds a 2xx body; maxErrorAnswer any other.
	maxAnswer      = 4 << 20
	maxErrorAnswer = 64 << 10
)

// wire is the last stage of the pipeline: it sends one request once and reads
// the answer whole. It never follows a redirect.
type wire struct {
	base    http.RoundTripper
	watched bool // base's connections are *watchedConn
}

func newWire(base http.RoundTripper) *wire {
	switch t := base.(type) {
	case nil:
		return &wire{base: watchTransport(defaultTransport(), staleAfter), watched: true}
	case *http.Transport:
		return &wire{base: watchTransport(t, staleAfter), watched: true}
	default:
		return &wire{base: base}
	}
}

// Do implements policy.Transporter.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	x := exchangeFrom(req.Context())
	if x == nil {
		return nil, errors.New("request without exchange")
	}
	// A reader for every attempt: the pipeline's own is one that all share.
	if req.Body = http.NoBody; len(x.body) > 0 {
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(x.body)), nil
		}
		req.Body, _ = req.GetBody() // cannot fail
	}
	if w.watched {
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { attach(info.Conn, x) },
		}))
	} else if err := x.mayBeSent(); err != nil {
		return nil, err
	}
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x.answer = readAnswer(resp)
	resp.Body = io.NopCloser(bytes.NewReader(x.answer.body))
	return resp, nil
}

func readAnswer(resp *http.Response) *rawAnswer {
	defer resp.Body.Close()
	limit := maxErrorAnswer
	if resp.StatusCode/100 == 2 {
		limit = maxAnswer
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	a := &rawAnswer{status: resp.StatusCode, header: resp.Header, body: body, err: err}
	if len(body) > limit {
		a.body, a.tooLong = body[:limit], true
	}
	return a
}

func (w *wire) closeIdle() {
	if t, ok := w.base.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func defaultTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConns:           2 * maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
