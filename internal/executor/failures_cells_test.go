package executor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graph"
	"callbus/internal/pacing"
)

// cellOf is what the table says of a verdict.
func cellOf(a commands.Action, v verdict) string {
	limit := ""
	if v.tries > 0 {
		limit = fmt.Sprintf(" ≤ %d", v.tries)
	}
	switch v.next {
	case unsent:
		return "waits" + limit
	case again:
		return "again" + limit
	case lost:
		return "lookedInto"
	case dismissed:
		return "handedBack"
	case failed:
		return "failed"
	case callGone:
		switch a {
		case commands.Hangup:
			return "succeeded"
		case commands.KeepAlive:
			return "readFirst"
		}
		return "gone"
	}
	return fmt.Sprintf("verdict %d", v.next)
}

// judged is what judge says of one error: the cell of each action, the reason
// and length of the wait, and whose gate closes.
func judged(t *testing.T, e *graph.Error) (cells map[commands.Action]string, wait, gate string) {
	t.Helper()
	cells = map[commands.Action]string{}
	asked := *e
	asked.RetryAfter, asked.HasRetryAfter = 7*time.Second, true
	for i, a := range commands.Actions {
		v := judge(a, e)
		cells[a] = cellOf(a, v)
		w, g := waitOf(v, judge(a, &asked), e.HasRetryAfter), gateOf(t, a, v)
		own, gated := pacing.ClassOf(a)
		if w != "" && wait != "" && w != wait || g != "" && gate != "" && g != gate {
			t.Errorf("%v: %s waits %q and closes %q, others wait %q and close %q: one row cannot say that", e, a, w, g, wait, gate)
		}
		if wait == "" {
			wait = w
		}
		if gate == "" {
			gate = g
		}
		if i > 0 && gate == "its class" && gated && v.class != own {
			t.Errorf("%v: %s closes the gate of %q, not its own", e, a, v.class)
		}
	}
	return cells, wait, gate
}

func waitOf(v, asked verdict, always bool) string {
	switch {
	case v.next == dismissed:
		return "`" + v.reason + "`"
	case v.next != unsent:
		return ""
	case always:
		return "`" + v.reason + "`, Retry-After"
	}
	own := "backoff"
	if v.after > 0 {
		own = strings.Replace(strings.Replace(v.after.String(), "m0s", "m", 1), "h0m", "h", 1)
	}
	if asked.after > 0 {
		own = "Retry-After or " + own
	}
	return "`" + v.reason + "`, " + own
}

func gateOf(t *testing.T, a commands.Action, v verdict) string {
	t.Helper()
	own, _ := pacing.ClassOf(a)
	switch {
	case !v.shut:
		return ""
	case own == pacing.ClassOther && v.class == own:
		return "its class"
	case v.class == pacing.ClassPlace:
		if a == commands.Place {
			return "" // says nothing: places are its class
		}
		return "places"
	}
	t.Errorf("%s closes the gate of %q", a, v.class)
	return ""
}
