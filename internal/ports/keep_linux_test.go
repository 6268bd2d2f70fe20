package ports

import (
	"net"
	"testing"
)

// TestAKeptPortIsGivenToNobody keeps 1,000 ports and lets many ask for any port,
// listeners and connections: were the ports free, some would be given away.
func TestAKeptPortIsGivenToNobody(t *testing.T) {
	kept := map[string]bool{}
	for range 1000 {
		kept[keep(t)] = true
	}
	if len(kept) != 1000 {
		t.Errorf("%d ports; want 1000, each kept once", len(kept))
	}
	for i := range 300 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if kept[l.Addr().String()] || kept[conn.LocalAddr().String()] {
			t.Fatalf("round %d was given %s and %s; want neither kept", i, l.Addr(), conn.LocalAddr())
		}
	}
}
