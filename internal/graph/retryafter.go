package graph

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is far beyond any limit Graph documents; a longer wait is a
// mistake in the header.
const maxRetryAfter = 366 * 24 * time.Hour

// retryAfter reads the Retry-After header: whole seconds, seconds with a
// fraction (older pages show 2.128), or an HTTP date, which counts from the
// answer's own Date so that a clock that is off does no harm. What is past is
// zero; what cannot be read is as good as absent.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if strings.Trim(value, "0123456789.-+") == "" {
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, false
		}
		return clampWait(seconds), true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return clampWait(at.Sub(now).Seconds()), true
}

func clampWait(seconds float64) time.Duration {
	switch {
	case seconds <= 0:
		return 0
	case seconds >= maxRetryAfter.Seconds():
		return maxRetryAfter
	default:
		return time.Duration(seconds * float64(time.Second))
	}
}
