package fleet

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startShell starts a shell script as a process that ends with the test.
func startShell(t *testing.T, script string, probe func(context.Context) error) *Proc {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proc{name: "test-1", path: shell, args: []string{"-c", script}, env: environment("WORD=hello"), log: filepath.Join(t.TempDir(), "log"), probe: probe}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// wait waits for the end of a process.
func wait(t *testing.T, p *Proc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

func logged(p *Proc) string {
	text, _ := os.ReadFile(p.LogFile())
	return string(text)
}

func TestKillLeavesNoZombie(t *testing.T) {
	p := startShell(t, "exec sleep 60", nil)
	pid := p.Pid()
	if !p.Alive() || p.Paused() || p.ExitCode() != -1 {
		t.Errorf("alive %t, paused %t, exit code %d; want a running process", p.Alive(), p.Paused(), p.ExitCode())
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait() = %v; want the deadline", err)
	}
	p.Kill()
	if p.Alive() || p.ExitCode() != -1 {
		t.Errorf("alive %t, exit code %d; want the end, by a signal", p.Alive(), p.ExitCode())
	}
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("process %d: %v; want it gone", pid, err)
	}
	p.Kill() // nothing to do
	for name, tell := range map[string]func() error{"Term": p.Term, "Pause": p.Pause, "Continue": p.Continue} {
		if err := tell(); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s() = %v after the end; want ErrNotRunning", name, err)
		}
	}
}

func TestTermIsAnswered(t *testing.T) {
	p := startShell(t, `trap 'echo bye; exit 7' TERM; echo "$WORD"; while :; do sleep 0.01; done`, nil)
	eventually(t, "it says hello", func() bool { return logged(p) == "hello\n" })
	if err := p.Term(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	if p.ExitCode() != 7 || logged(p) != "hello\nbye\n" {
		t.Errorf("exit code %d, logged %q; want 7 and a good-bye", p.ExitCode(), logged(p))
	}
}

func TestPauseStandsStillUntilContinued(t *testing.T) {
	p := startShell(t, `while :; do echo x; sleep 0.001; done`, nil)
	eventually(t, "it works", func() bool { return logged(p) != "" })
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if !p.Paused() || !p.Alive() {
		t.Errorf("paused %t, alive %t; want both", p.Paused(), p.Alive())
	}
	before := logged(p)
	time.Sleep(20 * time.Millisecond)
	if after := logged(p); after != before {
		t.Errorf("%d lines while paused; want none", strings.Count(after, "x")-strings.Count(before, "x"))
	}
	if err := p.Continue(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it works again", func() bool { return !p.Paused() && logged(p) != before })
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	p.Kill() // SIGKILL reaches a stopped process too
	if p.Alive() || p.Paused() {
		t.Error("alive after Kill")
	}
}

func TestRestartBeginsAnotherLife(t *testing.T) {
	p := startShell(t, `echo "$WORD"; exec sleep 60`, nil)
	eventually(t, "it says hello", func() bool { return logged(p) == "hello\n" })
	if err := p.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "it is running") {
		t.Errorf("Restart() = %v of a running process; want an error", err)
	}
	before := p.Pid()
	p.Kill()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Restart(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Restart() = %v with a context that is over", err)
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !p.Alive() || p.Pid() == before {
		t.Errorf("alive %t, process id %d; want another than %d", p.Alive(), p.Pid(), before)
	}
	eventually(t, "it says hello again, below the first", func() bool { return logged(p) == "hello\nhello\n" })
}

func TestReadyTellsWhyAProcessEnded(t *testing.T) {
	never := func(context.Context) error { return errors.New("not yet") }
	p := startShell(t, `echo first; echo "the disk is full"; exit 3`, never)
	err := p.Ready(t.Context())
	if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "test-1 ended before it was ready, exit status 3") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("Ready() = %v; want the exit status and the last line", err)
	}
	p = startShell(t, "exec sleep 60", never)
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := p.Ready(short); err == nil || !strings.Contains(err.Error(), "test-1 is not ready: not yet") {
		t.Errorf("Ready() = %v; want what the probe says", err)
	}
}

func TestReviveStartsUntilReady(t *testing.T) {
	dir := t.TempDir()
	up := filepath.Join(dir, "up")
	// The third life comes up; the others end at once, as a worker without NATS does.
	script := `echo x >> ` + dir + `/lives; [ "$(wc -l < ` + dir + `/lives)" -lt 3 ] && exit 1; touch ` + up + `; exec sleep 60`
	p := startShell(t, script, func(context.Context) error { _, err := os.Stat(up); return err })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Revive(ctx); err != nil || !p.Alive() {
		t.Fatalf("Revive() = %v, alive %t; want a third life", err, p.Alive())
	}
	if lives, _ := os.ReadFile(filepath.Join(dir, "lives")); string(lives) != "x\nx\nx\n" {
		t.Errorf("%d lives; want 3", len(lives)/2)
	}
}

// TestNoProcessOutlivesAKilledHarness: after kill -9 of the harness, its process
// is gone, or a zombie that nobody waits for.
func TestNoProcessOutlivesAKilledHarness(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "log")
	harness := exec.Command(self)
	harness.Env = environment(asHarness + "=" + file)
	if err := harness.Start(); err != nil {
		t.Fatal(err)
	}
	stat := func() []byte {
		pid, _ := os.ReadFile(file)
		text, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "stat"))
		if err != nil {
			return nil
		}
		return text
	}
	eventually(t, "the process runs", func() bool {
		pid, _ := os.ReadFile(file)
		return strings.HasSuffix(string(pid), "\n") && strings.Contains(string(stat()), "(sleep)")
	})
	_ = harness.Process.Kill()
	_ = harness.Wait() // it was killed
	eventually(t, "the process is gone", func() bool { text := stat(); return text == nil || processState(text) == 'Z' })
}

func TestProcessState(t *testing.T) {
	for _, row := range []struct {
		name, stat string
		want       byte
	}{
		{"a running process", "42 (worker) R 1 42", 'R'},
		{"a stopped one", "42 (worker) T 1 42", 'T'},
		{"a name with parentheses and blanks", "42 (a) T (b) S 1 42", 'S'},
		{"nothing", "", 0},
		{"half a line", "42 (worker)", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := processState([]byte(row.stat)); got != row.want {
				t.Errorf("processState(%q) = %c; want %c", row.stat, got, row.want)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	p := startShell(t, "exec sleep 60", nil)
	m, err := p.Memory()
	if err != nil || m.Now < 4<<10 || m.Peak < m.Now {
		t.Errorf("Memory() = %+v, %v; want a page at least, and a peak that is not below it", m, err)
	}
	p.Kill()
	if m, err := p.Memory(); err == nil {
		t.Errorf("Memory() = %+v after the end; want an error", m)
	}
	if m, err := memory([]byte("Name:\tworker\nVmHWM:\t   20 kB\nVmRSS:\t   10 kB\n")); err != nil || m != (Memory{10 << 10, 20 << 10}) {
		t.Errorf("memory() = %+v, %v; want 10 and 20 KiB", m, err)
	}
	if _, err := memory([]byte("VmRSS:\tmuch\n")); err == nil {
		t.Error("memory() of no number gave no error")
	}
}
