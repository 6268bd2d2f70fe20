package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/time/rate"
)

// rateFlag is how many lines are sent in a time: 50, 50/s, 600/m or 1000/h.
type rateFlag rate.Limit

// Decode reads the number and its unit; a bare number is per second.
func (r *rateFlag) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("rate", &text); err != nil {
		return err
	}
	number, unit, hasUnit := strings.Cut(text, "/")
	if !hasUnit {
		unit = "s"
	}
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n > 0) || n > 1e6 {
		return fmt.Errorf("want lines a second, minute or hour, such as 50, 50/s, 600/m or 1000/h, but got %q", text)
	}
	*r = rateFlag(n / seconds)
	return nil
}
