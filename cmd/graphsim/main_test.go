package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// announced passes on lines and closes ready when the program says so.
type announced struct {
	text  bytes.Buffer
	ready chan struct{}
}

func (a *announced) Write(p []byte) (int, error) {
	n, err := a.text.Write(p)
	if bytes.HasSuffix(a.text.Bytes(), []byte("\nready\n")) {
		close(a.ready)
	}
	return n, err
}

// serving runs the program until the end of the test and returns what it printed.
func serving(t *testing.T, args ...string) (printed string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &announced{ready: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, args, out, io.Discard) }()
	select {
	case <-out.ready:
	case err := <-ended:
		cancel()
		t.Fatalf("run() = %v before it was ready", err)
	}
	return out.text.String(), func() error { cancel(); return <-ended }
}

func address(t *testing.T, printed, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` +(\S+)$`).FindStringSubmatch(printed)
	if found == nil {
		t.Fatalf("no %s in %q", name, printed)
	}
	return found[1]
}

func TestItServesUntilItIsStopped(t *testing.T) {
	faults := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(faults, []byte(`[{"operation":"getCall","status":418}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	t.Setenv("CALLBUS_SIM_TOKEN", "from-the-environment")
	printed, stop := serving(t, "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--ca-out", ca, "--faults", faults,
		"--limits", "rate=50,concurrent=100,monthly=10000,retry-after=2s,count-rejected", "--answer-after", "0", "--seed", "7", "--log-level", "error")

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(url, bearer string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	graph := address(t, printed, "graph")
	if status, _ := get(graph+"/communications/calls/x", "from-the-environment"); status != 418 {
		t.Errorf("with the fault of the file: %d; want 418", status)
	}
	if status, _ := get(graph+"/communications/calls/x", "another"); status != 401 {
		t.Errorf("with another token: %d; want 401", status)
	}
	if _, limits := get(address(t, printed, "control")+"/limits", ""); strings.TrimSpace(limits) != `{"rate":50,"retryAfter":"2s","countRejected":true,"concurrent":100,"monthly":10000}` {
		t.Errorf("limits %s", limits)
	}
	if status, _ := get(address(t, printed, "oidc"), ""); status != 200 {
		t.Errorf("discovery: %d; want 200", status)
	}
	if issuer := address(t, printed, "issuer"); issuer != "https://graphsim.invalid" {
		t.Errorf("issuer %s", issuer)
	}
	if authority := address(t, printed, "authority"); !strings.HasPrefix(authority, "https://127.0.0.1:") {
		t.Errorf("authority %s", authority)
	}
	if pem, err := os.ReadFile(ca); err != nil || !bytes.HasPrefix(pem, []byte("-----BEGIN CERTIFICATE-----")) {
		t.Errorf("certificate authority %q, %v", pem, err)
	}
	if err := stop(); err != nil {
		t.Errorf("run() = %v after the stop; want nil", err)
	}
}

func TestExitCodes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`[{"status":1}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"--help"}, 0, "…486"},
		{"version", []string{"--version"}, 0, "graphsim "},
		{"a flag nobody knows", []string{"--nonsense"}, 2, "unknown flag --nonsense"},
		{"an argument", []string{"serve"}, 2, "unexpected argument serve"},
		{"a duration that is none", []string{"--answer-after", "soon"}, 2, "--answer-after"},
		{"limits that are none", []string{"--limits", "speed=1"}, 2, `limit "speed": one of`},
		{"a level that is none", []string{"--log-level", "loud"}, 2, "--log-level"},
		{"a file that is not there", []string{"--faults", "/nonexistent"}, 2, "--faults"},
		{"faults that make no sense", []string{"--faults", bad}, 2, "fault 1: status 1: 200 to 599"},
		{"a certificate that is none", []string{"--client-certificate", bad}, 2, "no certificate in"},
		{"authorities that are none", []string{"--notify-ca", bad}, 2, "no certificate in"},
		{"a CA without TLS", []string{"--ca-out", bad}, 2, "needs --tls-listen"},
		{"options that make no sense", []string{"--token-lifetime", "0", "--listen", "127.0.0.1:0"}, 2, "token lifetime"},
		{"an address that is taken", []string{"--listen", taken.Addr().String()}, 1, "address already in use"},
		{"a CA that cannot be written", []string{"--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--ca-out", "/nonexistent/ca"}, 1, "certificate authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := exitCode(run(t.Context(), tt.args, &stdout, &stderr), &stderr)
			if said := stdout.String() + stderr.String(); code != tt.code || !strings.Contains(said, tt.says) {
				t.Errorf("exit code %d, %q; want %d and %q", code, said, tt.code, tt.says)
			}
			if code != 0 && strings.Count(strings.TrimSpace(stderr.String()), "\n") > 0 {
				t.Errorf("stderr %q; want one line", stderr.String())
			}
		})
	}
	if exitCode(errors.Join(errUsage), io.Discard) != 2 {
		t.Error("a usage error does not exit 2")
	}
}
