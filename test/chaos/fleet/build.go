package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// BuildOptions say what is built. The zero value of every field but Dir works.
type BuildOptions struct {
	Dir  string // where the programs go; made when it is missing
	Race bool   // build the worker with the race detector
	// Replace gives files, by absolute path, another content in the worker. The
	// files themselves stay as they are.
	Replace map[string]string
	// Skew puts the worker's wall clock off by so many whole seconds, ahead or,
	// when negative, behind. Durations are measured as ever.
	Skew time.Duration
	// WorkerOnly leaves the other programs out.
	WorkerOnly bool
}

// Binaries are the paths of what was built. Graphsim and NATS are empty after
// WorkerOnly.
type Binaries struct {
	Worker, Graphsim, NATS string
}

// Build builds the programs of a fleet: the worker with the build tag "chaos",
// the simulated Graph, and the NATS server of this module's go.mod. It blocks
// for the Go compiler: seconds, or minutes when nothing is in its cache. A Skew
// builds all of the worker anew, the standard library too.
func Build(ctx context.Context, o BuildOptions) (Binaries, error) {
	if o.Dir == "" {
		return Binaries{}, errors.New("build: no directory is given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return Binaries{}, fmt.Errorf("build: %w", err)
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return Binaries{}, err
	}
	flags := []string{"-tags=chaos"}
	if o.Race {
		flags = append(flags, "-race")
	}
	replace, err := o.replacements(ctx)
	if err != nil {
		return Binaries{}, fmt.Errorf("build worker: %w", err)
	}
	if len(replace) > 0 {
		over, remove, err := writeOverlay(replace)
		if err != nil {
			return Binaries{}, fmt.Errorf("build worker: %w", err)
		}
		defer remove()
		flags = append(flags, "-overlay="+over)
	}
	b := Binaries{Worker: filepath.Join(dir, "worker")}
	if err := goBuild(ctx, root, b.Worker, "./cmd/worker", flags...); err != nil || o.WorkerOnly {
		return b, err
	}
	b.Graphsim, b.NATS = filepath.Join(dir, "graphsim"), filepath.Join(dir, "nats-server")
	if err := goBuild(ctx, root, b.Graphsim, "./cmd/graphsim"); err != nil {
		return b, err
	}
	return b, goBuild(ctx, root, b.NATS, "github.com/nats-io/nats-server/v2")
}

// replacements are Replace and what Skew needs.
func (o BuildOptions) replacements(ctx context.Context) (map[string]string, error) {
	all := maps.Clone(o.Replace)
	for path := range all {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("replace %s: want an absolute path", path)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("replace: %w", err)
		}
	}
	if o.Skew == 0 {
		return all, nil
	}
	path, text, err := skewedTime(ctx, o.Skew)
	if err != nil {
		return nil, err
	}
	if _, twice := all[path]; twice {
		return nil, fmt.Errorf("replace %s: not together with a skew, which replaces it too", path)
	}
	if all == nil {
		all = map[string]string{}
	}
	all[path] = text
	return all, nil
}

// moduleRoot is the directory of the go.mod that the current directory is under.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, "", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	if filepath.Base(out) != "go.mod" {
		return "", errors.New("build: the current directory is in no Go module: want one under callbus")
	}
	return filepath.Dir(out), nil
}

func goBuild(ctx context.Context, root, out, pkg string, flags ...string) error {
	args := append([]string{"build", "-o", out}, flags...)
	_, err := goCommand(ctx, root, append(args, pkg)...)
	return err
}

// goCommand runs the go command in dir and returns what it printed. An error
// carries what it complained of.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
