package fleet

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
)

// Balancer is a [Proxy] with several targets, which take turns; one that does
// not accept the connection is passed over. It knows nothing of readiness: a
// stopped process still accepts, as its kernel does it.
type Balancer struct {
	*Proxy
	targets []string
	turn    atomic.Uint64
}

// StartBalancer listens and passes connections on until Close.
func StartBalancer(name, listen string, targets ...string) (*Balancer, error) {
	b := &Balancer{targets: targets}
	var err error
	b.Proxy, err = startProxy(name, []leg{{listen, b.dial}})
	if err != nil {
		return nil, err
	}
	return b, nil
}

var errNoTarget = errors.New("no target accepts connections")

func (b *Balancer) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	first := b.turn.Add(1)
	for i := range uint64(len(b.targets)) {
		conn, err := dialer.DialContext(ctx, "tcp", b.targets[(first+i)%uint64(len(b.targets))])
		if err == nil {
			return conn, nil
		}
	}
	return nil, errNoTarget
}
