// Publisher is the producer's side of callbus on the command line: it publishes
// commands for Microsoft Teams and telephone calls, one by one or in bulk, and
// shows what became of them.
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

	"callbus/internal/signals"
)

func main() {
	os.Exit(exitCode(run(signals.Context(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}), os.Stderr))
}

// stdio is the world the program talks to.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// run is the program. Settings come from the arguments and, through kong, from
// the environment.
func run(ctx context.Context, args []string, std stdio) error {
	var flags cli
	ended := false
	parser, err := kong.New(&flags,
		kong.Name("publisher"),
		kong.Description("Publishes call commands to NATS JetStream and shows what became of them."),
		kong.DefaultEnvars("CALLBUS"),
		kong.Vars{"version": version()},
		kong.Writers(std.out, std.err),
		kong.Exit(func(int) { ended = true }), // after --help and --version
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.ExplicitGroups(flagGroups),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if ended {
		return nil
	}
	if err != nil {
		return usage(parseProblem(err))
	}
	return command.Run(&session{ctx: ctx, std: std, flags: &flags.globals})
}

// parseProblem names, for a mistake anywhere on the command line, where to
// read what is allowed.
func parseProblem(err error) error {
	where := "publisher"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context.Command() != "" {
		where, _, _ = strings.Cut("publisher "+parse.Context.Command(), " <") // without its arguments
		where, _, _ = strings.Cut(where, " [")
	}
	return fmt.Errorf("%w (see %s --help)", err, where)
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(text, s.Value[:min(12, len(s.Value))]) {
			text += " " + s.Value
		}
	}
	return strings.TrimSpace("publisher " + text + " " + info.GoVersion)
}
