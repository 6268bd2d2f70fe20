package callbacks

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// occasional logs each kind of trouble once a minute at its level and in
// between at debug: a stranger at the door must not fill the log.
type occasional struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last map[string]time.Time // by kind, of which there are few
}

func newOccasional(log *slog.Logger, now func() time.Time) *occasional {
	return &occasional{log: log, now: now, last: make(map[string]time.Time)}
}

func (o *occasional) warn(msg, kind string, args ...any)  { o.at(slog.LevelWarn, msg, kind, args) }
func (o *occasional) error(msg, kind string, args ...any) { o.at(slog.LevelError, msg, kind, args) }

// info is for what is rare by itself.
func (o *occasional) info(msg string, args ...any) { o.log.Info(msg, args...) }

func (o *occasional) at(level slog.Level, msg, kind string, args []any) {
	now := o.now()
	o.mu.Lock()
	if last, ok := o.last[kind]; ok && now.Sub(last) < time.Minute {
		level = slog.LevelDebug
	} else {
		o.last[kind] = now
	}
	o.mu.Unlock()
	o.log.Log(context.Background(), level, msg, args...)
}
