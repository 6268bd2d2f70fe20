package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// patience bounds every wait for what must come.
const patience = 30 * time.Second

// process is the program as a process of its own.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err watched
	ended    chan struct{} // closed when it has ended
}

// startProcess runs the program with nothing but env in its environment, and
// ends it with the test.
func startProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{asWorker + "=1"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	hearInterrupts()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says how it ended
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("standard output of the program:\n%s\nstandard error:\n%s", p.out.String(), p.err.String())
		}
	})
	return p
}

// hearInterrupts lets the programs that are started hear an interrupt. A shell
// ignores it for what it runs in the background, and so would they; a signal that
// this process catches is back at its default in what it starts.
var hearInterrupts = sync.OnceFunc(func() {
	if signal.Ignored(os.Interrupt) {
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
})

// stop sends a signal and returns the exit code, and how long the program took.
func (p *process) stop(sig os.Signal) (code int, took time.Duration) {
	p.t.Helper()
	begun := time.Now()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("not ended %s after %s", patience, sig)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(begun)
}

// printed waits until w shows what the pattern's group stands for.
func (p *process) printed(w *watched, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	p.eventually(pattern, func() bool {
		found = re.FindStringSubmatch(w.String())
		return found != nil
	})
	return found[len(found)-1]
}

// eventually polls until ok; it fails early when the program has ended.
func (p *process) eventually(what string, ok func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-p.ended:
			p.t.Fatalf("the program ended (%s) before: %s", p.cmd.ProcessState, what)
		case <-ctx.Done():
			p.t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// watched is output that can be read while it is written.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// producer publishes commands to a running program and reads their outcome.
type producer struct {
	*process
	js jetstream.JetStream
}

func (p *process) producer(url string) *producer {
	p.t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		p.t.Fatal(err)
	}
	return &producer{p, js}
}

const toUser = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`

// send publishes a command; parameters may be empty.
func (p *producer) send(callRef, id string, action commands.Action, parameters string) commands.Key {
	p.t.Helper()
	text := `{"id":"` + id + `"}`
	if parameters != "" {
		text = `{"id":"` + id + `","parameters":` + parameters + `}`
	}
	k := commands.Key{Producer: "crm", CallRef: callRef, ID: id}
	if _, err := p.js.Publish(p.t.Context(), commands.DefaultPrefix.Command(k.Call(), action), []byte(text)); err != nil {
		p.t.Fatal(err)
	}
	return k
}

// reaches waits for a record that ok accepts.
func (p *producer) reaches(k commands.Key, what string, ok func(commands.Result) bool) (r commands.Result) {
	p.t.Helper()
	s, err := p.js.Stream(p.t.Context(), "CALL_RESULTS")
	if err != nil {
		p.t.Fatal(err)
	}
	p.eventually(k.CallRef+" "+k.ID+" "+what, func() bool {
		msg, err := s.GetLastMsgForSubject(p.t.Context(), commands.DefaultPrefix.Result(k))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return false
		}
		if err == nil {
			r, err = decodeResult(msg.Data)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		return ok(r)
	})
	return r
}

// want waits for the end of a command, which must be a success.
func (p *producer) want(k commands.Key) commands.Result {
	p.t.Helper()
	r := p.reaches(k, "final", func(r commands.Result) bool { return r.Final })
	if r.Status != commands.Succeeded {
		p.t.Fatalf("%s %s ended %s: %+v; want it to succeed", k.CallRef, k.ID, r.Status, r.Error)
	}
	return r
}

// TestDevStopsCleanly: a signal ends the development stack at once, with a call
// up, exit code 0, and nothing left in the temporary directory.
func TestDevStopsCleanly(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			p := startProcess(t, []string{"TMPDIR=" + temp}, "dev", "--log-level=warn",
				"--nats-listen=127.0.0.1:0", "--sim-listen=127.0.0.1:0", "--callback-listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0")
			p.printed(&p.out, `(?m)^(ready)$`)
			crm := p.producer(p.printed(&p.out, `(?m)^nats +(\S+)$`))
			crm.want(crm.send("a", "p", commands.Place, toUser))
			crm.js.Conn().Close()

			code, took := p.stop(sig)
			if code != 0 || took > 5*time.Second {
				t.Errorf("exit %d after %s; want 0 within 5 s", code, took)
			}
			left, err := os.ReadDir(temp)
			if err != nil || len(left) != 0 {
				t.Errorf("left in the temporary directory: %v, %v; want nothing", left, err)
			}
			if text := p.err.String(); strings.Contains(text, "goroutine ") || strings.Contains(text, "worker: ") {
				t.Errorf("standard error = %s; want warnings at most", text)
			}
		})
	}
}
