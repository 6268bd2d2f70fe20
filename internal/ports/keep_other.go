//go:build !linux

package ports

import (
	"fmt"
	"net"
)

// Keep finds a free port on 127.0.0.1. Nothing keeps it here: somebody else may
// get it before it is listened on.
func Keep() (addr string, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), func() {}, nil
}
