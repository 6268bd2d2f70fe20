package callbacks

import (
	"log/slog"
	"net/http"
	"time"
)

// NewServer makes a server for the receiver that strangers on the internet may
// talk to: slow, silent and oversized clients are cut off. It has no address; the
// caller listens, serves and shuts it down. The write timeout leaves room for a
// body read and stored within the receiver's default timeouts and for keys fetched
// on the way. Whatever clients do wrong is logged at debug.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      40 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10, // a token is 1 to 2 KiB
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
