package callbacks

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// door is a listener that has at most max connections open. When one more
// comes, the connection that has waited longest for a request, or for the rest of
// its header, makes room: strangers who hold connections open must not keep Graph
// out. Only when every connection has a request in hand is the new one not let in.
type door struct {
	net.Listener
	max   int
	tls   bool   // TLS is spoken behind it: no answer can be given in passing
	noted func() // a connection was turned away

	mu      sync.Mutex
	open    int
	waiting list.List // of *guest, the one that waits longest first
}

// guest is a connection that came in.
type guest struct {
	net.Conn
	door *door

	// Guarded by the door's mu.
	seat  *list.Element // in waiting; nil while a request is in hand
	known bool          // it has sent a whole header before
	left  bool
}

// Accept waits for the next connection that may come in.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g := &guest{Conn: conn, door: d}
		away := d.admit(g)
		if away != nil {
			d.noted() // whoever was told can rely on having been counted
			away.turnAway()
		}
		if away != g {
			return g, nil
		}
	}
}

// admit lets g in and returns the guest that has to go for it, which is g itself
// when all others have a request in hand, and nil when there is room.
func (d *door) admit(g *guest) (away *guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open >= d.max {
		first := d.waiting.Front()
		if first == nil {
			g.left = true
			return g
		}
		away = first.Value.(*guest)
		away.leaveLocked()
	}
	d.open++
	g.seat = d.waiting.PushBack(g)
	return away
}

const tooManyConnections = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n\r\n" + tooManyText + "\n"

const tooManyText = "too many connections"

// turnAway closes the connection. One that has not asked for anything yet is
// told why; on another a late word would be taken for an answer.
func (g *guest) turnAway() {
	if !g.door.tls && !g.known {
		_ = g.Conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = g.Conn.Write([]byte(tooManyConnections))
	}
	_ = g.Conn.Close()
}

// Close makes room.
func (g *guest) Close() error {
	g.door.mu.Lock()
	g.leaveLocked()
	g.door.mu.Unlock()
	return g.Conn.Close()
}

// CloseWrite lets the server say its last word before it closes on a body that
// it does not want to read.
func (g *guest) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

func (g *guest) leaveLocked() {
	if g.left {
		return
	}
	g.left = true
	g.door.open--
	g.standLocked()
}

func (g *guest) standLocked() {
	if g.seat != nil {
		g.door.waiting.Remove(g.seat)
		g.seat = nil
	}
}

// busy says that a request is in hand.
func (g *guest) busy() {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	g.known = true
	g.standLocked()
}

// idle says that the request has been answered.
func (g *guest) idle() {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	if !g.left && g.seat == nil {
		g.seat = g.door.waiting.PushBack(g)
	}
}

// onState is an [http.Server]'s ConnState. A connection counts as active there
// from the end of a request's header.
func onState(conn net.Conn, state http.ConnState) {
	g := guestOf(conn)
	if g == nil {
		return
	}
	switch state {
	case http.StateActive:
		g.busy()
	case http.StateIdle:
		g.idle()
	}
}

func guestOf(conn net.Conn) *guest {
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn()
	}
	g, _ := conn.(*guest)
	return g
}

type guestKey struct{}

// withGuest is an [http.Server]'s ConnContext.
func withGuest(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, guestKey{}, guestOf(conn))
}

// idleAfter marks the connection as idle when the handler is done: what follows
// may be a second of reading a refused body.
func idleAfter(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.ServeHTTP(w, req)
		if g, ok := req.Context().Value(guestKey{}).(*guest); ok && g != nil {
			g.idle()
		}
	})
}
