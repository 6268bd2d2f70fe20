package ports

import (
	"net"
	"testing"
)

func keep(t *testing.T) string {
	t.Helper()
	addr, release, err := Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

// TestAKeptPort refuses connections until somebody listens there, and again
// after that one has closed.
func TestAKeptPort(t *testing.T) {
	addr := keep(t)
	for range 3 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Fatalf("Dial(%s) reached somebody", addr)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatalf("Listen(%s) = %v; want the port kept for it", addr, err)
		}
		client, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		server.Close() // first: the connection lingers on the kept port
		client.Close()
		l.Close()
	}
}
