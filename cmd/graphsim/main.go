// Graphsim is a simulated Microsoft Graph calls API with signed notifications, a
// token endpoint and faults on demand, for trying out and testing what places calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"callbus/internal/graphsim"
	"callbus/internal/signals"
)

// version is set when the program is built.
var version = ""

func main() {
	os.Exit(exitCode(run(signals.Context(), os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// errUsage is a mistake on the command line.
var errUsage = errors.New("see graphsim --help")

// exitCode prints what went wrong and tells the process's exit code: 0 is a clean
// stop, 2 a mistake on the command line, 1 everything else.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "graphsim: %v\n", err)
	if errors.Is(err, errUsage) || errors.Is(err, graphsim.ErrOptions) {
		return 2
	}
	return 1
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var flags cli
	ended := false
	parser, err := kong.New(&flags,
		kong.Name("graphsim"),
		kong.Description("A simulated Microsoft Graph calls API.\n\n"+behaviours()),
		kong.DefaultEnvars("CALLBUS_SIM"),
		kong.Vars{"version": versionText(), "issuer": graphsim.DefaultIssuer, "tenant": graphsim.DefaultTenantID, "app": graphsim.DefaultAppID},
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { ended = true }), // after --help and --version
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: -1}),
	)
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	if ended {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", err, errUsage)
	}
	opts, err := flags.options(stderr)
	if err != nil {
		return fmt.Errorf("%w (%w)", err, errUsage)
	}
	return serve(ctx, flags, opts, stdout)
}

// serve listens, says where, and closes when ctx ends.
func serve(ctx context.Context, flags cli, opts graphsim.Options, stdout io.Writer) error {
	srv, err := graphsim.Start(ctx, opts, flags.Listen, flags.TLSListen)
	if err != nil {
		return err
	}
	defer srv.Close()
	if flags.CAOut != "" {
		if err := os.WriteFile(flags.CAOut, srv.CAPEM(), 0o644); err != nil {
			return fmt.Errorf("write certificate authority: %w", err)
		}
	}
	fmt.Fprintf(stdout, "graph     %s\ncontrol   %s/_sim\noidc      %s\nissuer    %s\n", srv.GraphURL(), srv.URL(), srv.OIDCURL(), srv.Issuer())
	if srv.AuthorityURL() != "" {
		fmt.Fprintf(stdout, "authority %s\n", srv.AuthorityURL())
	}
	fmt.Fprintln(stdout, "ready")
	<-ctx.Done()
	return nil
}

// behaviours is the table of --help.
func behaviours() string {
	var text strings.Builder
	text.WriteString("The end of a target's id or number decides what the callee does:\n")
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, b := range graphsim.Behaviours {
		fmt.Fprintf(table, "  …%s\t%s\n", b.Suffix, b.Means)
	}
	fmt.Fprint(table, "  else\tanswers\n")
	table.Flush() // into memory
	text.WriteString("A transfer to a target that would not answer fails. A prompt whose path contains \"missing\" ends 8536,\n" +
		"one that does not end in .wav 8535.")
	return text.String()
}

func versionText() string {
	text, goVersion := version, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		if text == "" {
			text = info.Main.Version
		}
	}
	return strings.TrimSpace("graphsim " + text + " " + goVersion)
}
