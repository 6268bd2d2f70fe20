package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Leg is one way through a proxy.
type Leg struct {
	Listen string // host:port; port 0 is a free one, kept from then on
	Target string // host:port
}

// Proxy passes TCP connections on, until it is told to cut, delay or freeze
// them. Make it with [StartProxy]. All methods may be called at any time, from
// any goroutine.
type Proxy struct {
	name    string
	legs    []leg
	weather atomic.Pointer[weather]

	change sync.Mutex // held while Cut, Heal or Close is at work

	mu        sync.Mutex
	down      bool // cut or closed
	closed    bool
	listeners []net.Listener
	links     map[*link]struct{}

	running sync.WaitGroup
}

type leg struct {
	listen string
	dial   func(context.Context) (net.Conn, error)
}

// weather is what happens to everything that goes through. It is replaced, never
// changed.
type weather struct {
	delay, jitter time.Duration
	thaw          chan struct{} // nil unless frozen; closed at the end of it
}

// dialTimeout is for the connection to a target, which is on this machine.
const dialTimeout = time.Second

// StartProxy listens and passes connections on until Close. Two legs are two
// ways through one proxy that are hurt together, such as both directions
// between two servers.
func StartProxy(name string, legs ...Leg) (*Proxy, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	var all []leg
	for _, l := range legs {
		all = append(all, leg{l.Listen, func(ctx context.Context) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", l.Target)
		}})
	}
	return startProxy(name, all)
}

func startProxy(name string, legs []leg) (*Proxy, error) {
	p := &Proxy{name: name, legs: legs, links: map[*link]struct{}{}, down: true}
	p.weather.Store(&weather{})
	if err := p.open(); err != nil {
		return nil, fmt.Errorf("proxy %s: %w", name, err)
	}
	return p, nil
}

// Name is what it was started with.
func (p *Proxy) Name() string { return p.name }

// Addr is where its first leg listens.
func (p *Proxy) Addr() string { return p.legs[0].listen }

// Connections tells how many connections are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Cut resets all connections, loses what is on its way, and refuses new ones. It
// returns when nothing gets through any more.
func (p *Proxy) Cut() { p.shut(false) }

// Close ends the proxy, for good, and waits for all that it started.
func (p *Proxy) Close() { p.shut(true) }

func (p *Proxy) shut(forGood bool) {
	p.change.Lock()
	defer p.change.Unlock()
	p.mu.Lock()
	p.down, p.closed = true, p.closed || forGood
	for _, l := range p.listeners {
		_ = l.Close()
	}
	p.listeners = nil
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	p.running.Wait()
}

// Heal ends every Cut, Delay and Freeze. What was frozen goes on; what was cut
// stays lost. An error means that the port of a cut proxy is gone.
func (p *Proxy) Heal() error {
	p.change.Lock()
	defer p.change.Unlock()
	p.set(func(w *weather) { *w = weather{} })
	if err := p.open(); err != nil {
		return fmt.Errorf("heal proxy %s: %w", p.name, err)
	}
	return nil
}

// Delay holds back all that comes from now on, each way, by d and up to jitter
// more. The order of a connection's bytes is kept. Zero ends it.
func (p *Proxy) Delay(d, jitter time.Duration) {
	p.set(func(w *weather) { w.delay, w.jitter = d, jitter })
}

// Freeze makes a black hole: connections are accepted and stay, and nothing gets
// through, not even their end, until Heal or Cut.
func (p *Proxy) Freeze() {
	p.set(func(w *weather) {
		if w.thaw == nil {
			w.thaw = make(chan struct{})
		}
	})
}

// set changes the weather. When it is not frozen any more, what waits goes on.
func (p *Proxy) set(change func(*weather)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.weather.Load()
	now := *before
	change(&now)
	p.weather.Store(&now)
	if before.thaw != nil && now.thaw == nil {
		close(before.thaw)
	}
}

// open listens, unless it listens already or is closed.
func (p *Proxy) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.down || p.closed {
		return nil
	}
	var opened []net.Listener
	for i := range p.legs {
		l, err := net.Listen("tcp", p.legs[i].listen)
		if err != nil {
			for _, l := range opened {
				_ = l.Close()
			}
			return err
		}
		if p.legs[i].listen != l.Addr().String() { // once: Addr reads it
			p.legs[i].listen = l.Addr().String()
		}
		opened = append(opened, l)
	}
	p.listeners, p.down = opened, false
	for i, l := range opened {
		p.running.Go(func() { p.accept(l, p.legs[i].dial) })
	}
	return nil
}

func (p *Proxy) accept(l net.Listener, dial func(context.Context) (net.Conn, error)) {
	for {
		front, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no file descriptors, for example; it passes
			time.Sleep(5 * time.Millisecond)
		default:
			p.running.Go(func() { p.serve(front.(*net.TCPConn), dial) })
		}
	}
}

// serve passes one connection on until both sides have ended it.
func (p *Proxy) serve(front *net.TCPConn, dial func(context.Context) (net.Conn, error)) {
	l := newLink(front)
	defer l.close()
	p.mu.Lock()
	if p.down {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()

	if !p.gate(l) {
		return
	}
	back, err := dial(l.ctx)
	if err != nil || !l.attach(back.(*net.TCPConn)) {
		l.reset()
		return
	}
	var back2front sync.WaitGroup
	back2front.Go(func() { p.forward(l, l.front, l.back) })
	p.forward(l, l.back, l.front)
	back2front.Wait()
}

// gate waits while the proxy is frozen. It is false when the link was reset.
func (p *Proxy) gate(l *link) bool {
	for {
		thaw := p.weather.Load().thaw
		if thaw == nil {
			return l.ctx.Err() == nil
		}
		select {
		case <-thaw:
		case <-l.ctx.Done():
			return false
		}
	}
}
