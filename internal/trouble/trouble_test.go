package trouble

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told collects log lines without their times.
type told struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *told) Write(line []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(line)
}

func (t *told) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.text.Reset()
	return strings.Split(strings.TrimSuffix(t.text.String(), "\n"), "\n")
}

func setup() (*Log, *told) {
	var out told
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return New(log, "command put off", "commands go on"), &out
}

var errAway = errors.New("connection refused")

func TestAFailureIsToldOnceHoweverManyMeetIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out := setup()
		for i := range 1000 {
			l.Failed(fmt.Errorf("begin order-%d: %w", i, errAway), "command_id", i)
			l.Passed() // others are not concerned
			time.Sleep(time.Second)
		}
		if diff := cmp.Diff([]string{`level=WARN msg="command put off" command_id=0 err="begin order-0: connection refused"`}, out.lines()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		l.Failed(errors.Join(fmt.Errorf("read: %w", errors.New("timeout"))), "command_id", 1)
		if diff := cmp.Diff([]string{`level=WARN msg="command put off" command_id=1 err="read: timeout"`}, out.lines()); diff != "" {
			t.Errorf("another failure (-want +got):\n%s", diff)
		}
		time.Sleep(Calm)
		l.Passed()
		got := out.lines()
		if len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), `level=INFO msg="commands go on" cause="connection refused" times=1000`) {
			t.Errorf("when both are over: %q", got)
		}
		l.Failed(errAway)
		if got := out.lines(); len(got) != 1 || !strings.Contains(got[0], "WARN") {
			t.Errorf("when it comes again: %q; want it told again", got)
		}
		time.Sleep(Calm)
		l.Failed(errAway)
		if got := out.lines(); len(got) != 2 || !strings.Contains(got[0], "INFO") || !strings.Contains(got[1], "WARN") {
			t.Errorf("when it comes again after a calm in which nothing went well: %q; want the end and the beginning", got)
		}
	})
}

// said is an error without a cause that names what it happened to.
type said string

func (s said) Error() string { return string(s) }

func TestNumbersAndIDsMakeNoOtherFailure(t *testing.T) {
	for _, row := range []struct {
		a, b error
		same bool
	}{
		{said("graph getCall: unavailable: HTTP 503 (request-id 3af096b8-be1b-4ffa-b420-c3011e5fb5b4)"), said("graph getCall: unavailable: HTTP 503 (request-id 10b7a9f1-0a0b-4c0d-9e0f-0123456789ab)"), true},
		{said("dial tcp 127.0.0.1:4222: connection refused"), said("dial tcp 127.0.0.1:55023: connection refused"), true},
		{said("getCall is held back: breaker"), said("getCall is held back: throttled"), false},
		{fmt.Errorf("a: %w", errAway), fmt.Errorf("b: %w", errAway), true},
		{fmt.Errorf("a: %w", errors.Join(errAway, said("x"))), fmt.Errorf("b: %w", errors.Join(errAway, said("y"))), true},
		{said("timeout"), errAway, false},
	} {
		if got := causeOf(row.a) == causeOf(row.b); got != row.same {
			t.Errorf("%q and %q are the same: %v; want %v", row.a, row.b, got, row.same)
		}
	}
}

func TestTooManyDifferentFailuresAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out := setup()
		for i := range 10 * most {
			l.Failed(said(strings.Repeat("x", i+1)))
		}
		if got := out.lines(); len(got) != most+1 {
			t.Errorf("%d lines; want %d, and one for all others", len(got), most)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	l, out := setup()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.Failed(errAway)
				l.Passed()
			}
		})
	}
	wg.Wait()
	if got := out.lines(); len(got) != 1 {
		t.Errorf("told %q; want one line", got)
	}
}
