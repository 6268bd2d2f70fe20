package graphsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// closeGrace is how long Close lets answers in hand finish.
const closeGrace = time.Second

// Server is a simulator that listens.
type Server struct {
	Sim *Sim

	graph, token net.Listener // token is nil without a token endpoint
	authority    *authority
	servers      []*http.Server
	serving      sync.WaitGroup
	closeOnce    sync.Once
}

// Start listens for Graph on addr (127.0.0.1 and a free port if empty) and, over
// TLS, for tokens on tlsAddr (nothing if empty). ctx bounds the listening only; the
// server runs until Close.
func Start(ctx context.Context, opts Options, addr, tlsAddr string) (*Server, error) {
	sim, err := New(opts)
	if err != nil {
		return nil, err
	}
	srv := &Server{Sim: sim}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var listen net.ListenConfig
	if srv.graph, err = listen.Listen(ctx, "tcp", addr); err != nil {
		srv.Close()
		return nil, fmt.Errorf("listen for Graph: %w", err)
	}
	srv.serve(srv.graph, sim.Handler())
	if tlsAddr == "" {
		return srv, nil
	}
	host, _, err := net.SplitHostPort(tlsAddr)
	if err == nil {
		srv.authority, err = newAuthority(host)
	}
	if err == nil {
		srv.token, err = listen.Listen(ctx, "tcp", tlsAddr)
	}
	if err != nil {
		srv.Close()
		return nil, fmt.Errorf("listen for tokens: %w", err)
	}
	srv.serve(tls.NewListener(srv.token, &tls.Config{
		Certificates: []tls.Certificate{srv.authority.server}, MinVersion: tls.VersionTLS12,
	}), sim.TokenHandler())
	return srv, nil
}

func (srv *Server) serve(l net.Listener, h http.Handler) {
	log := srv.Sim.opts.Logger.With("component", "graphsim")
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	srv.servers = append(srv.servers, server)
	srv.serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("simulated Graph stopped listening", "err", err)
		}
	})
}

// Close ends the simulator and its listeners and waits for them. It may be
// called more than once.
func (srv *Server) Close() {
	srv.closeOnce.Do(func() {
		srv.Sim.Close()
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		for _, server := range srv.servers {
			if server.Shutdown(ctx) != nil {
				server.Close()
			}
		}
		srv.serving.Wait()
	})
}

// URL is the root of the simulator, "http://127.0.0.1:port".
func (srv *Server) URL() string { return "http://" + reachable(srv.graph.Addr()) }

// reachable is an address to connect to: loopback where all addresses are listened on.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

// GraphURL is the base of the calls API, with the version.
func (srv *Server) GraphURL() string { return srv.URL() + "/v1.0" }

// OIDCURL is the discovery document of the keys that sign notifications.
func (srv *Server) OIDCURL() string { return srv.URL() + "/oidc/.well-known/openidconfiguration" }

// Issuer is the issuer of the tokens on notifications.
func (srv *Server) Issuer() string { return srv.Sim.opts.Issuer }

// AppID is the audience of notifications of calls made with the fixed token.
func (srv *Server) AppID() string { return srv.Sim.appID() }

// AuthorityURL is the token endpoint's root, "https://127.0.0.1:port", or "".
func (srv *Server) AuthorityURL() string {
	if srv.token == nil {
		return ""
	}
	return "https://" + reachable(srv.token.Addr())
}

// CAPEM is the certificate authority of AuthorityURL, or nil.
func (srv *Server) CAPEM() []byte {
	if srv.authority == nil {
		return nil
	}
	return srv.authority.caPEM
}

// CACertPool holds the certificate of CAPEM, or is nil.
func (srv *Server) CACertPool() *x509.CertPool {
	if srv.authority == nil {
		return nil
	}
	return srv.authority.pool
}
