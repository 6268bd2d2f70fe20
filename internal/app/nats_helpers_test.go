package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// logLines is a worker's log that a test reads.
type logLines struct {
	t    *testing.T
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// wait waits until the worker has logged text.
func (l *logLines) wait(text string) {
	l.t.Helper()
	eventually(l.t, patience, "a log line with "+text, func() (bool, string) { return l.has(text), "" })
}

// openLogged is openCounter with a log to read. Leases and requests are short, so
// that a command whose fate was open is soon looked at again.
func openLogged(t *testing.T, o graphsim.Options) (*counter, *logLines) {
	t.Helper()
	log := &logLines{t: t}
	return openCounter(t, o, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		o.GraphTimeout, o.Streams.AckWait, o.ReconcileWait = time.Second, 3*time.Second, 15*time.Second
	}), log
}

// fill makes a stream full as it is, until the returned function makes room.
func (c *counter) fill(stream string) (makeRoom func()) {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	c.limit(stream, max(1, int64(s.CachedInfo().State.Bytes)), -1)
	return func() { c.t.Helper(); c.limit(stream, -1, -1) }
}

// limit sets how many bytes a stream takes, in all and in one message; -1: any.
func (c *counter) limit(stream string, all int64, one int32) {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes, cfg.MaxMsgSize = all, one
	if _, err := c.js.UpdateStream(c.t.Context(), cfg); err != nil {
		c.t.Fatal(err)
	}
}

// sent counts the requests Graph has had, and calls what it made of them.
func (c *counter) sent() (requests, calls int) {
	return len(c.sim.Sim.Requests()), len(c.sim.Sim.Calls())
}

// still waits for a while and wants that nothing new is sent to Graph.
func (c *counter) still(d time.Duration, why string) {
	c.t.Helper()
	before, _ := c.sent()
	<-time.After(d)
	for _, r := range c.sim.Sim.Requests()[before:] {
		c.t.Errorf("%s was sent to Graph although %s", r.Operation, why)
	}
}

// finals wants exactly one final record of every command, and returns them.
func (c *counter) finals(keys ...commands.Key) map[commands.Key]commands.Result {
	c.t.Helper()
	seen := map[commands.Key]int{}
	last := map[commands.Key]commands.Result{}
	for _, r := range allResults(c.t, c.js) {
		if r.Final && r.Corrects == 0 {
			seen[r.Key()]++
			last[r.Key()] = r
		}
	}
	for _, k := range keys {
		if seen[k] != 1 {
			c.t.Errorf("%s %s has %d final records; want 1", k.CallRef, k.ID, seen[k])
		}
	}
	return last
}

// dialledOnce wants every call name to stand for one call at Graph.
func (c *counter) dialledOnce(callRefs int) {
	c.t.Helper()
	calls := map[string]int{}
	for _, call := range c.sim.Sim.Calls() {
		calls[call.CallRef] += call.Creates
	}
	for ref, n := range calls {
		if n != 1 {
			c.t.Errorf("%s was dialled %d times", ref, n)
		}
	}
	if len(calls) != callRefs {
		c.t.Errorf("Graph has calls of %d names; want %d", len(calls), callRefs)
	}
}

func numbered(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }
