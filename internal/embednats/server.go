// Package embednats runs real NATS servers with JetStream inside the process,
// for development, the demo and tests. They listen on loopback only.
package embednats

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options shape one server. The zero value listens on a free loopback port and
// keeps its files in a temporary directory that Close removes.
type Options struct {
	Listen     string // host:port; the host must be loopback
	DataDir    string // kept after Close when set
	MaxPayload int32  // bytes; 0 means the server's default, 1 MiB
	// NoJetStream leaves JetStream off, as on a server that was set up without.
	NoJetStream bool
}

// readyWait bounds how long a server may take to listen.
const readyWait = 20 * time.Second

// Server is one running NATS server.
type Server struct {
	ns      *server.Server
	dir     string
	keepDir bool
}

// Start runs a server and returns when it accepts connections.
func Start(o Options) (*Server, error) {
	opts, err := baseOptions(o.Listen)
	if err != nil {
		return nil, err
	}
	opts.MaxPayload = o.MaxPayload
	opts.JetStream = !o.NoJetStream
	s := &Server{dir: o.DataDir, keepDir: o.DataDir != ""}
	if !s.keepDir {
		if s.dir, err = os.MkdirTemp("", "callbus-nats-"); err != nil {
			return nil, fmt.Errorf("make data directory: %w", err)
		}
	}
	opts.StoreDir = s.dir
	if err := s.run(opts); err != nil {
		s.removeDir()
		return nil, err
	}
	return s, nil
}

func (s *Server) run(opts *server.Options) error {
	ns, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("embedded NATS server: %w", err)
	}
	s.ns = ns
	ns.Start()
	if !ns.ReadyForConnections(readyWait) {
		ns.Shutdown()
		return fmt.Errorf("embedded NATS server on %s:%d is not ready after %s; is the port taken?", opts.Host, opts.Port, readyWait)
	}
	return nil
}

// URL is the address clients connect to.
func (s *Server) URL() string { return s.ns.ClientURL() }

// Close stops the server, waits for it, and removes its temporary directory.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
	s.removeDir()
}

func (s *Server) removeDir() {
	if !s.keepDir {
		_ = os.RemoveAll(s.dir)
	}
}

func baseOptions(listen string) (*server.Options, error) {
	host, port := "127.0.0.1", server.RANDOM_PORT
	if listen != "" {
		h, p, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, fmt.Errorf("listen address %q: %w", listen, err)
		}
		if ip := net.ParseIP(h); h != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("listen address %q: the embedded server has no authentication and listens on loopback only", listen)
		}
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || n > 65535 {
			return nil, fmt.Errorf("listen address %q: %w", listen, errors.New("port must be 0 to 65535"))
		}
		if n == 0 {
			n = server.RANDOM_PORT
		}
		host, port = h, n
	}
	return &server.Options{
		ServerName: "callbus-embedded", Host: host, Port: port,
		NoLog: true, NoSigs: true, DontListen: false,
	}, nil
}
