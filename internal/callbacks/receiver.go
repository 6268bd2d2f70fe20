package callbacks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"callbus/internal/commands"
)

// Store keeps events. Append returns nil once the event is stored for good;
// messageID names the event for deduplication and is never empty. It may return [ErrDuplicate] for an event that it has already, which counts as
// stored.
type Store interface {
	Append(ctx context.Context, e commands.Event, messageID string) error
}

// ErrDuplicate says that the store has the event already.
var ErrDuplicate = errors.New("event is stored already")

// Lookup finds the owner of a call by its id as [commands.NormalCallID] writes
// it; false when the registry does not know the call.
type Lookup func(ctx context.Context, callID string) (commands.CallKey, bool, error)

// Verifier checks tokens, as [Auth] does.
type Verifier interface {
	Verify(ctx context.Context, token string, perCall bool) (Claims, error)
}

// Counter counts notifications. kind is an event's kind, empty when the body
// was not read; outcome is one of [Outcomes].
type Counter interface {
	Notification(kind, outcome string)
}

// Options configures [NewReceiver]. Auth, Store and Lookup are required.
type Options struct {
	// BasePath is the path of the public callback URL, e.g. "/calls"; may be
	// empty. A proxy may take it, or its beginning, away.
	BasePath string
	Auth     Verifier
	Store    Store
	Lookup   Lookup
	// IncomingRoute sends incoming calls straight to a producer, by id of the
	// tenant or of the resource account that was called.
	IncomingRoute map[string]string

	Counter Counter
	Logger  *slog.Logger

	MaxBody      int64         // in bytes, 1 MiB by default
	ReadTimeout  time.Duration // for the body, 10 s by default
	StoreTimeout time.Duration // for all of a body's events together, 5 s by default
	Now          func() time.Time
}

// Receiver answers Graph's notifications on POST {base}/v1/notifications, the
// bot's global webhook, and on the URLs of [CallPath]. It answers
//
//	202  everything is stored (never 204, which asks for another format)
//	400  the body is no notification
//	401  there is no bearer token
//	403  the token was refused
//	404  405  another path, another method
//	408  413  the body is too slow, too large
//	503  something is not stored, or no keys are loaded yet: send it again
//
// A body may hold several notifications. When some are stored and others not, 503
// makes Graph send all of them again, and the store recognises the first by their
// ids. No other answer may lose the rest.
//
// It works behind a proxy that ends TLS and takes a part of the path away. Of the
// X-Forwarded headers it reads X-Forwarded-For, for the log alone: who may speak
// is decided by the token, and what about by the path. Make one with [NewReceiver].
type Receiver struct {
	opts   Options
	routes map[string]string
	log    *occasional
}

// NewReceiver reports everything that is wrong with the options at once.
func NewReceiver(opts Options) (*Receiver, error) {
	var errs []error
	if opts.Auth == nil || opts.Store == nil || opts.Lookup == nil {
		errs = append(errs, errors.New("callback receiver needs Auth, Store and Lookup"))
	}
	opts.BasePath = strings.TrimRight(opts.BasePath, "/")
	if opts.BasePath != "" && opts.BasePath[0] != '/' {
		errs = append(errs, fmt.Errorf("callback base path %q: want it to begin with /", opts.BasePath))
	}
	routes, wrong := readRoutes(opts.IncomingRoute)
	errs = append(errs, wrong...)
	if opts.MaxBody < 0 || opts.ReadTimeout < 0 || opts.StoreTimeout < 0 {
		errs = append(errs, errors.New("callback limits and timeouts must be positive"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	opts.MaxBody = cmp.Or(opts.MaxBody, 1<<20)
	opts.ReadTimeout = cmp.Or(opts.ReadTimeout, 10*time.Second)
	opts.StoreTimeout = cmp.Or(opts.StoreTimeout, 5*time.Second)
	opts.Logger = cmp.Or(opts.Logger, slog.New(slog.DiscardHandler))
	if opts.Counter == nil {
		opts.Counter = noCounter{}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Receiver{opts: opts, routes: routes, log: newOccasional(opts.Logger, opts.Now)}, nil
}

// CheckRoutes says what is wrong with Options.IncomingRoute.
func CheckRoutes(incoming map[string]string) error {
	_, wrong := readRoutes(incoming)
	return errors.Join(wrong...)
}

func readRoutes(incoming map[string]string) (routes map[string]string, wrong []error) {
	routes = make(map[string]string, len(incoming))
	for id, producer := range incoming {
		if err := commands.CheckProducer(producer); err != nil {
			wrong = append(wrong, fmt.Errorf("incoming route of %q: %w", id, err))
		}
		if id == "" {
			wrong = append(wrong, fmt.Errorf("incoming route to %q: want a tenant or instance id", producer))
		}
		routes[strings.ToLower(id)] = producer
	}
	return routes, wrong
}

// ServeHTTP handles one notification body; see [Receiver] for the answers. It
// blocks until the events are stored, for at most ReadTimeout and StoreTimeout.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	addr, ok := parseAddress(r.opts.BasePath, req.URL.Path)
	if !ok {
		r.opts.Counter.Notification("", OutcomeNotFound)
		r.log.warn("request to a path that is no notification's", OutcomeNotFound, "path", shortPath(req),
			"peer", req.RemoteAddr, "forwarded_for", forwardedFor(req))
		refuse(w, noSuchPath, http.StatusNotFound)
		return
	}
	if req.Method != http.MethodPost {
		r.opts.Counter.Notification("", OutcomeNotFound)
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	claims, ok := r.authorize(w, req, addr)
	if !ok {
		return
	}
	notes, ok := r.read(w, req)
	if !ok {
		return
	}
	// Graph giving up on us is no reason to leave half of it unstored.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), r.opts.StoreTimeout)
	defer cancel()
	now := r.opts.Now().UTC()
	if !r.store(ctx, notes, baseEvent(req, addr, claims, now), identify(req, now)) {
		http.Error(w, "not stored, send it again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// baseEvent is what all events of one request share.
func baseEvent(req *http.Request, addr address, claims Claims, now time.Time) commands.Event {
	return commands.Event{
		Producer:    addr.place.Producer,
		CallRef:     addr.place.CallRef,
		CommandID:   addr.place.ID,
		Attempt:     addr.attempt,
		Time:        now,
		TenantID:    claims.TenantID,
		CallChainID: req.Header.Get("X-Microsoft-Skype-Chain-ID"),
	}
}

type noCounter struct{}

func (noCounter) Notification(string, string) {}
