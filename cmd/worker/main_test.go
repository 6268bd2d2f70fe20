package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"callbus/internal/embednats"
)

// asWorker in the environment makes the test binary the program itself, for
// tests that need a process.
const asWorker = "CALLBUS_TEST_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// ended is how one run of the program ended.
type ended struct {
	code     int
	out, err string
}

// runWorker runs the program in this process until it ends by itself.
func runWorker(t *testing.T, stdin string, args ...string) ended {
	t.Helper()
	var out, stderr bytes.Buffer
	code := exitCode(run(t.Context(), args, stdio{strings.NewReader(stdin), &out, &stderr}), &stderr)
	return ended{code, out.String(), stderr.String()}
}

// settings are enough to start with; what a row adds comes later and counts.
func settings(more ...string) []string {
	return append([]string{
		"serve", "--log-level=error", "--nats-url=nats://127.0.0.1:1", "--graph-url=http://127.0.0.1:1/v1.0", "--graph-token-file=/dev/null",
		"--tenant=aaaabbbb-0000-cccc-1111-dddd2222eeee", "--callback-url=https://callbus.contoso.com", "--callback-audience=app",
		"--callback-oidc-url=http://127.0.0.1:1/keys", "--callback-listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0",
	}, more...)
}

// TestExitCodes is the table of the contract: 0 clean, 1 failure, 2 usage; and
// every failure is one line.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	js := server(t, embednats.Options{})
	core := server(t, embednats.Options{NoJetStream: true})
	old := oldServer(t)
	taken := takenPort(t)
	const place = `{"callRef":"a","action":"place","id":"p","parameters":{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`
	for _, row := range []struct {
		name  string
		stdin string
		args  []string
		want  int
		says  string // on standard error
	}{
		{"help", "", []string{"--help"}, 0, ""},
		{"help, shortly", "", []string{"-h"}, 0, ""},
		{"help of serve", "", []string{"serve", "--help"}, 0, ""},
		{"help of doctor", "", []string{"doctor", "--help"}, 0, ""},
		{"help of demo", "", []string{"demo", "--help"}, 0, ""},
		{"version", "", []string{"--version"}, 0, ""},
		{"the sample", "", []string{"demo", "--print"}, 0, ""},
		{"streams made", "", []string{"provision", "--nats-url", js}, 0, ""},
		{"streams checked", "", []string{"provision", "--nats-url", js, "--streams=verify"}, 0, ""},
		{"streams that differ, looked at", "", []string{"provision", "--nats-url", js, "--events-max-age=1h", "--dry-run"}, 0, ""},

		{"streams that differ", "", []string{"provision", "--nats-url", js, "--events-max-age=1h"}, 1, "CALL_EVENTS"},
		{"NATS unreachable", "", settings(), 1, "no NATS server at nats://127.0.0.1:1"},
		{"NATS unreachable for provision", "", []string{"provision", "--nats-url=nats://127.0.0.1:1"}, 1, "no NATS server at"},
		{"NATS without JetStream", "", settings("--nats-url", core), 1, "JetStream is not enabled on server"},
		{"NATS without JetStream for provision", "", []string{"provision", "--nats-url", core}, 1, "JetStream is not enabled on server"},
		{"NATS before 2.12", "", settings("--nats-url", old), 1, "server 2.12 or newer"},
		{"an address that is taken", "", settings("--nats-url", js, "--metrics-listen", taken), 1, "--metrics-listen"},

		{"no settings at all", "", []string{"--log-level=error"}, 2, "--tenant is missing"},
		{"no settings but a command", "", []string{"serve"}, 2, "--callback-url is missing"},
		{"an unknown flag", "", settings("--loop"), 2, "--loop"},
		{"an unknown command", "", []string{"dial"}, 2, "dial"},
		{"a flag without a value", "", []string{"serve", "--tenant"}, 2, "--tenant"},
		{"a number that is none", "", settings("--concurrency=many"), 2, "--concurrency"},
		{"a duration that is none", "", settings("--ack-wait=15"), 2, "--ack-wait"},
		{"a choice that is none", "", settings("--graph-route=teams"), 2, "communications"},
		{"a cloud that is none", "", settings("--cloud=mars"), 2, "usgov"},
		{"a number out of its range", "", settings("--concurrency=0"), 2, "want 1 to 4096"},
		{"a lease as short as a request", "", settings("--ack-wait=10s"), 2, "--graph-timeout"},
		{"Graph over plain http elsewhere", "", settings("--graph-url=http://graph.contoso.com/v1.0"), 2, "--graph-url"},
		{"a token file for a Graph elsewhere", "", settings("--graph-url=https://graph.contoso.com/v1.0"), 2, "loopback only"},
		{"a credential that lacks its secret", "", settings("--graph-token-file=", "--azure-credential=environment"), 2, "--azure-credential=environment"},
		{"a credentials file that is not there", "", settings("--nats-creds", filepath.Join(dir, "none")), 2, "cannot be read"},
		{"a check without any time", "", []string{"doctor", "--timeout=0s"}, 2, "--timeout"},
		{"a report in no known form", "", []string{"doctor", "-o", "xml"}, 2, "json"},
		{"a prefix with a dot", "", []string{"provision", "--prefix=a.b"}, 2, "--prefix"},
		{"a development stack beyond loopback", "", []string{"dev", "--nats-listen=0.0.0.0:0"}, 2, "loopback only"},
		{"a script that is not there", "", []string{"demo", filepath.Join(dir, "none.ndjson")}, 2, "none.ndjson"},
		{"a script without commands", "\n", []string{"demo", "-"}, 2, "no commands"},
		{"a script with an unreadable line", place + "}\nhang up, please\n", []string{"demo", "-"}, 2, "line 2"},
		{"a script with a wrong command", place + "}\n" + `{"callRef":"a","action":"hangup","id":"b","speed":1}`, []string{"demo", "-"}, 2, "line 2: speed"},
		{"faults that are not there", "", []string{"demo", "--faults", filepath.Join(dir, "none.json")}, 2, "none.json"},
		{"faults that are no JSON", "", []string{"demo", "--faults", file("faults.json", "[{")}, 2, "faults.json"},
		{"faults that make no sense", "", []string{"demo", "--faults", file("sense.json", `[{"operation":"dial","status":500}]`)}, 2, "dial"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := runWorker(t, row.stdin, row.args...)
			if got.code != row.want || !strings.Contains(got.err, row.says) {
				t.Fatalf("exit %d, %q; want %d and %q in it", got.code, got.err, row.want, row.says)
			}
			switch {
			case row.want == 0 && (got.err != "" || got.out == ""):
				t.Errorf("printed %q, and %q on standard error; want the answer on standard output alone", got.out, got.err)
			case row.want != 0:
				assertOneLine(t, got.err)
			}
		})
	}
}

// assertOneLine: a failure is told in one line that begins with the program.
func assertOneLine(t *testing.T, text string) {
	t.Helper()
	if !strings.HasPrefix(text, "worker: ") || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("standard error = %q; want one line that begins with \"worker: \"", text)
	}
	for _, inside := range []string{"goroutine ", "panic", ".go:", "0xc0"} {
		if strings.Contains(text, inside) {
			t.Errorf("standard error = %q; shows %q", text, inside)
		}
	}
}

func server(t *testing.T, o embednats.Options) string {
	t.Helper()
	srv, err := embednats.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv.URL()
}

// oldServer says of itself what servers of 2.11 say.
func oldServer(t *testing.T) string {
	t.Helper()
	url := server(t, embednats.Options{NoJetStream: true})
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	_, err = nc.Subscribe("$JS.API.INFO", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.account_info_response","limits":{},"api":{"level":1}}`))
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func takenPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestDemoTellsABrokenExpectation: exit 1, and the line that did not end as it
// says is named with how it ended.
func TestDemoTellsABrokenExpectation(t *testing.T) {
	t.Parallel()
	const script = `{"callRef":"good","action":"place","id":"p","parameters":{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}}
{"callRef":"busy","action":"place","id":"p","parameters":{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d486"}}}]}}
`
	got := runWorker(t, script, "demo", "-")
	if got.code != 1 || !strings.Contains(got.err, "1 of 2 commands") {
		t.Errorf("exit %d, %q; want 1 and the count", got.code, got.err)
	}
	assertOneLine(t, got.err)
	for _, say := range []string{"line 2: busy place", "1 not as expected", "NOT AS EXPECTED", "callee: busy (486)"} {
		if !strings.Contains(got.out, say) {
			t.Errorf("output lacks %q:\n%s", say, got.out)
		}
	}
	if strings.Contains(got.out, "line 1:") {
		t.Errorf("output blames line 1:\n%s", got.out)
	}

	expected := strings.Replace(script, `486"}}}]}}`, `486"}}}]},"expect":{"status":"failed","error":{"reason":"busy"}}}`, 1)
	if got := runWorker(t, expected, "demo", "-"); got.code != 0 || !strings.Contains(got.out, "every one as expected") {
		t.Errorf("with the right expectation: exit %d, %s%s; want 0", got.code, got.out, got.err)
	}
}
