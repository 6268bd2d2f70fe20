package commands

import (
	"strings"
	"testing"
)

func TestReplayOf(t *testing.T) {
	for value, want := range map[string]string{"p": "p", "_57": "_57", "": "", "a.b": "", "a b": "", "ü": "", strings.Repeat("x", MaxID+1): ""} {
		if got := ReplayOf(map[string][]string{HeaderReplayOf: {value}}); got != want {
			t.Errorf("ReplayOf(%q) = %q; want %q", value, got, want)
		}
	}
	if got := ReplayOf(nil); got != "" {
		t.Errorf("ReplayOf(nothing) = %q", got)
	}
}
