package callbacks

import (
	"context"

	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// First and longest pause between two tries at a source that never answered.
const (
	firstRetry   = time.Second
	longestRetry = time.Minute
)

// keyring holds the union of the keys of several sources. What a source gave
// last is kept until it gives something newer, so an outage there does no harm.
//
// It does not build on keyfunc's own storage: there every request with an unknown
// key id waits for the rate limit by itself, so a burst of good notifications
// after a key rotation would mostly be refused, and a source down at start is not
// tried again before the next regular load. Here all of them wait for one load.
type keyring struct {
	sources  []*keySource
	interval time.Duration
	timeout  time.Duration
	unknown  *rate.Limiter
	log      *slog.Logger
	client   *http.Client

	cancel context.CancelFunc // ends all below
	ctx    context.Context
	wg     sync.WaitGroup

	mu      sync.Mutex
	loading chan struct{} // closed when the load on account of an unknown key ends; nil when none runs
}

func newKeyring(opts AuthOptions) *keyring {
	k := &keyring{
		interval: opts.RefreshInterval,
		timeout:  opts.FetchTimeout,
		unknown:  rate.NewLimiter(rate.Every(opts.UnknownKeyInterval), 3),
		log:      opts.Logger,
		client:   fetchClient(opts.Client),
	}
	for _, u := range opts.OIDCURLs {
		k.sources = append(k.sources, &keySource{url: u, client: k.client})
	}
	return k
}

// start loads every source once and then keeps each fresh in a goroutine of its own.
func (k *keyring) start(ctx context.Context) {
	var first sync.WaitGroup
	for _, s := range k.sources {
		first.Go(func() { k.load(ctx, s) })
	}
	first.Wait()
	k.ctx, k.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, s := range k.sources {
		k.wg.Go(func() { k.keepFresh(s) })
	}
}

func (k *keyring) close() {
	k.mu.Lock()
	k.cancel() // under mu, so that loadAll starts nothing once we wait
	k.mu.Unlock()
	k.wg.Wait()
	k.client.CloseIdleConnections()
}

func (k *keyring) ready() error {
	for _, s := range k.sources {
		if s.loaded() {
			return nil
		}
	}
	errs := []error{ErrNoKeys}
	for _, s := range k.sources {
		errs = append(errs, fmt.Errorf("%s: %w", s.url, s.lastErr()))
	}
	return errors.Join(errs...)
}

// find gives the keys with the id, those of every source since nothing keeps
// two sources from using one id; all keys when the token names none. An unknown
// id makes the sources be asked again.
func (k *keyring) find(ctx context.Context, kid string) ([]jwt.VerificationKey, error) {
	if keys := k.known(kid); len(keys) > 0 {
		return keys, nil
	}
	k.loadAll(ctx)
	if keys := k.known(kid); len(keys) > 0 {
		return keys, nil
	}
	for _, s := range k.sources {
		if s.loaded() {
			return nil, RefusedUnknownKey
		}
	}
	return nil, errors.Join(RefusedUnknownKey, ErrNoKeys)
}

func (k *keyring) known(kid string) (keys []jwt.VerificationKey) {
	for _, s := range k.sources {
		keys = append(keys, s.find(kid)...)
	}
	return keys
}

// loadAll asks every source again, or waits for whoever is doing so, or does
// nothing when that was done too often of late. It lives longer than the request that
// asked for it, since others wait for it too.
func (k *keyring) loadAll(ctx context.Context) {
	k.mu.Lock()
	done := k.loading
	if done == nil {
		if k.ctx.Err() != nil || !k.unknown.Allow() {
			k.mu.Unlock()
			return
		}
		done = make(chan struct{})
		k.loading = done
		k.wg.Go(func() {
			var all sync.WaitGroup
			for _, s := range k.sources {
				all.Go(func() { k.load(k.ctx, s) })
			}
			all.Wait()
			k.mu.Lock()
			k.loading = nil
			k.mu.Unlock()
			close(done)
		})
	}
	k.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// keepFresh loads a source at every interval, and soon again after a failure.
func (k *keyring) keepFresh(s *keySource) {
	retry := firstRetry
	for {
		pause := k.interval
		if s.lastErr() != nil {
			pause = min(retry, k.interval)
			retry = min(2*retry, longestRetry)
		} else {
			retry = firstRetry
		}
		select {
		case <-k.ctx.Done():
			return
		case <-time.After(pause - rand.N(pause/10+1)): // jitter: replicas start together
			k.load(k.ctx, s)
		}
	}
}

// load asks one source and logs when its health changes.
func (k *keyring) load(ctx context.Context, s *keySource) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	before := s.lastErr()
	n, err := s.load(ctx)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil && (before == nil || before.Error() != err.Error()):
		k.log.Warn("callback keys not loaded", "source", s.url, "err", err)
	case err == nil && before != nil:
		k.log.Info("callback keys loaded", "source", s.url, "keys", n)
	}
}
