package streams

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	api := func(code jetstream.ErrorCode, text string) error {
		return fmt.Errorf("wrapped: %w", &jetstream.APIError{Code: 400, ErrorCode: code, Description: text})
	}
	full := api(codeStoreFailed, "maximum bytes exceeded")
	for _, row := range []struct {
		name    string
		subject string
		err     error
		why     Refusal // empty: passed on as it is
		says    string
	}{
		{"a full journal", "calls.results.crm.a.b", full, Full, "CALL_RESULTS is full (maximum bytes exceeded): until there is room, no command is sent to Graph; raise --results-max-bytes"},
		{"a full queue", "calls.commands.crm.a.place", full, Full, "CALL_COMMANDS is full"},
		{"full events", "calls.events.crm.a.state", full, Full, "CALL_EVENTS is full"},
		{"full dead letters", "calls.dead.crm.a.b", full, Full, "CALL_DEAD is full"},
		{"full timers", "calls.timers.crm.a.b.look", full, Full, "CALL_TIMERS is full"},
		{"a full registry", "$KV.CALLS.crm.a", full, Full, "bucket CALLS is full"},
		{"full gates", "$KV.CALL_GATES.x", full, Full, "bucket CALL_GATES is full"},
		{"a server without storage", "calls.results.crm.a.b", api(codeNoStorage, "insufficient storage resources available"), NoRoom, "the server has no room left for CALL_RESULTS"},
		{"a server without resources", "calls.results.crm.a.b", api(codeNoResources, "insufficient resources"), NoRoom, "more storage"},
		{"a message that is too large", "calls.results.crm.a.b", api(jetstream.JSErrCodeStreamMessageExceedsMaximum, "message size exceeds maximum allowed"), TooLarge, "max_msg_size"},
		{"no such stream", "calls.results.crm.a.b", jetstream.ErrNoStreamResponse, Missing, "CALL_RESULTS does not exist"},
		{"a lost compare-and-swap", "calls.results.crm.a.b", api(jetstream.JSErrCodeStreamWrongLastSequence, "wrong last sequence: 3"), "", ""},
		{"a store that failed otherwise", "calls.results.crm.a.b", api(codeStoreFailed, "disk error"), "", ""},
		{"a timeout", "calls.results.crm.a.b", nats.ErrTimeout, "", ""},
		{"somebody else's subject", "orders.results.a", full, "", ""},
		{"a subject of one token", "calls", full, "", ""},
		{"no error", "calls.results.crm.a.b", nil, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := Explain(commands.DefaultPrefix, row.subject, row.err)
			refused, ok := errors.AsType[*RefusedError](err)
			if row.why == "" {
				if ok || !errors.Is(err, row.err) || (err == nil) != (row.err == nil) {
					t.Fatalf("Explain() = %v; want it left as it is", err)
				}
				return
			}
			if !ok || refused.Why != row.why || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n") || !errors.Is(err, row.err) {
				t.Fatalf("Explain() = %v; want %s, one line saying %q", err, row.why, row.says)
			}
			if again := Explain(commands.DefaultPrefix, row.subject, fmt.Errorf("write: %w", err)); again.Error() != "write: "+err.Error() {
				t.Errorf("Explain() twice = %v; want it explained once", again)
			}
		})
	}
}

// TestToldTellsOfAStreamThatRefuses: every refusal is counted, and the log says
// when it begins and when it is over.
func TestToldTellsOfAStreamThatRefuses(t *testing.T) {
	t.Parallel()
	plain := dial(t, serverURL)
	prefix := commands.Prefix("told")
	o := DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = prefix, 1<<20
	if _, err := Provision(t.Context(), plain, o, ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	resize := func(bytes int64) {
		t.Helper()
		s, err := plain.Stream(t.Context(), prefix.Stream(Results))
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.MaxBytes = bytes
		if _, err := plain.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	var log records
	refusals := map[string]int{}
	js := Told(plain, prefix, log.logger(), func(stream string, why Refusal) { refusals[stream+" "+string(why)]++ })
	publish := func() error {
		_, err := js.PublishMsg(t.Context(), nats.NewMsg(prefix.Result(commands.Key{Producer: "crm", CallRef: "a", ID: "b"})))
		return err
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	resize(1)
	for range 3 {
		if _, ok := errors.AsType[*RefusedError](publish()); !ok {
			t.Fatal("publish into a full stream was not refused")
		}
	}
	if n := refusals["RESULTS full"]; n != 3 || len(refusals) != 1 {
		t.Errorf("refusals = %v; want 3 of RESULTS, full", refusals)
	}
	resize(-1)
	for range 2 {
		if err := publish(); err != nil {
			t.Fatal(err)
		}
	}
	text := log.String()
	if strings.Count(text, "level=ERROR") != 1 || strings.Count(text, "TOLD_RESULTS is full") != 1 || strings.Count(text, "stream takes messages again") != 1 {
		t.Errorf("log = %s; want one line at each change", text)
	}
	if js.Conn() != plain.Conn() {
		t.Error("Conn() is another connection; want everything but publishing left alone")
	}
}

// TestALimitThatEvictsIsNamed: armed timers must not be evicted, and where a full
// stream refuses instead, the limit is the operator's to set.
func TestALimitThatEvictsIsNamed(t *testing.T) {
	t.Parallel()
	js := dial(t, serverURL)
	o := DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = "evicts", 1<<20
	if _, err := Provision(t.Context(), js, o, ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{Results, Events, Dead, Timers} {
		s, err := js.Stream(t.Context(), o.Prefix.Stream(name))
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.MaxBytes = 1 << 20
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Provision(t.Context(), js, o, ModeVerify, false)
	if !errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), "stream EVICTS_TIMERS: max_bytes is 1048576, want unset") || strings.Count(err.Error(), "max_bytes") != 1 {
		t.Errorf("Provision() = %v; want the timers' limit named and no other", err)
	}
	if _, err := Provision(t.Context(), js, o, ModeReconcile, false); err != nil {
		t.Errorf("Provision() = %v; want it put right", err)
	}
}
