package main

import (
	"os"
	"path/filepath"
	"strings"
)

// runningWorker is where a container's first process shows its command line.
const runningWorker = "/proc/1/cmdline"

// asRunning puts the flags of the worker that is the container's first process
// before those given to "doctor", where they count as if they had been given
// here; a flag that is given here replaces all its values there. It returns how to
// name that process, "" when there is none: args are as they were then.
//
// The chart hands settings over as flags. What is run in the worker's container
// has its environment but not its flags, and would look at another worker than the
// one that is running.
func asRunning(args []string, cmdline []byte) (with []string, process string) {
	if len(args) == 0 || args[0] != "doctor" {
		return args, ""
	}
	running := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	if filepath.Base(running[0]) != filepath.Base(os.Args[0]) {
		return args, ""
	}
	flags := running[1:]
	if len(flags) > 0 && flags[0] == "serve" {
		flags = flags[1:]
	}
	if len(flags) > 0 && !strings.HasPrefix(flags[0], "-") {
		return args, "" // another command
	}
	given := map[string]bool{}
	for _, arg := range args[1:] {
		given[flagName(arg)] = true
	}
	with = []string{"doctor"}
	keep := false
	for _, arg := range flags {
		if strings.HasPrefix(arg, "-") { // else the value of the flag before it
			keep = !given[flagName(arg)]
		}
		if keep {
			with = append(with, arg)
		}
	}
	return append(with, args[1:]...), "process 1"
}

// flagName is "--tenant" of "--tenant=a".
func flagName(arg string) string {
	name, _, _ := strings.Cut(arg, "=")
	return name
}
