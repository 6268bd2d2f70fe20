package fleet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
)

// firstPort is the lowest port that is given to a process.
const firstPort = 15000

// given are the ports that processes of this one have, or will have: a process
// that is down has its port all the same.
var given struct {
	mu    sync.Mutex
	addrs map[string]bool
}

// freePorts returns n addresses on loopback that nobody listens on and that it
// has not returned before. They lie below the ports that outgoing connections
// get, or one of those could take the port of a process while it is down.
func freePorts(n int) ([]string, error) {
	last, err := lastPort()
	if err != nil {
		return nil, err
	}
	given.mu.Lock()
	defer given.mu.Unlock()
	if given.addrs == nil {
		given.addrs = map[string]bool{}
	}
	var found []string
	for range 100 * n {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(last-firstPort)))
		if given.addrs[addr] {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		given.addrs[addr] = true
		if found = append(found, addr); len(found) == n {
			return found, nil
		}
	}
	return nil, errors.New("find free ports: too many are taken")
}

// lastPort is the port below which the kernel gives none to outgoing
// connections.
func lastPort() (int, error) {
	const file = "/proc/sys/net/ipv4/ip_local_port_range"
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("find free ports: %w", err)
	}
	last := 0
	if _, err := fmt.Sscan(string(text), &last); err != nil {
		return 0, fmt.Errorf("find free ports: %s holds %q: want two numbers", file, text)
	}
	if last < firstPort+1000 {
		return 0, fmt.Errorf("find free ports: outgoing connections get ports from %d on: want %d or more, see %s", last, firstPort+1000, file)
	}
	return last, nil
}
