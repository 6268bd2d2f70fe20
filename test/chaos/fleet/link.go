package fleet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// link is one connection through a proxy.
type link struct {
	ctx    context.Context // ends with the link
	cancel context.CancelFunc
	front  *net.TCPConn

	mu   sync.Mutex
	back *net.TCPConn // nil until dialled
}

func newLink(front *net.TCPConn) *link {
	l := &link{front: front}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// attach adds the connection to the target, unless the link has ended.
func (l *link) attach(back *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		_ = back.Close()
		return false
	}
	l.back = back
	return true
}

// reset ends both sides hard: what is on its way is lost, and they learn that it
// was no ordinary end.
func (l *link) reset() {
	l.mu.Lock()
	_ = l.front.SetLinger(0)
	if l.back != nil {
		_ = l.back.SetLinger(0)
	}
	l.mu.Unlock()
	l.close()
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	_ = l.front.Close()
	if l.back != nil {
		_ = l.back.Close()
	}
}

// chunkSize is the most that is read at once, in bytes.
const chunkSize = 64 << 10

// forward copies one direction of a link until its end, which it passes on.
func (p *Proxy) forward(l *link, dst, src *net.TCPConn) {
	buf := make([]byte, chunkSize)
	var line *delayLine // while there is a delay
	for {
		n, err := src.Read(buf)
		w := p.weather.Load()
		if line != nil && (w.delay+w.jitter <= 0 || err != nil) {
			line.drain()
			line = nil
		}
		if n > 0 {
			var ok bool
			if w.delay+w.jitter > 0 && err == nil {
				if line == nil {
					line = p.startLine(l, dst)
				}
				ok = line.push(bytes.Clone(buf[:n]), w.delay+upTo(w.jitter))
			} else {
				ok = p.write(l, dst, buf[:n])
			}
			if !ok {
				if line != nil {
					line.drain()
				}
				l.reset()
				return
			}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) || !p.gate(l) || dst.CloseWrite() != nil {
			l.reset()
		}
		return
	}
}

// write passes bytes on when the proxy is not frozen.
func (p *Proxy) write(l *link, dst *net.TCPConn, chunk []byte) bool {
	if !p.gate(l) {
		return false
	}
	_, err := dst.Write(chunk)
	return err == nil
}

func upTo(jitter time.Duration) time.Duration {
	if jitter <= 0 {
		return 0
	}
	return rand.N(jitter)
}

// delayLine passes chunks on in order, each when it is due.
type delayLine struct {
	link   *link
	chunks chan delayed
	last   time.Time // due time of the chunk before
	ended  chan struct{}
}

type delayed struct {
	due   time.Time
	chunk []byte
}

// lineLength bounds the chunks that wait; when it is full the sender waits too.
const lineLength = 1024

func (p *Proxy) startLine(l *link, dst *net.TCPConn) *delayLine {
	d := &delayLine{link: l, chunks: make(chan delayed, lineLength), ended: make(chan struct{})}
	go func() {
		defer close(d.ended)
		for c := range d.chunks {
			if !until(l.ctx, c.due) || !p.write(l, dst, c.chunk) {
				l.reset()
				return
			}
		}
	}()
	return d
}

// push adds a chunk; it is never due before the one before it. It is false when
// the link has ended.
func (d *delayLine) push(chunk []byte, delay time.Duration) bool {
	if due := time.Now().Add(delay); due.After(d.last) {
		d.last = due
	}
	select {
	case d.chunks <- delayed{d.last, chunk}:
		return true
	case <-d.link.ctx.Done():
		return false
	}
}

// drain waits until everything is passed on or the link has ended.
func (d *delayLine) drain() {
	close(d.chunks)
	<-d.ended
}

// until waits for a point in time; it is false when ctx ended before.
func until(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
