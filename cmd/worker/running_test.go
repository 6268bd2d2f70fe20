package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAsRunning: what doctor takes over from the worker that runs beside it.
func TestAsRunning(t *testing.T) {
	self := filepath.Base(os.Args[0])
	for _, row := range []struct {
		name, running, args, want string
		process                   string
	}{
		{"the chart's worker", "/" + self + " serve --tenant=a --tenant=b --nats-url=n", "doctor -o json", "doctor --tenant=a --tenant=b --nats-url=n -o json", "process 1"},
		{"a worker that names no command", self + " --tenant=a", "doctor", "doctor --tenant=a", "process 1"},
		{"a worker without flags", self, "doctor", "doctor", "process 1"},
		{"a flag given here counts instead", self + " serve --tenant=a --tenant b --prefix=p", "doctor --tenant=c", "doctor --prefix=p --tenant=c", "process 1"},
		{"values apart from their flags", self + " serve --tenant a --monthly-calls-hard --prefix p", "doctor --prefix q", "doctor --tenant a --monthly-calls-hard --prefix q", "process 1"},
		{"another command of ours", self + " provision --prefix=p", "doctor", "doctor", ""},
		{"another program", "/sbin/init splash", "doctor --tenant=a", "doctor --tenant=a", ""},
		{"no such process", "", "doctor", "doctor", ""},
		{"any other command is left alone", self + " serve --tenant=a", "serve --tenant=b", "serve --tenant=b", ""},
		{"no command", self + " serve --tenant=a", "", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			cmdline := ""
			if row.running != "" {
				cmdline = strings.ReplaceAll(row.running, " ", "\x00") + "\x00"
			}
			got, process := asRunning(strings.Fields(row.args), []byte(cmdline))
			if diff := cmp.Diff(strings.Fields(row.want), got); diff != "" || process != row.process {
				t.Errorf("process %q; want %q; arguments (-want +got):\n%s", process, row.process, diff)
			}
		})
	}
}
