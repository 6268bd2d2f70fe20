package graphsim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Sim is one simulated Graph. It is made by New, and all its methods may be
// called from any number of goroutines.
type Sim struct {
	opts       Options
	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	work       sync.WaitGroup // armed timers and running deliveries
	notifyKeys keyring        // sign notifications
	tokenKeys  keyring        // sign access tokens

	mu      sync.Mutex // guards what follows
	closed  bool
	timers  map[*timer]struct{}
	calls   map[string]*call // by normalised id, ended ones too
	order   []*call          // in order of creation
	creates map[string]int   // how often a callbackUri was used
	log     requestLog
	stats   *counters
	limits  Limits
	pace    map[string]*bucket // by tenant and app
	months  map[string]int     // calls placed, by app and month
	faults  []*armedFault
	random  *rand.Rand
	signed  map[string]signedToken // bearer tokens of notifications, by audience and tenant
}

// ErrOptions is wrapped by the error of options that make no sense.
var ErrOptions = errors.New("options of the simulated Graph")

// New makes a simulator. It starts nothing; calls that are created start timers
// and deliveries, which Close ends.
func New(opts Options) (*Sim, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	s := &Sim{opts: opts, timers: map[*timer]struct{}{}, limits: opts.Limits}
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64()
	}
	s.random = rand.New(rand.NewPCG(opts.Seed, opts.Seed))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if opts.NotifyKey != nil {
		s.notifyKeys.keys = []signingKey{{uuid.NewString(), opts.NotifyKey}}
	}
	s.resetLocked()
	s.setFaultsLocked(opts.Faults)
	return s, nil
}

// Close ends every timer and delivery, without further notifications, and waits
// for them. Requests are answered 503 from then on.
func (s *Sim) Close() {
	s.mu.Lock()
	s.closed = true
	for t := range s.timers {
		s.stopLocked(t)
	}
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	s.opts.NotifyClient.CloseIdleConnections()
}

// Reset forgets every call, without notifications, and the log, the counters
// and the month's count. Limits, faults and keys stay.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.order {
		s.stopAllLocked(c)
		c.outbox.drop()
	}
	s.resetLocked()
}

func (s *Sim) resetLocked() {
	s.calls, s.order = map[string]*call{}, nil
	s.creates = map[string]int{}
	s.log = requestLog{size: s.opts.LogSize}
	s.stats = newCounters()
	s.pace, s.months = map[string]*bucket{}, map[string]int{}
	s.signed = map[string]signedToken{}
}

// Handler serves Graph's routes below /v1.0, the control API below /_sim and the
// keys of notifications below /oidc.
func (s *Sim) Handler() http.Handler {
	mux := http.NewServeMux()
	s.routeGraph(mux)
	s.routeControl(mux)
	s.routeOIDC(mux)
	return s.whileOpen(mux)
}

func (s *Sim) whileOpen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.ctx.Err() != nil {
			http.Error(w, "the simulated Graph is closed", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// timer runs a function later, under the lock, unless it was stopped.
type timer struct{ t *time.Timer }

// afterLocked arms a timer. On a closed simulator it never fires.
func (s *Sim) afterLocked(d time.Duration, f func()) *timer {
	t := &timer{}
	if s.closed {
		return t
	}
	s.timers[t] = struct{}{}
	s.work.Add(1)
	t.t = time.AfterFunc(d, func() {
		defer s.work.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, armed := s.timers[t]; armed {
			delete(s.timers, t)
			f()
		}
	})
	return t
}

func (s *Sim) stopLocked(t *timer) {
	if _, armed := s.timers[t]; !armed {
		return
	}
	delete(s.timers, t)
	if t.t.Stop() {
		s.work.Done()
	}
}

// sleep waits for d; it reports false if the simulator was closed meanwhile.
func (s *Sim) sleep(d time.Duration) bool {
	if d <= 0 {
		return s.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}
