//go:build chaos

package crashpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Env is the variable that says where to die: rules separated by commas, each
// MODE:POINT:ACTION:CHANCE. MODE is kill (SIGKILL) or pause (SIGSTOP), ACTION an
// action, an event's kind or *, CHANCE a probability above 0 and up to 1. With
// @FILE they are read from a file at every point, and may change meanwhile.
const Env = "CALLBUS_CRASHPOINTS"

type rule struct {
	signal syscall.Signal
	point  Point
	action string
	chance float64
}

var file, fromFile = strings.CutPrefix(os.Getenv(Env), "@")

var rules = func() []rule {
	if fromFile {
		return nil
	}
	return mustParse(os.Getenv(Env))
}()

// current are the rules in force.
func current() []rule {
	if !fromFile {
		return rules
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return mustParse(strings.TrimSpace(string(text)))
}

func mustParse(text string) []rule {
	rules, err := parse(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Env, err)
		os.Exit(2)
	}
	return rules
}

func parse(text string) (rules []rule, err error) {
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		f := strings.Split(part, ":")
		if len(f) != 4 {
			return nil, fmt.Errorf("%q: want MODE:POINT:ACTION:CHANCE", part)
		}
		r := rule{point: Point(f[1]), action: f[2]}
		switch f[0] {
		case "kill":
			r.signal = syscall.SIGKILL
		case "pause":
			r.signal = syscall.SIGSTOP
		default:
			return nil, fmt.Errorf("%q: mode %q: want kill or pause", part, f[0])
		}
		if !slices.Contains(Points, r.point) {
			return nil, fmt.Errorf("%q: point %q: want one of %v", part, f[1], Points)
		}
		if r.chance, err = strconv.ParseFloat(f[3], 64); err != nil || r.chance <= 0 || r.chance > 1 {
			return nil, fmt.Errorf("%q: chance %q: want above 0 and at most 1", part, f[3])
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// Reach tells that the program has got to a point of a command with the action,
// or of an event of the kind. It returns, if at all, when the program has been
// continued.
func Reach(p Point, action string) {
	for _, r := range current() {
		if r.point != p || (r.action != "*" && r.action != action) || rand.Float64() >= r.chance {
			continue
		}
		fmt.Fprintf(os.Stderr, "crashpoint: %s %s: %s\n", p, action, r.signal)
		_ = syscall.Kill(os.Getpid(), r.signal)
		// The signal may be taken by another thread: nothing more is done here
		// before it has been.
		time.Sleep(50 * time.Millisecond)
		return
	}
}
