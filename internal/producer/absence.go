package producer

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How often somebody is looked for where nobody listens, and how far apart two
// finds of nobody may be and still be one absence.
const (
	absencePause = 250 * time.Millisecond
	absenceGap   = 5 * time.Second
)

// absence measures how long nobody has listened for requests to a stream, over
// all requests of a client: a file of ten thousand lines waits for a stream that
// is not there only once. Nobody listens when the stream is not there, and
// neither while its servers elect a leader, which takes up to ten seconds; the
// two look the same. The zero value is ready to use.
type absence struct {
	mu    sync.Mutex
	since time.Time // zero: somebody listens
	last  time.Time
}

// lasts notes that nobody listens and tells whether that has been so for limit.
func (a *absence) lasts(limit time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.since.IsZero() || now.Sub(a.last) > absenceGap {
		a.since = now
	}
	a.last = now
	return now.Sub(a.since) >= limit
}

// ends notes that somebody has answered.
func (a *absence) ends() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = time.Time{}
}

// nobodyListens tells whether a publish or request met no stream.
func nobodyListens(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders)
}
