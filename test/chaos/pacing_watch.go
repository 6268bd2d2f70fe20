package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/pacing"
	"callbus/internal/streams"
)

// outageWatch sees what an operator and a kubelet see of an outage, until stop.
type outageWatch struct {
	site    *pacingSite
	client  *http.Client
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	moves    []breakerMove
	asked    int // readiness, of all workers
	unready  []string
	requests []requestCount // of all workers together, in order of time
}

// breakerMove is one move of the shared breaker.
type breakerMove struct {
	open bool
	at   time.Time
}

// requestCount is how many requests the workers have made by a time, by their
// own metric, of operations that the breaker holds.
type requestCount struct {
	at time.Time
	n  int
}

func watchOutage(ctx context.Context, s *pacingSite) (*outageWatch, error) {
	kv, err := s.js.KeyValue(ctx, commands.DefaultPrefix.Stream(streams.Gates))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	moves, err := kv.Watch(ctx, "breaker.>")
	if err != nil {
		cancel()
		return nil, err
	}
	w := &outageWatch{site: s, cancel: cancel, client: &http.Client{Timeout: 2 * time.Second}}
	w.running.Go(func() { w.follow(ctx, moves) })
	for i := range s.Workers() {
		w.running.Go(func() { w.every(ctx, 200*time.Millisecond, func() { w.askReady(ctx, i) }) })
	}
	w.running.Go(func() { w.every(ctx, time.Second, func() { w.countRequests(ctx) }) })
	return w, nil
}

func (w *outageWatch) stop() {
	w.cancel()
	w.running.Wait()
}

func (w *outageWatch) follow(ctx context.Context, moves jetstream.KeyWatcher) {
	defer func() { _ = moves.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-moves.Updates():
			if !ok {
				return
			}
			var f struct{ Is pacing.Fuse }
			if e == nil || json.Unmarshal(e.Value(), &f) != nil {
				continue
			}
			w.mu.Lock()
			if n := len(w.moves); n == 0 && f.Is.Open || n > 0 && w.moves[n-1].open != f.Is.Open {
				w.moves = append(w.moves, breakerMove{f.Is.Open, e.Created()})
			}
			w.mu.Unlock()
		}
	}
}

func (w *outageWatch) every(ctx context.Context, d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// askReady does what a kubelet does, more often.
func (w *outageWatch) askReady(ctx context.Context, i int) {
	status, err := w.get(ctx, strings.TrimSuffix(w.site.MetricsURL(i), "/metrics")+"/readyz", nil)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if err != nil || status != http.StatusOK {
		w.unready = append(w.unready, fmt.Sprintf("worker-%d at %s: %d %v", i+1, time.Now().UTC().Format(time.TimeOnly), status, err))
	}
}

// countRequests adds up callbus_graph_requests_total of what the breaker holds.
func (w *outageWatch) countRequests(ctx context.Context) {
	c := requestCount{at: time.Now()}
	for i := range w.site.Workers() {
		_, err := w.get(ctx, w.site.MetricsURL(i), func(line string) {
			labels, found := strings.CutPrefix(line, "callbus_graph_requests_total{")
			_, operation, _ := strings.Cut(labels, `operation="`)
			operation, _, _ = strings.Cut(operation, `"`)
			if !found || !held(operation) {
				return
			}
			n, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			c.n += int(n)
		})
		if err != nil {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, c)
}

func (w *outageWatch) get(ctx context.Context, url string, line func(string)) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := w.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if line != nil {
			line(lines.Text())
		}
	}
	return res.StatusCode, lines.Err()
}

// between is how many requests the workers counted between two moments.
func (w *outageWatch) between(from, to time.Time) (n int, over time.Duration) {
	var first, last *requestCount
	for i := range w.requests {
		switch c := &w.requests[i]; {
		case c.at.Before(from) || c.at.After(to):
		case first == nil:
			first = c
		default:
			last = c
		}
	}
	if last == nil {
		return 0, 0
	}
	return last.n - first.n, last.at.Sub(first.at)
}
