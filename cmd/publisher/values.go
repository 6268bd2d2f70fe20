package main

import (
	"fmt"
	"time"

	"callbus/internal/producer"

	"github.com/alecthomas/kong"
)

// waitFlag is --wait, which may stand alone (final) or have a value.
type waitFlag producer.Until

// IsBool makes the value optional: --wait, --wait=accepted.
func (waitFlag) IsBool() bool { return true }

// Decode reads the value; the environment variable may also say true or false.
func (w *waitFlag) Decode(ctx *kong.DecodeContext) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		*w = waitFlag(producer.UntilFinal)
		return nil
	}
	switch value := fmt.Sprint(ctx.Scan.Pop().Value); value {
	case "final", "true", "1", "yes":
		*w = waitFlag(producer.UntilFinal)
	case "accepted":
		*w = waitFlag(producer.UntilAccepted)
	case "", "none", "false", "0", "no":
		*w = ""
	default:
		return fmt.Errorf("want accepted or final, but got %q", value)
	}
	return nil
}

// moment is a time on the command line: RFC 3339, or a duration from now.
type moment struct{ time.Time }

// Decode reads either form.
func (m *moment) Decode(ctx *kong.DecodeContext) (err error) {
	m.Time, err = readTime(ctx, 1, "from now")
	return err
}

// past is a time on the command line that has been: RFC 3339, or a duration
// ago.
type past struct{ time.Time }

// Decode reads either form.
func (p *past) Decode(ctx *kong.DecodeContext) (err error) {
	p.Time, err = readTime(ctx, -1, "ago")
	return err
}

func readTime(ctx *kong.DecodeContext, sign time.Duration, direction string) (time.Time, error) {
	var text string
	if err := ctx.Scan.PopValueInto("time", &text); err != nil {
		return time.Time{}, err
	}
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(sign * d).UTC().Truncate(time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("want RFC 3339 such as 2026-11-23T10:05:00Z, or how long %s such as 10m, but got %q", direction, text)
	}
	return t.UTC(), nil
}

// or gives nil for a time that was not said.
func (m moment) or(other time.Duration) *time.Time {
	if !m.IsZero() {
		return &m.Time
	}
	if other <= 0 {
		return nil
	}
	t := time.Now().Add(other).UTC().Truncate(time.Millisecond)
	return &t
}
