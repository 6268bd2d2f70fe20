package graph

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// watchTransport returns a copy of t whose connections know which exchange they
// carry, so that the first byte of a request can be held back and seen leaving.
//
// The copy speaks HTTP/1.1 alone. On an HTTP/2 connection nobody outside
// net/http can tell whether one stream's bytes have left, net/http repeats
// streams by itself after GOAWAY, and one broken connection would lose the
// answers to all requests in flight instead of one.
func watchTransport(t *http.Transport, stale time.Duration) *http.Transport {
	t = t.Clone()
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = nil
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)

	dial := t.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	dialTLS := t.DialTLSContext
	if dialTLS == nil {
		dialTLS = tlsDialer(dial, t.TLSClientConfig)
	}
	watch := func(dial dialFunc) dialFunc {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			w := &watchedConn{Conn: conn, staleAfter: stale}
			w.touch()
			return w, nil
		}
	}
	t.DialContext = watch(dial)
	// Watching above TLS sees the request and nothing else. Only behind a proxy
	// does net/http speak TLS by itself, over a connection watched below it;
	// there a closing alert counts as a byte of the request, on the safe side.
	t.DialTLSContext = watch(dialTLS)
	return t
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

func tlsDialer(dial dialFunc, config *tls.Config) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conf := config.Clone() // of nil is nil
		if conf == nil {
			conf = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		conf.NextProtos = []string{"http/1.1"}
		if conf.ServerName == "" {
			if conf.ServerName, _, err = net.SplitHostPort(addr); err != nil {
				raw.Close()
				return nil, err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn := tls.Client(raw, conf)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		return conn, nil
	}
}

// watchedConn asks its exchange before it writes. net/http hands a connection
// to one request at a time, so there is one exchange.
type watchedConn struct {
	net.Conn
	staleAfter time.Duration

	exchange atomic.Pointer[exchange]
	used     atomic.Int64  // Unix nanoseconds of the last byte that came or the dial
	idle     time.Duration // when the exchange was attached
}

// attach makes x the exchange that conn carries. It runs on the goroutine of
// the request, before net/http's write loop sees it.
func attach(conn net.Conn, x *exchange) {
	for under := conn; under != nil; {
		if w, ok := under.(*watchedConn); ok {
			w.idle = time.Since(time.Unix(0, w.used.Load()))
			w.exchange.Store(x)
			return
		}
		wrapped, ok := under.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		under = wrapped.NetConn()
	}
	// Not reached with the dialers above. Better a request that never leaves
	// than one that nobody sees leaving.
	x.cancel(errFinished)
	conn.Close()
}

func (w *watchedConn) touch() { w.used.Store(time.Now().UnixNano()) }

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.touch()
	}
	return n, err
}

// Write lets the request pass if its exchange does. An error before the first
// byte makes net/http try another connection, if this one was not its first.
func (w *watchedConn) Write(p []byte) (int, error) {
	x := w.exchange.Load()
	if x == nil {
		return w.Conn.Write(p) // TLS or proxy handshake
	}
	if err := x.mayWrite(w, w.idle > w.staleAfter); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(p)
	x.written(n)
	return n, err
}
