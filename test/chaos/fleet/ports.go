package fleet

import "callbus/internal/ports"

// freePorts returns n addresses on loopback for processes of this run and for
// proxies. They are kept until the run itself ends: a process that is down has its
// port all the same, and neither another run nor an outgoing connection gets it.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		addr, _, err := ports.Keep()
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
