package fleet

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// testDir holds what is built for several tests.
var testDir string

// asHarness in the environment makes the test binary a harness that runs one
// process, whose log is the variable's value, and then does nothing.
const asHarness = "CALLBUS_TEST_AS_HARNESS"

func TestMain(m *testing.M) {
	if log := os.Getenv(asHarness); log != "" {
		harness(log)
	}
	goleak.VerifyTestMain(withDir{m})
}

func harness(log string) {
	p := &Proc{name: "orphan", path: "/bin/sh", args: []string{"-c", "echo $$; exec sleep 60"}, env: environment(), log: log}
	if err := p.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = p.Wait(context.Background())
}

type withDir struct{ *testing.M }

func (m withDir) Run() int {
	var err error
	if testDir, err = os.MkdirTemp("", "callbus-fleet-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(testDir)
	return m.M.Run()
}
