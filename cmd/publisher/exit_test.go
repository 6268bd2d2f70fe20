package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callbus/internal/commands"
	"callbus/internal/ports"
)

// TestExitCodes is the table of the contract: 0 stored or succeeded, 1 not
// stored, 2 usage, 3 final but not succeeded, 4 no outcome.
func TestExitCodes(t *testing.T) {
	waiting := commands.Result{Status: commands.Waiting, Reason: "throttled"}
	accepted := commands.Result{Status: commands.Accepted}
	call := []string{"place", "--to", "user:u-1"}
	line := `{"callRef":"a","action":"mute","id":"m1"}` + "\n"
	nothing := func(b *bus) *bus { return b }
	streams := func(b *bus) *bus { return b.withStreams(0) }
	says := func(r ...commands.Result) func(*bus) *bus {
		return func(b *bus) *bus { return b.withStreams(0).work(tells(r...)) }
	}
	full := func(b *bus) *bus {
		b.withStreams(1)
		if got := b.run("", call...); got.code != 0 {
			b.t.Fatal(got)
		}
		return b
	}
	tests := []struct {
		name  string
		bus   func(*bus) *bus
		stdin string
		args  []string
		want  int
		says  string // on standard error
	}{
		{"help", nothing, "", []string{"--help"}, 0, ""},
		{"help of an action", nothing, "", []string{"place", "--help"}, 0, ""},
		{"version", nothing, "", []string{"--version"}, 0, ""},
		{"stored", streams, "", call, 0, ""},
		{"succeeded", says(accepted, succeeded), "", with(call, "--wait"), 0, ""},
		{"accepted is enough", says(accepted), "", with(call, "--wait=accepted"), 0, ""},
		{"stored by send", streams, line, []string{"send"}, 0, ""},
		{"succeeded by send", says(succeeded), line, []string{"send", "--wait"}, 0, ""},
		{"failed as the line expects", says(busy), `{"callRef":"a","action":"mute","expect":{"status":"failed","error.code":"486"}}`, []string{"send", "--wait"}, 0, ""},

		{"no stream", nothing, "", call, 1, "no stream takes calls.commands.cli."},
		{"a full queue", full, "", call, 1, "CALL_COMMANDS is full"},
		{"a bad line", streams, "nonsense\n" + line, []string{"send"}, 1, "line 1: not JSON"},
		{"a line the check refuses", streams, `{"callRef":"a","action":"mute","id":"_x"}`, []string{"send"}, 1, "line 1: id"},
		{"a line the queue refuses", nothing, line, []string{"send", "--retry=0"}, 1, "line 1: no stream takes"},
		{"not stored weighs more than failed", says(busy), "nonsense\n" + line, []string{"send", "--wait"}, 1, "line 2  callRef a"},

		{"no command", nothing, "", nil, 2, "--help"},
		{"an unknown command", nothing, "", []string{"dial"}, 2, "dial"},
		{"an unknown flag", nothing, "", with(call, "--loop"), 2, "--loop"},
		{"an unknown output", nothing, "", with(call, "-o", "xml"), 2, "xml"},
		{"no callRef", nothing, "", []string{"hangup"}, 2, "hangup: CALLREF is missing"},
		{"a callRef that cannot be one", streams, "", []string{"hangup", "a.b"}, 2, "callRef has other characters"},
		{"a callRef that cannot be one, unchecked", streams, "", []string{"hangup", "a.b", "--no-check"}, 2, "callRef has other characters"},
		{"a producer that cannot be one", streams, "", []string{"send", "--producer", "*"}, 2, "producer has other characters"},
		{"a call and all calls", nothing, "", []string{"hangup", "--all", "order-1"}, 2, "--all and CALLREF order-1 exclude each other"},
		{"all calls, and a wait for one", nothing, "", []string{"hangup", "--wait", "--all"}, 2, "--all and --wait exclude each other"},
		{"all calls under one id", nothing, "", []string{"hangup", "--all", "--id=x"}, 2, "--all and --id exclude each other: --all takes --producer"},
		{"all calls in no time", nothing, "", []string{"hangup", "--all", "--timeout=0s"}, 2, "--timeout"},
		{"all calls of what cannot be a tenant", nothing, "", []string{"hangup", "--all", "--tenant=a b"}, 2, "--tenant: tenantId"},
		{"all calls of what cannot be a producer", streams, "", []string{"hangup", "--all", "--producer=a.b"}, 2, "producer has other characters"},
		{"a dry run of one hang-up", nothing, "", []string{"hangup", "order-1", "--dry-run"}, 2, "--dry-run belongs to --all"},
		{"nobody to call", streams, "", []string{"place"}, 2, "place: parameters"},
		{"a party of no kind", streams, "", []string{"place", "--to", "+4930"}, 2, `--to: "+4930" names nobody`},
		{"a wait of no kind", nothing, "", with(call, "--wait=soon"), 2, "want accepted or final"},
		{"a value of --wait after a space", nothing, "", with(call, "--wait", "final"), 2, "is written --wait=final"},
		{"a wait of no time", nothing, "", with(call, "--wait", "--timeout=0s"), 2, "--timeout"},
		{"a rate of nothing", nothing, "", []string{"send", "--rate", "0"}, 2, "want lines a second"},
		{"a file that is not there", nothing, "", []string{"send", "/no/such/file"}, 2, "no such file"},
		{"a directory", nothing, "", []string{"send", "/"}, 2, "is a directory"},
		{"a credentials file that is not there", nothing, "", with(call, "--nats-creds", "/no/such.creds"), 2, "/no/such.creds cannot be read"},
		{"a prefix that cannot be one", nothing, "", []string{"send", "--prefix", "a.b"}, 2, `prefix "a.b" cannot be used`},
		{"a kind that is none", nothing, "", []string{"watch", "--kind", "end"}, 2, "--kind end is unknown"},
		{"a status that is none", nothing, "", []string{"watch", "--status", "done"}, 2, `status "done" is unknown`},

		{"failed", says(accepted, busy), "", with(call, "--wait"), 3, ""},
		{"rejected while waiting for accepted", says(commands.Result{Status: commands.Rejected}), "", with(call, "--wait=accepted"), 3, ""},
		{"one line failed", says(busy), line, []string{"send", "--wait"}, 3, "status is failed, expected succeeded"},

		{"no outcome", says(waiting), "", with(call, "--wait", "--timeout=300ms"), 4, "no outcome in time: the last record says waiting, throttled"},
		{"no outcome of one line", streams, line, []string{"send", "--wait", "--timeout=300ms"}, 4, "callRef a  id m1: no outcome in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.bus(newBus(t)).run(tt.stdin, tt.args...)
			if got.code != tt.want || !strings.Contains(got.err, tt.says) {
				t.Errorf("publisher %q = %d, says %q; want %d and …%s…", tt.args, got.code, got.err, tt.want, tt.says)
			}
			if tt.want != 0 && got.code == tt.want && tt.want != exitNotDone && got.err == "" {
				t.Error("publisher says nothing; want a line that says what is wrong")
			}
		})
	}
}

func TestUnreachableServerIsNotStored(t *testing.T) {
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	nobody := "nats://" + addr
	got := runWith(t.Context(), "", "hangup", "a", "--nats-url", nobody)
	if want := "publisher: no NATS server at " + nobody + ": connection refused\n"; got.code != 1 || got.err != want || got.out != "" {
		t.Errorf("publisher = %+v; want 1 and %q", got, want)
	}
}

func TestInterruptedWaitHasNoOutcome(t *testing.T) {
	b := newBus(t).withStreams(0).work(tells(commands.Result{Status: commands.Started}))
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{want: 2, enough: cancel} // the names and "started"
	var errs lockedBuffer
	err := run(ctx, []string{"--nats-url", b.server.ClientURL(), "hangup", "a", "--wait"}, stdio{strings.NewReader(""), out, &errs})
	if code := exitCode(err, &errs); code != exitNoOutcome || !strings.Contains(errs.String(), "the last record says started") {
		t.Errorf("publisher = %d, says %q; want 4 and where the command stands", code, errs.String())
	}
}

func TestEveryFlagHasAVariable(t *testing.T) {
	b := newBus(t).withStreams(0)
	file := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(file, []byte(`{"targets":[{"identity":{"user":{"id":"u-1"}}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"NATS_URL": b.server.ClientURL(), "CALLBUS_PRODUCER": "crm", "CALLBUS_OUTPUT": "json", "CALLBUS_WAIT": "accepted",
		"CALLBUS_TIMEOUT": "200ms", "CALLBUS_PARAMETERS": "@" + file, "CALLBUS_ID": "p1", "CALLBUS_TTL": "5m",
	} {
		t.Setenv(name, value)
	}
	got := runWith(t.Context(), "", "place", "order-1")
	if want := `{"producer":"crm","callRef":"order-1","id":"p1","action":"place"}` + "\n"; got.code != exitNoOutcome || got.out != want {
		t.Errorf("publisher = %+v; want 4 and %s", got, want)
	}
	t.Setenv("CALLBUS_WAIT", "soon")
	if got := runWith(t.Context(), "", "place"); got.code != 2 || !strings.Contains(got.err, "CALLBUS_WAIT") {
		t.Errorf("publisher with CALLBUS_WAIT=soon = %+v; want 2 and the variable's name", got)
	}
}

func with(args []string, more ...string) []string {
	return append(append([]string(nil), args...), more...)
}
