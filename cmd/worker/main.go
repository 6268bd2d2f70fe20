// Worker executes call commands from NATS JetStream against the Microsoft Graph
// calls API, and brings its own development stack, demo and provisioning.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"callbus/internal/app"
	"callbus/internal/natsconn"
	"callbus/internal/signals"
)

// version is set when the program is built.
var version = ""

func main() {
	os.Exit(exitCode(run(signals.Context(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}), os.Stderr))
}

// stdio is the world the program talks to.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// errUsage is a mistake on the command line.
var errUsage = errors.New("see worker --help")

// exitCode prints what went wrong and tells the process's exit code: 0 is a
// clean stop, 2 a mistake in the settings, 1 everything else.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "worker: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	conn, isConn := errors.AsType[*natsconn.Error](err)
	if errors.Is(err, errUsage) || errors.Is(err, app.ErrOptions) || isConn && conn.Reason == natsconn.Settings {
		return 2
	}
	return 1
}

// run is the program. Settings come from the arguments and, through kong, from
// the environment.
func run(ctx context.Context, args []string, std stdio) error {
	var flags cli
	ended := false
	parser, err := kong.New(&flags,
		kong.Name("worker"),
		kong.Description("Executes call commands from NATS JetStream against the Microsoft Graph calls API."),
		kong.DefaultEnvars("CALLBUS"),
		kong.Vars{"version": versionText()},
		kong.Writers(std.out, std.err),
		kong.Exit(func(int) { ended = true }), // after --help and --version
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return err
	}
	cmdline, _ := os.ReadFile(runningWorker) // there is none on many systems
	args, running := asRunning(args, cmdline)
	command, err := parser.Parse(args)
	if ended {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", err, errUsage)
	}
	return command.Run(&session{ctx: ctx, stdio: std, running: running})
}

func versionText() string { return "worker " + programVersion() }

// programVersion is the version built in, else the module's.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
