// Package trouble tells a failure once, however many commands, timers or events
// meet it: what ails one mostly ails thousands, again and again.
package trouble

import (
	"log/slog"
	"regexp"
	"sync"
	"time"
)

const (
	// Calm is how long a failure must not have been met to be over.
	Calm = time.Minute
	// most bounds how many different failures are told apart.
	most = 64
)

// Log tells failures. Make it with New; its methods may be called from many
// goroutines at once.
type Log struct {
	log          *slog.Logger
	failed, over string

	mu    sync.Mutex
	known map[string]*failure // by cause
}

type failure struct {
	last  time.Time
	times int
}

// New makes a log with the message of a failure, a warning, and that of its end.
func New(log *slog.Logger, failed, over string) *Log {
	return &Log{log: log, failed: failed, over: over, known: map[string]*failure{}}
}

// Failed tells of a failure, with what it happened to, unless the same one has
// been met within [Calm]. Two are the same when what caused them says the same;
// numbers and ids in that do not count.
func (l *Log) Failed(err error, what ...any) {
	now := time.Now()
	cause := causeOf(err)
	l.mu.Lock()
	ended := l.endedLocked(now)
	f := l.known[cause]
	if f == nil && len(l.known) >= most {
		cause = "" // all others are one
		f = l.known[cause]
	}
	fresh := f == nil
	if fresh {
		f = &failure{}
		l.known[cause] = f
	}
	f.last, f.times = now, f.times+1
	l.mu.Unlock()
	l.tell(ended)
	if fresh {
		l.log.Warn(l.failed, append(what, "err", err)...)
	}
}

// Passed notes that something went well, and tells of the failures that are
// over. It costs next to nothing while there are none.
func (l *Log) Passed() {
	l.mu.Lock()
	ended := l.endedLocked(time.Now())
	l.mu.Unlock()
	l.tell(ended)
}

// ended is a failure that is over.
type ended struct {
	cause string
	times int
}

func (l *Log) endedLocked(now time.Time) (all []ended) {
	for cause, f := range l.known {
		if now.Sub(f.last) >= Calm {
			all = append(all, ended{cause, f.times})
			delete(l.known, cause)
		}
	}
	return all
}

func (l *Log) tell(all []ended) {
	for _, e := range all {
		l.log.Info(l.over, "cause", e.cause, "times", e.times)
	}
}

// ids are numbers, and what ids are made of.
var ids = regexp.MustCompile(`[0-9a-fA-F]*[0-9][0-9a-fA-F]*`)

// causeOf is what an error comes down to, without numbers and ids.
func causeOf(err error) string {
	for err != nil {
		var inner error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				inner = all[0]
			}
		}
		if inner == nil {
			return ids.ReplaceAllString(err.Error(), "#")
		}
		err = inner
	}
	return ""
}
