package fleet

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// patience bounds every wait for what must come.
const patience = 10 * time.Second

// echo is a server that sends back what it gets, after its name.
type echo struct {
	addr string
	stop func()
}

func startEcho(t *testing.T, name string) echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if _, err := io.WriteString(conn, name); err == nil {
					_, _ = io.Copy(conn, conn)
				}
			})
		}
	})
	stop := sync.OnceFunc(func() { _ = l.Close() })
	t.Cleanup(func() { stop(); serving.Wait() })
	return echo{l.Addr().String(), stop}
}

// startEchoProxy is a proxy before an echo without a name.
func startEchoProxy(t *testing.T) *Proxy {
	t.Helper()
	listen, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := StartProxy("test", Leg{listen[0], startEcho(t, "").addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// dial opens a connection that ends with the test.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// exchange sends a word and wants it back.
func exchange(t *testing.T, conn net.Conn, word string) {
	t.Helper()
	if _, err := io.WriteString(conn, word); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != word {
		t.Fatalf("read %q, %v; want %q", got, err, word)
	}
}

func TestProxyPassesOnBothDirectionsAndTheEnd(t *testing.T) {
	sent := make([]byte, 5<<20)
	if _, err := rand.Read(sent); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		before func(*Proxy)
		during func(*testing.T, *Proxy)
	}{
		{"when nothing is wrong", func(*Proxy) {}, func(*testing.T, *Proxy) {}},
		{"late, in order", func(p *Proxy) { p.Delay(2*time.Millisecond, 3*time.Millisecond) }, func(*testing.T, *Proxy) {}},
		{"when a delay begins and ends meanwhile", func(*Proxy) {}, func(_ *testing.T, p *Proxy) {
			for range 20 {
				p.Delay(0, 2*time.Millisecond)
				p.Delay(0, 0)
			}
		}},
		{"when it freezes and goes on meanwhile", func(p *Proxy) { p.Delay(time.Millisecond, 0) }, func(t *testing.T, p *Proxy) {
			for range 20 {
				p.Freeze()
				if err := p.Heal(); err != nil {
					t.Error(err)
				}
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := startEchoProxy(t)
			row.before(p)
			conn := dial(t, p.Addr())
			var sending sync.WaitGroup
			sending.Go(func() {
				for i, part := range slices.Collect(slices.Chunk(sent, 100_000)) {
					if i%10 == 5 {
						row.during(t, p)
					}
					if _, err := conn.Write(part); err != nil {
						t.Error(err)
						return
					}
				}
				if err := conn.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			got, err := io.ReadAll(conn)
			sending.Wait()
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("read %d bytes, %v; want the %d that were sent", len(got), err, len(sent))
			}
			eventually(t, "no connection is left", func() bool { return p.Connections() == 0 })
		})
	}
}

func TestCutResetsAndRefusesUntilHealed(t *testing.T) {
	p := startEchoProxy(t)
	addr, conn := p.Addr(), dial(t, p.Addr())
	exchange(t, conn, "before")
	p.Cut()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read on the old connection: %v; want it reset", err)
	}
	if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("new connection: %v, %v; want it refused", c, err)
	}
	p.Cut() // twice is once
	for range 2 {
		if err := p.Heal(); err != nil {
			t.Fatal(err)
		}
	}
	if p.Addr() != addr {
		t.Errorf("address %s after Heal; want the old one, %s", p.Addr(), addr)
	}
	exchange(t, dial(t, addr), "after")
	p.Close()
	if err := p.Heal(); err != nil {
		t.Errorf("Heal() after Close = %v; want nothing done", err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		t.Errorf("connected to %s after Close; want nobody there", c.RemoteAddr())
	}
}

func TestDelayHoldsBackEachWay(t *testing.T) {
	p := startEchoProxy(t)
	conn := dial(t, p.Addr())
	exchange(t, conn, "at once")
	const delay = 60 * time.Millisecond
	p.Delay(delay, 0)
	begun := time.Now()
	exchange(t, conn, "late")
	if took := time.Since(begun); took < 2*delay {
		t.Errorf("there and back took %s; want %s or more", took, 2*delay)
	}
}

func TestFreezeSwallowsUntilHealed(t *testing.T) {
	p := startEchoProxy(t)
	old := dial(t, p.Addr())
	exchange(t, old, "before")
	p.Freeze()
	young := dial(t, p.Addr())
	for _, conn := range []*net.TCPConn{old, young} {
		if _, err := io.WriteString(conn, "held"); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("read while frozen: %v; want nothing to come", err)
		}
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []*net.TCPConn{old, young} {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(io.LimitReader(conn, 4), []byte("held")); err != nil {
			t.Errorf("after the freeze: %v", err)
		}
		exchange(t, conn, "after")
	}
	p.Freeze()
	if _, err := io.WriteString(old, "lost"); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read after a cut: %v; want it reset", err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func TestBothLegsAreHurtTogether(t *testing.T) {
	one, two := startEcho(t, "one"), startEcho(t, "two")
	listen, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	p, err := StartProxy("1-2", Leg{listen[0], one.addr}, Leg{listen[1], two.addr})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, step := range []func(){func() {}, func() { p.Cut() }, func() { _ = p.Heal() }} {
		step()
		for i, want := range []string{"one", "two"} {
			conn, err := net.Dial("tcp", listen[i])
			if cut := p.isDown(); (err != nil) != cut {
				t.Fatalf("leg %d, cut %t: %v", i+1, cut, err)
			} else if cut {
				continue
			}
			got := make([]byte, 3)
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
				t.Errorf("leg %d leads to %q, %v; want %q", i+1, got, err, want)
			}
			conn.Close()
		}
	}
}

func (p *Proxy) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

// assertEnds wants a connection to be ended by the other side, at once or soon.
func assertEnds(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("read: %v; want the connection to end", err)
	}
}

func TestATargetThatIsGoneEndsTheConnection(t *testing.T) {
	target := startEcho(t, "")
	p, err := StartProxy("test", Leg{"127.0.0.1:0", target.addr})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	target.stop()
	assertEnds(t, p.Addr())
	if _, err := StartProxy("second", Leg{p.Addr(), target.addr}); err == nil {
		t.Error("a second proxy took the same address")
	}
}

func TestBalancerTakesTurnsAndPassesOverWhoIsGone(t *testing.T) {
	targets := []echo{startEcho(t, "a"), startEcho(t, "b"), startEcho(t, "c")}
	b, err := StartBalancer("callbacks", "127.0.0.1:0", targets[0].addr, targets[1].addr, targets[2].addr)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	// rounds counts who answers six connections, one after the other.
	rounds := func() map[string]int {
		count := map[string]int{}
		for range 6 {
			conn := dial(t, b.Addr())
			name := make([]byte, 1)
			if _, err := io.ReadFull(conn, name); err != nil {
				count[err.Error()]++
			}
			count[string(name)]++
			conn.Close()
		}
		return count
	}
	if got := rounds(); got["a"] != 2 || got["b"] != 2 || got["c"] != 2 {
		t.Errorf("six connections went to %v; want two each", got)
	}
	targets[1].stop()
	if got := rounds(); got["b"] != 0 || got["a"]+got["c"] != 6 || got["a"] == 0 || got["c"] == 0 {
		t.Errorf("without b six connections went to %v; want all to a and c", got)
	}
	targets[0].stop()
	targets[2].stop()
	assertEnds(t, b.Addr())
}

func BenchmarkProxy(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { _, _ = io.Copy(conn, conn); conn.Close() })
		}
	})
	b.Cleanup(func() { l.Close(); serving.Wait() })
	p, err := StartProxy("bench", Leg{"127.0.0.1:0", l.Addr().String()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	for _, row := range []struct{ name, addr string }{{"through the proxy", p.Addr()}, {"past it", l.Addr().String()}} {
		b.Run(row.name, func(b *testing.B) {
			conn, err := net.Dial("tcp", row.addr)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			word := make([]byte, 512)
			for b.Loop() {
				if _, err := conn.Write(word); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, word); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
