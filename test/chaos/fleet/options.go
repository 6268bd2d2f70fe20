package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Options shape a fleet.
type Options struct {
	Binaries Binaries // of [Build]
	// Dir holds logs, NATS stores and settings, and is left behind. Empty: a
	// temporary one, which Close removes unless Keep is set.
	Dir  string
	Keep bool

	NATSNodes  int    // 1 or 3; 0 is 1
	NATSConfig string // more lines for the configuration of every NATS server
	SimArgs    []string
	Workers    int // 0 is 3
	// Worker is asked for what is special about a worker; i counts from 0. It may
	// be nil.
	Worker func(i int) WorkerOptions
}

// WorkerOptions are what is special about one worker.
type WorkerOptions struct {
	Binary string   // another than Binaries.Worker
	Args   []string // after the fleet's own, which they override
	Env    []string // "NAME=value"; besides these a worker has only NATS_URL, its budgets, PATH, HOME and TMPDIR
}

// check fills in what is left out and refuses what cannot be.
func (o *Options) check() error {
	if o.NATSNodes == 0 {
		o.NATSNodes = 1
	}
	if o.Workers == 0 {
		o.Workers = 3
	}
	if o.Worker == nil {
		o.Worker = func(int) WorkerOptions { return WorkerOptions{} }
	}
	switch {
	case o.NATSNodes != 1 && o.NATSNodes != 3:
		return fmt.Errorf("%d NATS servers: want 1 or 3", o.NATSNodes)
	case o.Workers < 0:
		return fmt.Errorf("%d workers: want 1 or more", o.Workers)
	case o.Binaries.Worker == "" || o.Binaries.Graphsim == "" || o.Binaries.NATS == "":
		return errors.New("programs are missing: want those of Build, without WorkerOnly")
	}
	return nil
}

// makeDir makes the directory of the fleet. made says that it is a temporary one.
func (o *Options) makeDir() (made bool, err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "callbus-fleet-"); err != nil {
			return false, err
		}
		made = true
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return made, err
	}
	return made, os.MkdirAll(filepath.Join(o.Dir, "logs"), 0o755)
}

// environment is what every process gets.
func environment(more ...string) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, more...)
}

// commas joins addresses into a list of URLs.
func commas(scheme string, addrs []string) string {
	return scheme + "://" + strings.Join(addrs, ","+scheme+"://")
}
