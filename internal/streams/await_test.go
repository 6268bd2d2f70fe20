package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/natstest"
)

// silent is a server that drops the request.
func silent(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestAwaitLeaderAsksAgainWhileThereMayBeAnAnswer(t *testing.T) {
	api := func(code jetstream.ErrorCode) error { return &jetstream.APIError{ErrorCode: code} }
	for _, row := range []struct {
		name  string
		first func(context.Context) error
		again bool
	}{
		{"silence", silent, true},
		{"no meta leader", func(context.Context) error { return api(codeNotAvailable) }, true},
		{"too few servers up", func(context.Context) error { return api(codeNoSuitablePeers) }, true},
		{"a stream whose servers are all down", func(context.Context) error { return api(codeStreamOffline) }, true},
		{"the client's own timeout", func(context.Context) error { return fmt.Errorf("x: %w", nats.ErrTimeout) }, true},
		{"a missing stream", func(context.Context) error { return jetstream.ErrStreamNotFound }, false},
		{"no room", func(context.Context) error { return api(codeNoStorage) }, false},
		{"no JetStream for the account", func(context.Context) error { return jetstream.ErrJetStreamNotEnabledForAccount }, false},
		{"nobody listens", func(context.Context) error { return nats.ErrNoResponders }, false},
		{"told to stop", func(context.Context) error { return context.Canceled }, false},
		{"an answer", func(context.Context) error { return nil }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, told := 0, 0
				err := AwaitLeader(t.Context(), func(error) { told++ }, func(ctx context.Context) error {
					if asked++; asked <= 3 {
						return row.first(ctx)
					}
					return nil
				})
				if want := row.first(expired(t)); !row.again && (asked != 1 || told != 0 || !errors.Is(err, want)) {
					t.Errorf("AwaitLeader() = %v after %d requests, %d times told; want %v after 1, never told", err, asked, told, want)
				}
				if row.again && (asked != 4 || told != 1 || err != nil) {
					t.Errorf("AwaitLeader() = %v after %d requests, %d times told; want success at the 4th, told once", err, asked, told)
				}
			})
		})
	}
}

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	t.Cleanup(cancel)
	return ctx
}

func TestAwaitLeaderEnds(t *testing.T) {
	for _, row := range []struct {
		name     string
		deadline time.Duration // of the caller
		want     time.Duration
		is       error
	}{
		{"after a while", time.Hour, LeaderWait, ErrNoLeader},
		{"with the caller's deadline", 7 * time.Second, 7 * time.Second, ErrNoLeader},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), row.deadline)
				defer cancel()
				began := time.Now()
				err := AwaitLeader(ctx, nil, silent)
				if took := time.Since(began); took != row.want || !errors.Is(err, row.is) || strings.Contains(err.Error(), "\n") {
					t.Errorf("AwaitLeader() = %v after %s; want one line of %v after %s", err, took, row.is, row.want)
				}
			})
		})
	}
	t.Run("when it is told to", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stop")
		err := AwaitLeader(ctx, func(error) { cancel(stop) }, func(context.Context) error { return nats.ErrTimeout })
		if !errors.Is(err, stop) || errors.Is(err, ErrNoLeader) {
			t.Errorf("AwaitLeader() = %v; want %v", err, stop)
		}
	})
}

// TestProvisionWaitsForWhatHasNoLeader drops the first requests about a stream,
// a bucket and a consumer, as servers do while there is an election.
func TestProvisionWaitsForWhatHasNoLeader(t *testing.T) {
	proxy := natstest.StartProxy(t, serverURL)
	js := dial(t, proxy.URL())
	o := DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = commands.Prefix(fmt.Sprintf("await%d", names.Add(1))), 1<<20
	if _, err := Provision(t.Context(), js, o, ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	var dropped atomic.Int64
	drop := map[string]*atomic.Bool{}
	for _, subject := range []string{
		"$JS.API.STREAM.INFO." + o.Prefix.Stream(Dead), "$JS.API.STREAM.INFO.KV_" + o.Prefix.Stream(Gates),
		"$JS.API.CONSUMER.INFO." + o.Prefix.Stream(Timers) + "." + DueConsumer,
	} {
		drop[subject] = &atomic.Bool{}
	}
	proxy.Judge(func(subject string) natstest.Fate {
		if d := drop[subject]; d != nil && !d.Swap(true) {
			dropped.Add(1)
			return natstest.Swallow
		}
		return natstest.Pass
	})
	var told []error
	plan, err := Provision(t.Context(), js, o, ModeVerify, false, Waiting(func(why error) { told = append(told, why) }))
	if err != nil || len(plan.Differences) != 0 || dropped.Load() != 3 {
		t.Errorf("Provision() = %+v, %v with %d requests dropped; want all found after 3", plan, err, dropped.Load())
	}
	if len(told) != 1 || !errors.Is(told[0], context.DeadlineExceeded) {
		t.Errorf("told %v; want once, that there was no answer", told)
	}
}

// TestProvisionFindsWhatAnotherWorkerMakes loses the answer to every request
// that makes something, as happens when several make the same: the request of
// the last one counts, and the others are not answered.
func TestProvisionFindsWhatAnotherWorkerMakes(t *testing.T) {
	proxy := natstest.StartProxy(t, serverURL)
	o := DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = commands.Prefix(fmt.Sprintf("await%d", names.Add(1))), 1<<20
	var made atomic.Int64
	direct := dial(t, serverURL)
	name := o.Prefix.Stream(Commands)
	proxy.Judge(func(subject string) natstest.Fate {
		if subject != "$JS.API.STREAM.CREATE."+name {
			return natstest.Pass
		}
		made.Add(1)
		if _, err := direct.CreateStream(t.Context(), o.streams()[0]); err != nil { // the other worker
			t.Error(err)
		}
		return natstest.Swallow
	})
	plan, err := Provision(t.Context(), dial(t, proxy.URL()), o, ModeCreate, false)
	if err != nil || len(plan.Created) != 14 || made.Load() != 1 {
		t.Errorf("Provision() = %+v, %v after %d requests for %s; want 14 objects after 1", plan, err, made.Load(), name)
	}
}

// TestProvisionRefusesWhatAnotherWorkerJustMadeOtherwise lets another worker,
// with other settings, be faster between the look and the request.
func TestProvisionRefusesWhatAnotherWorkerJustMadeOtherwise(t *testing.T) {
	proxy := natstest.StartProxy(t, serverURL)
	o := DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = commands.Prefix(fmt.Sprintf("await%d", names.Add(1))), 1<<20
	direct := dial(t, serverURL)
	proxy.Judge(func(subject string) natstest.Fate {
		if subject == "$JS.API.STREAM.CREATE."+o.Prefix.Stream(Events) {
			cfg := o.streams()[2]
			cfg.MaxAge = time.Hour
			if _, err := direct.CreateStream(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		}
		return natstest.Pass
	})
	_, err := Provision(t.Context(), dial(t, proxy.URL()), o, ModeCreate, false)
	if !errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), "_EVENTS: max_age is 1h0m0s, want 168h0m0s") || !strings.Contains(err.Error(), "reconcile") {
		t.Errorf("Provision() = %v; want the difference and how to put it right", err)
	}
}
