package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/test/chaos/fleet"
	"callbus/test/chaos/nemesis"
)

// stage runs one incident on processes of its own and prints its table. It
// reports whether everything went as expected.
func (f *cli) stage(ctx context.Context, bin fleet.Binaries, i incident) (ok bool, err error) {
	fl, err := fleet.Start(ctx, fleet.Options{
		Binaries: bin, Workers: 2, SimArgs: []string{"--answer-after=200ms", "--log-size=100000"},
	})
	if err != nil {
		return false, err
	}
	defer fl.Close()
	if err := fl.Ready(ctx); err != nil {
		return false, err
	}
	prom, err := f.startPrometheus(ctx, fl)
	if err != nil {
		return false, err
	}
	defer prom.stop()
	nc, err := nats.Connect(fl.NATSURL(), nats.MaxReconnects(-1))
	if err != nil {
		return false, err
	}
	defer nc.Close()

	began := time.Now().Add(f.Calm)
	var inCalm []string
	fired := map[string]time.Duration{} // by alert and severity
	var broken []string
	done := false
	for n := 0; time.Now().Before(began.Add(f.For)) && ctx.Err() == nil; n++ {
		if !done && time.Now().After(began) {
			done = true
			if err := nemesis.SetFaults(fl.SimURL(), i.faults); err != nil {
				return false, err
			}
			if i.do != nil {
				i.do(fl)
			}
		}
		call(nc, n, done && i.busy)
		alerts, err := prom.firing()
		if err != nil {
			return false, err
		}
		for _, a := range alerts {
			name := a.Labels["alertname"] + " " + a.Labels["severity"]
			if !done {
				inCalm = append(inCalm, name)
			}
			if _, known := fired[name]; !known {
				fired[name] = time.Since(began)
			}
			if text := fmt.Sprint(a.Annotations); strings.Contains(text, "<error") || strings.Contains(text, "<no value>") {
				broken = append(broken, "the text of "+name+" is broken: "+text)
			}
		}
		time.Sleep(250 * time.Millisecond)
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	happened, err := prom.value(ctx, i.proof)
	if err != nil {
		return false, err
	}
	if happened <= 0 {
		broken = append(broken, fmt.Sprintf("nothing went wrong: %s is %v", i.proof, happened))
	}
	return f.judge(i, fired, inCalm, broken), nil
}

// call publishes a place, and the hang-up of one of some seconds ago.
func call(nc *nats.Conn, n int, busy bool) {
	callee := 1
	if busy && n%5 != 0 {
		callee = 486
	}
	_ = nc.Publish(fmt.Sprintf("calls.commands.incident.c%d.place", n),
		fmt.Appendf(nil, `{"id":"p","parameters":{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d%03d"}}}]}}`, callee))
	if n >= 20 {
		_ = nc.Publish(fmt.Sprintf("calls.commands.incident.c%d.hangup", n-20), []byte(`{"id":"h"}`))
	}
}

// judge prints the table.
func (f *cli) judge(i incident, fired map[string]time.Duration, inCalm, broken []string) bool {
	all := alertNames(f.Rules)
	fmt.Printf("%s\n", i.name)
	ok := true
	for _, name := range slices.SortedFunc(maps.Keys(fired), func(a, b string) int { return int(fired[a] - fired[b]) }) {
		alert, severity, _ := strings.Cut(name, " ")
		verdict := "expected"
		switch {
		case slices.Contains(i.want, alert):
		case slices.Contains(i.may, alert):
			verdict = "possible"
		default:
			verdict, ok = "NOT EXPECTED", false
		}
		after := fired[name]
		fmt.Printf("  %-30s %-9s after %5.1f s (%s in real time)  %s\n", alert, severity, after.Seconds(), (after * time.Duration(f.Factor)).Round(time.Minute), verdict)
		all = slices.DeleteFunc(all, func(a string) bool { return a == alert })
	}
	for _, name := range i.want {
		if slices.Contains(all, name) {
			fmt.Printf("  %-30s did NOT fire\n", name)
			ok = false
		}
	}
	fmt.Printf("  silent: %s\n", strings.Join(all, " "))
	for _, name := range slices.Compact(inCalm) {
		fmt.Printf("  fired before anything was wrong: %s\n", name)
		ok = false
	}
	for _, text := range slices.Compact(broken) {
		fmt.Printf("  %s\n", text)
		ok = false
	}
	fmt.Printf("  %s\n\n", map[bool]string{true: "as expected", false: "RED"}[ok])
	return ok
}

// alertNames are the names of the alerts in rule files.
func alertNames(files []string) []string {
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // Prometheus has read it
		}
		for line := range strings.Lines(string(text)) {
			if name, found := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); found && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
