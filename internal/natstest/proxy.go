package natstest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Fate is what becomes of one publish on its way to the server.
type Fate int

// The fates.
const (
	Pass Fate = iota
	// Swallow keeps it from the server; the client is told nothing.
	Swallow
	// LoseAck lets it through and cuts the connection instead of handing back
	// the server's answer to it.
	LoseAck
)

// Proxy stands between clients and a server and spoils their talk on demand.
// It understands as much of the NATS protocol as that takes.
type Proxy struct {
	listener net.Listener
	server   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	judge func(subject string) Fate
	held  chan struct{} // closed: the server's words pass
	links map[*link]bool
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn

	mu   sync.Mutex
	lose []byte // the subject of the answer that is not to arrive
}

// StartProxy runs a proxy in front of the server at url until the test ends.
func StartProxy(t testing.TB, url string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, server: strings.TrimPrefix(url, "nats://"), held: make(chan struct{}), links: map[*link]bool{}}
	close(p.held)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Resume()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// URL is where clients connect to.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Judge sets what becomes of each publish from now on; nil lets all pass. It is
// called at the same time for several connections.
func (p *Proxy) Judge(judge func(subject string) Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = judge
}

// Hold keeps everything that servers say from their clients, as a dead network
// does, until Resume; also from those who connect meanwhile.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
}

// Resume hands out what was held.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.held:
	default:
		close(p.held)
	}
}

// Cut closes all connections; clients may connect again at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close() // the server is away, and the client sees that
			continue
		}
		l := &link{client: client, server: server}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		p.wg.Go(func() { p.toServer(l); l.close() })
		p.wg.Go(func() {
			p.toClient(l)
			l.close()
			p.mu.Lock()
			delete(p.links, l)
			p.mu.Unlock()
		})
	}
}

// toServer passes on what the client says, publish by publish.
func (p *Proxy) toServer(l *link) {
	r, w := bufio.NewReader(l.client), bufio.NewWriter(l.server)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		words := strings.Fields(string(line))
		if len(words) > 2 && (words[0] == "PUB" || words[0] == "HPUB") {
			size, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return
			}
			body := make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(r, body); err != nil {
				return
			}
			switch p.fate(words[1]) {
			case Swallow:
				continue
			case LoseAck:
				l.mu.Lock()
				l.lose = []byte(" " + words[2] + " ") // PUB subject reply size
				l.mu.Unlock()
			}
			line = append(line, body...)
		}
		_, err = w.Write(line)
		if r.Buffered() == 0 {
			err = errors.Join(err, w.Flush())
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) fate(subject string) Fate {
	p.mu.Lock()
	judge := p.judge
	p.mu.Unlock()
	if judge == nil {
		return Pass
	}
	return judge(subject)
}

// toClient passes on what the server says, line by line.
func (p *Proxy) toClient(l *link) {
	r := bufio.NewReader(l.server)
	for {
		line, err := r.ReadBytes('\n')
		p.mu.Lock()
		held := p.held
		p.mu.Unlock()
		<-held
		l.mu.Lock()
		lost := l.lose != nil && bytes.Contains(line, l.lose)
		l.mu.Unlock()
		if lost || err != nil {
			return
		}
		if _, err := l.client.Write(line); err != nil {
			return
		}
	}
}
