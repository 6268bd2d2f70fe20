package callbacks

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// DefaultMaxConnections is far more than Graph or a proxy needs: an answer takes
// milliseconds.
const DefaultMaxConnections = 1024

// ServerOptions configures [NewServer]. The zero value is usable.
type ServerOptions struct {
	// MaxConnections bounds how many connections are open at once,
	// [DefaultMaxConnections] by default. For one more, the connection that has
	// been idle longest is closed; when none is idle the new one is answered 503
	// (over TLS just closed). Both are counted as [OutcomeTooManyConnections].
	MaxConnections int
	Certificate    *Certificate // nil: plain HTTP, behind a proxy that ends TLS
	Counter        Counter
	Logger         *slog.Logger
}

// Server is a server for the receiver that strangers on the internet may talk
// to. It speaks HTTP/1.1.
type Server struct {
	http *http.Server
	opts ServerOptions
	log  *occasional
}

// NewServer makes a server that cuts slow, silent, oversized and too many
// clients off. It has no address; the caller listens. The write timeout leaves
// room for a body read and stored within the receiver's default timeouts and for
// keys fetched on the way. Whatever clients do wrong is logged at debug.
func NewServer(h http.Handler, opts ServerOptions) *Server {
	opts.MaxConnections = cmp.Or(opts.MaxConnections, DefaultMaxConnections)
	opts.Logger = cmp.Or(opts.Logger, slog.New(slog.DiscardHandler))
	if opts.Counter == nil {
		opts.Counter = noCounter{}
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2's streams would need a limit of their own
	return &Server{
		opts: opts,
		log:  newOccasional(opts.Logger, time.Now),
		http: &http.Server{
			Handler:           idleAfter(h),
			Protocols:         &protocols,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       20 * time.Second,
			WriteTimeout:      40 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    32 << 10, // a token is 1 to 2 KiB
			ConnState:         onState,
			ConnContext:       withGuest,
			ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
		},
	}
}

// Serve answers on l until [Server.Shutdown]; its error is then
// [http.ErrServerClosed]. It closes l.
func (s *Server) Serve(l net.Listener) error {
	return s.http.Serve(s.listener(l))
}

func (s *Server) listener(l net.Listener) net.Listener {
	l = &door{Listener: l, max: s.opts.MaxConnections, tls: s.opts.Certificate != nil, noted: func() {
		s.opts.Counter.Notification("", OutcomeTooManyConnections)
		s.log.warn("connection of callbacks turned away", OutcomeTooManyConnections, "limit", s.opts.MaxConnections)
	}}
	if s.opts.Certificate == nil {
		return l
	}
	return tls.NewListener(l, s.opts.Certificate.config())
}

// CertificateEnds is when the server's own certificate ends, the zero time when
// it has none.
func (s *Server) CertificateEnds() time.Time {
	if s.opts.Certificate == nil {
		return time.Time{}
	}
	return s.opts.Certificate.NotAfter()
}

// Shutdown lets requests in hand be answered, at most until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }
