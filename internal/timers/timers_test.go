package timers

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/ports"
	"callbus/internal/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is timers on a server of their own.
func setup(t *testing.T, o embednats.Options) (*Timers, *embednats.Server) {
	t.Helper()
	srv, err := embednats.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	nc, err := nats.Connect(srv.URL(), nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	so := streams.DefaultOptions()
	so.CommandsMaxBytes = 1 << 20
	if _, err := streams.Provision(t.Context(), js, so, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	return New(js, commands.DefaultPrefix, slog.New(slog.DiscardHandler)), srv
}

// firing is one call of the handler.
type firing struct {
	Timer
	at time.Time
}

// run handles timers until the test ends; every firing goes to the channel, and
// then answer says what comes of it, nil: nothing more.
func run(t *testing.T, timers *Timers, answer Handler) <-chan firing {
	t.Helper()
	fired := make(chan firing, 100)
	take, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		timers.Run(take, t.Context(), 4, func(ctx context.Context, timer Timer) (time.Time, error) {
			fired <- firing{timer, time.Now()}
			if answer == nil {
				return time.Time{}, nil
			}
			return answer(ctx, timer)
		})
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return fired
}

func next(t *testing.T, fired <-chan firing, within time.Duration) firing {
	t.Helper()
	select {
	case f := <-fired:
		return f
	case <-time.After(within):
		t.Fatalf("no timer fired within %s", within)
		return firing{}
	}
}

func quiet(t *testing.T, fired <-chan firing, d time.Duration) {
	t.Helper()
	select {
	case f := <-fired:
		t.Fatalf("%s fired; want none for %s", f.Kind, d)
	case <-time.After(d):
	}
}

func arm(t *testing.T, timers *Timers, timer Timer, at time.Time) {
	t.Helper()
	if err := timers.Arm(t.Context(), timer, at); err != nil {
		t.Fatal(err)
	}
}

var key = commands.Key{Producer: "crm", CallRef: "order-1", ID: "p1"}

const soon = 8 * time.Second

func TestATimerFiresOnceAndNotEarly(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	fired := run(t, timers, nil)
	since := time.Now().UTC().Add(-time.Minute)
	due := time.Now().Add(700 * time.Millisecond)
	arm(t, timers, Timer{Key: key, Kind: "look", CallID: "c1", TenantID: "home", Since: since, Tries: 3}, due)
	arm(t, timers, Timer{Key: key, Kind: "ring"}, time.Now().Add(-time.Hour)) // past: at once
	if f := next(t, fired, soon); f.Kind != "ring" {
		t.Fatalf("%s fired first; want ring, which was past", f.Kind)
	}
	f := next(t, fired, soon)
	if f.at.Before(due) {
		t.Errorf("fired %s early", due.Sub(f.at))
	}
	want := Timer{Key: key, Kind: "look", CallID: "c1", TenantID: "home", Since: since, Tries: 3}
	if !f.Since.Equal(want.Since) {
		t.Errorf("since = %v; want %v", f.Since, want.Since)
	}
	f.Since = want.Since
	if diff := cmp.Diff(want, f.Timer); diff != "" {
		t.Errorf("fired differs (-want +got):\n%s", diff)
	}
	quiet(t, fired, 500*time.Millisecond)
}

func TestArmingAgainMovesTheTimer(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	fired := run(t, timers, nil)
	early, late := time.Now().Add(300*time.Millisecond), time.Now().Add(1200*time.Millisecond)
	arm(t, timers, Timer{Key: key, Kind: "look", CallID: "first"}, early)
	arm(t, timers, Timer{Key: key, Kind: "look", CallID: "second"}, late)
	arm(t, timers, Timer{Key: key, Kind: "keepAlive", CallID: "third"}, time.Now().Add(time.Hour))
	arm(t, timers, Timer{Key: key, Kind: "keepAlive", CallID: "fourth"}, early)
	if f := next(t, fired, soon); f.CallID != "fourth" {
		t.Errorf("fired %+v; want the one that was moved to earlier", f.Timer)
	}
	if f := next(t, fired, soon); f.CallID != "second" || f.at.Before(late) {
		t.Errorf("fired %+v at %v; want the second one, not before %v", f.Timer, f.at, late)
	}
	quiet(t, fired, 300*time.Millisecond)
}

func TestAHandlerArmsItsTimerAgain(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	fired := run(t, timers, func(_ context.Context, timer Timer) (time.Time, error) {
		if timer.Tries == 2 {
			return time.Time{}, nil
		}
		return time.Now().Add(50 * time.Millisecond), nil
	})
	arm(t, timers, Timer{Key: key, Kind: "look", CallID: "c1"}, time.Now())
	for tries := range 3 {
		if f := next(t, fired, soon); f.Tries != tries || f.CallID != "c1" {
			t.Errorf("fired %+v; want try %d", f.Timer, tries)
		}
	}
	quiet(t, fired, 300*time.Millisecond)
}

func TestAFailedTimerComesBack(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	var n atomic.Int64
	fired := run(t, timers, func(context.Context, Timer) (time.Time, error) {
		if n.Add(1) == 1 {
			return time.Now().Add(time.Hour), errors.New("Graph is away")
		}
		return time.Time{}, nil
	})
	arm(t, timers, Timer{Key: key, Kind: "look"}, time.Now())
	first := next(t, fired, soon)
	if f := next(t, fired, soon); f.Tries != 0 || f.at.Sub(first.at) < failedPause {
		t.Errorf("came back %s later with try %d; want %s, and no new try", f.at.Sub(first.at), f.Tries, failedPause)
	}
	quiet(t, fired, 300*time.Millisecond)
}

func TestAnUnreadableTimerIsDropped(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	fired := run(t, timers, nil)
	if _, err := timers.js.Publish(t.Context(), timers.prefix.Due(key, "look"), []byte("no JSON")); err != nil {
		t.Fatal(err)
	}
	arm(t, timers, Timer{Key: key, Kind: "ring"}, time.Now())
	if f := next(t, fired, soon); f.Kind != "ring" {
		t.Errorf("fired %+v; want the readable one", f.Timer)
	}
	cons, err := timers.js.Consumer(t.Context(), timers.prefix.Stream(streams.Timers), streams.DueConsumer)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(soon); ; {
		info, err := cons.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.NumAckPending == 0 && info.NumPending == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d timers are not settled", info.NumAckPending)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestTimersSurviveARestart: armed before, fired after, while the worker's
// loop goes on through the outage.
func TestTimersSurviveARestart(t *testing.T) {
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	dir := t.TempDir()
	timers, srv := setup(t, embednats.Options{Listen: addr, DataDir: dir})
	fired := run(t, timers, nil)
	inOutage := time.Now().Add(100 * time.Millisecond)
	later := time.Now().Add(1500 * time.Millisecond)
	if err := timers.Arm(t.Context(), Timer{Key: key, Kind: "duration"}, later); err != nil {
		t.Fatal(err)
	}
	if err := timers.Arm(t.Context(), Timer{Key: key, Kind: "look"}, inOutage.Add(400*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	<-time.After(time.Until(inOutage.Add(500 * time.Millisecond))) // its time comes while nobody is there
	again, err := embednats.Start(embednats.Options{Listen: addr, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	seen := map[Kind]firing{}
	for range 2 {
		f := next(t, fired, 15*time.Second)
		seen[f.Kind] = f
	}
	if len(seen) != 2 || seen["duration"].at.Before(later) {
		t.Errorf("fired %v; want look and duration, the latter not before %v", seen, later)
	}
	quiet(t, fired, 200*time.Millisecond)
}

func TestRunGoesOnWhenItsConsumerIsMadeAnew(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	fired := run(t, timers, nil)
	arm(t, timers, Timer{Key: key, Kind: "look"}, time.Now())
	next(t, fired, soon)
	name := timers.prefix.Stream(streams.Timers)
	cons, err := timers.js.Consumer(t.Context(), name, streams.DueConsumer)
	if err != nil {
		t.Fatal(err)
	}
	if err := timers.js.DeleteConsumer(t.Context(), name, streams.DueConsumer); err != nil {
		t.Fatal(err)
	}
	// The server may still be taking the old one's files away.
	for end := time.Now().Add(soon); ; {
		if _, err = timers.js.CreateConsumer(t.Context(), name, cons.CachedInfo().Config); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	arm(t, timers, Timer{Key: key, Kind: "ring"}, time.Now())
	for range 2 { // the new consumer reads from the start
		if f := next(t, fired, soon); f.Kind == "ring" {
			return
		}
	}
	t.Error("the timer that was armed afterwards did not fire")
}

func TestArmSaysWhatFailed(t *testing.T) {
	timers, _ := setup(t, embednats.Options{})
	timers.js.Conn().Close()
	err := timers.Arm(t.Context(), Timer{Key: key, Kind: "look"}, time.Now())
	if want := "arm timer look of crm.order-1 p1: "; err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
		t.Errorf("Arm() = %v; want %q and the cause", err, want)
	}
}
