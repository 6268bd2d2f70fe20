package fleet

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSkewIsRefused(t *testing.T) {
	for _, row := range []struct {
		name, source string
		skew         time.Duration
		says         string
	}{
		{"parts of a second", nowReads, 1500 * time.Millisecond, "by 1.5s: want whole seconds"},
		{"a time.go that reads its clock in another way", "func Now() Time {\n\treturn now()\n}\n", time.Second, "is there 0 times: want once"},
		{"a time.go that has it twice", nowReads + nowReads, time.Second, "is there 2 times: want once"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := skewed(row.source, row.skew); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("skewed() = %v; want %q", err, row.says)
			}
		})
	}
}

// TestSkewPutsTheClockOff builds a small program with the standard library that
// a skewed worker gets, and asks it for the time.
func TestSkewPutsTheClockOff(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a part of the standard library")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module clock\n",
		"main.go": "package main\n\nimport \"time\"\n\nfunc main() {\n\tbegun := time.Now()\n\tprintln(begun.Unix())\n\tprintln(int64(time.Since(begun)))\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, skew := range []time.Duration{90 * time.Second, -3 * time.Hour} {
		path, text, err := skewedTime(t.Context(), skew)
		if err != nil {
			t.Fatal(err)
		}
		overlay, remove, err := writeOverlay(map[string]string{path: text})
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "clock")
		err = goBuild(t.Context(), dir, program, ".", "-overlay="+overlay)
		remove()
		if err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command(program).CombinedOutput()
		now := time.Now()
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		lines := strings.Fields(string(said))
		clock, err1 := strconv.ParseInt(lines[0], 10, 64)
		elapsed, err2 := strconv.ParseInt(lines[1], 10, 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("said %q", said)
		}
		if off := time.Unix(clock, 0).Sub(now) - skew; off.Abs() > patience {
			t.Errorf("skew %s: the clock is %s further off; want it right but for that", skew, off)
		}
		if elapsed < 0 || time.Duration(elapsed) > patience {
			t.Errorf("skew %s: a moment lasts %s; want durations as ever", skew, time.Duration(elapsed))
		}
	}
}

func TestReplaceGivesFilesAnotherContent(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the worker")
	}
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "cmd", "worker", "main.go")
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const before = `var version = ""`
	if !strings.Contains(string(source), before) {
		t.Fatalf("%s has no %s", path, before)
	}
	o := BuildOptions{Dir: t.TempDir(), WorkerOnly: true}
	o.Replace = map[string]string{path: strings.Replace(string(source), before, `var version = "replaced"`, 1)}
	b, err := Build(t.Context(), o)
	if err != nil || b.Graphsim != "" || b.NATS != "" {
		t.Fatalf("Build() = %+v, %v; want a worker alone", b, err)
	}
	if said, err := exec.Command(b.Worker, "--version").Output(); err != nil || !strings.HasPrefix(string(said), "worker replaced") {
		t.Errorf("--version says %q, %v; want what was replaced", said, err)
	}
	o.Replace[path] = string(source) + "\nvar broken = nowhere\n"
	if _, err := Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), "undefined: nowhere") {
		t.Errorf("Build() = %v; want what the compiler says", err)
	}
}

func TestBuildOptionsThatCannotBeAreRefused(t *testing.T) {
	for _, row := range []struct {
		name string
		opts BuildOptions
		says string
	}{
		{"no directory", BuildOptions{}, "no directory is given"},
		{"a relative path", BuildOptions{Dir: t.TempDir(), Replace: map[string]string{"main.go": ""}}, "replace main.go: want an absolute path"},
		{"a file that is not there", BuildOptions{Dir: t.TempDir(), Replace: map[string]string{"/nonexistent.go": ""}}, "no such file"},
		{"a skew of half a second", BuildOptions{Dir: t.TempDir(), Skew: time.Second / 2}, "want whole seconds"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := Build(t.Context(), row.opts); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("Build() = %v; want %q", err, row.says)
			}
		})
	}
}
