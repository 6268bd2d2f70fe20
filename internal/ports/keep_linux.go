package ports

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// Keep finds a free port on 127.0.0.1 and keeps it until release, which may be
// called more than once. As long as nobody listens there connections are refused.
// The system gives the port to nobody, neither to a listener that asks for any
// port nor to an outgoing connection; a listener that names it gets it, now and
// again after it was closed. Programs in Go and most others set SO_REUSEADDR,
// which that takes.
func Keep() (addr string, release func(), err error) {
	fail := func(err error) (string, func(), error) { return "", nil, fmt.Errorf("keep a free port: %w", err) }
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	// Bound and not listening: Linux lets others share the port that all of its
	// sockets want to share, but only with those that ask for it by number.
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return fail(err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), sync.OnceFunc(func() { _ = syscall.Close(fd) }), nil
}
