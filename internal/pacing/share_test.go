package pacing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/natstest"
)

// shared reads what the bucket says of a gate.
func shared(t *testing.T, kv jetstream.KeyValue, gate Gate) Gate {
	t.Helper()
	e, err := kv.Get(t.Context(), gateKey(gate.Scope, gate.Class))
	if err != nil {
		t.Fatal(err)
	}
	var is Gate
	if err := json.Unmarshal(e.Value(), &is); err != nil {
		t.Fatal(err)
	}
	return is
}

func TestALateWriterDoesNotMoveAGateBack(t *testing.T) {
	open, kv := setup(t)
	early := Gate{Scope: "home", Class: ClassPlace, Reason: "throttled", Until: time.Now().Add(30 * time.Second).UTC()}
	late := early
	late.Until = early.Until.Add(time.Minute)
	for _, row := range []struct {
		name  string
		first bool // the gate was shut before
	}{{"a new gate", false}, {"a gate that was shut before", true}} {
		t.Run(row.name, func(t *testing.T) {
			early, late := early, late
			early.Scope, late.Scope = strings.ReplaceAll(row.name, " ", "-"), strings.ReplaceAll(row.name, " ", "-")
			if row.first {
				before := early
				before.Until = early.Until.Add(-10 * time.Second)
				if err := open(nil).Close(t.Context(), before); err != nil {
					t.Fatal(err)
				}
			}
			fast := open(nil)
			slow, proxy := openThrough(t, kv)
			var once sync.Once
			proxy.Judge(func(subject string) natstest.Fate {
				if strings.HasPrefix(subject, "$KV.") { // it has looked, and is about to write
					once.Do(func() {
						if err := fast.Close(t.Context(), late); err != nil {
							t.Error(err)
						}
					})
				}
				return natstest.Pass
			})
			if err := slow.Close(t.Context(), early); err != nil {
				t.Fatal(err)
			}
			if got := shared(t, kv, late); !got.Until.Equal(late.Until) {
				t.Errorf("the shared gate opens at %s; want %s, which was stored first", got.Until, late.Until)
			}
			if got, closed := slow.Closed(early.Scope, early.Class); !closed || !got.Until.Equal(late.Until) {
				t.Errorf("the slow worker's gate opens at %s; want %s, which it met", got.Until, late.Until)
			}
		})
	}
}

func TestManyWritersLeaveTheLatestTime(t *testing.T) {
	open, kv := setup(t)
	gate := Gate{Scope: "home", Class: ClassOther, Until: time.Now().Add(time.Minute).UTC()}
	var writers sync.WaitGroup
	for i := range 8 {
		g, own := open(nil), gate
		own.Until = gate.Until.Add(time.Duration(i*5%8) * time.Second)
		writers.Go(func() {
			if err := g.Close(t.Context(), own); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if got := shared(t, kv, gate); !got.Until.Equal(gate.Until.Add(7 * time.Second)) {
		t.Errorf("the shared gate opens at %s; want the latest, %s", got.Until, gate.Until.Add(7*time.Second))
	}
}

func TestAGateThatExpiredIsShutAgain(t *testing.T) {
	open, kv := setup(t)
	gate := Gate{Scope: "home", Class: ClassOther, Until: time.Now().Add(200 * time.Millisecond).UTC()}
	if err := open(nil).Close(t.Context(), gate); err != nil {
		t.Fatal(err)
	}
	until(t, "the gate has expired", func() bool {
		_, err := kv.Get(t.Context(), gateKey(gate.Scope, gate.Class))
		return err != nil
	})
	gate.Until = time.Now().Add(time.Minute).UTC()
	if err := open(nil).Close(t.Context(), gate); err != nil {
		t.Fatal(err)
	}
	if got := shared(t, kv, gate); !got.Until.Equal(gate.Until) {
		t.Errorf("the shared gate opens at %s; want %s", got.Until, gate.Until)
	}
}

// flaky is a bucket whose watches are scripted.
type flaky struct {
	jetstream.KeyValue
	watches []func() (jetstream.KeyWatcher, error)
	none    func() // called instead when none is left
}

func (f *flaky) Bucket() string { return "GATES" }

func (f *flaky) Watch(context.Context, string, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	if len(f.watches) == 0 {
		f.none()
		return nil, context.Canceled
	}
	next := f.watches[0]
	f.watches = f.watches[1:]
	return next()
}

// watch brings some gates and then ends.
type watch struct{ updates chan jetstream.KeyValueEntry }

func (w *watch) Updates() <-chan jetstream.KeyValueEntry { return w.updates }
func (w *watch) Stop() error                             { return nil }
func (w *watch) Error() <-chan error                     { return nil }

type entry struct {
	jetstream.KeyValueEntry
	gate Gate
}

func (e entry) Value() []byte { b, _ := json.Marshal(e.gate); return b }

func brings(gates ...Gate) func() (jetstream.KeyWatcher, error) {
	return func() (jetstream.KeyWatcher, error) {
		w := &watch{make(chan jetstream.KeyValueEntry, len(gates)+1)}
		for _, g := range gates {
			w.updates <- entry{gate: g}
		}
		w.updates <- nil
		close(w.updates)
		return w, nil
	}
}

func TestRunBeginsAgainWhenTheWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		silence := func() (jetstream.KeyWatcher, error) { return nil, errors.New("no answer") }
		gate := func(scope string) Gate {
			return Gate{Scope: scope, Class: ClassPlace, Until: time.Now().Add(time.Hour)}
		}
		kv := &flaky{none: stop, watches: []func() (jetstream.KeyWatcher, error){
			silence, silence, silence, brings(gate("home")), silence, silence, brings(gate("home"), gate("branch")),
		}}
		g := &Gates{kv: kv, log: slog.New(slog.NewTextHandler(&log, nil)), closed: map[string]Gate{}}
		if err := g.Run(ctx); err != nil {
			t.Errorf("Run() = %v; want nil when ctx ends", err)
		}
		for _, scope := range []string{"home", "branch"} {
			if _, closed := g.Closed(scope, ClassPlace); !closed {
				t.Errorf("%s is open; want what was missed to be read again", scope)
			}
		}
		if n := strings.Count(log.String(), "no answer"); n != 2 {
			t.Errorf("log has %d lines of two outages; want one each:\n%s", n, log.String())
		}
	})
}

// TestAWorkerFollowsAgainAfterTheServerWasSilent lets the real client meet a
// server that drops the request for the watch.
func TestAWorkerFollowsAgainAfterTheServerWasSilent(t *testing.T) {
	open, kv := setup(t)
	g, proxy := openThrough(t, kv)
	var dropped atomic.Bool
	proxy.Judge(func(subject string) natstest.Fate {
		if strings.HasPrefix(subject, "$JS.API.CONSUMER.CREATE.") && !dropped.Swap(true) {
			return natstest.Swallow
		}
		return natstest.Pass
	})
	gate := Gate{Scope: "home", Class: ClassPlace, Until: time.Now().Add(time.Minute)}
	if err := open(nil).Close(t.Context(), gate); err != nil {
		t.Fatal(err)
	}
	run(t, g)
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		if _, closed := g.Closed(gate.Scope, gate.Class); closed {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the gate that another worker shut never came")
		}
	}
	if !dropped.Load() {
		t.Error("no request was dropped; the test shows nothing")
	}
}
