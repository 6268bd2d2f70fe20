package pacing

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The longest period of a quota, and its least: tokens are counted in quarter
// seconds.
const (
	quotaLeast = time.Second
	quotaMost  = 24 * time.Hour
)

// Quota is a rate that Graph is known to allow, spread evenly over its period;
// the zero Quota is not known and is learned.
type Quota struct {
	Requests int
	Period   time.Duration
}

// ParseQuota reads N/PERIOD, such as "50/1s", "3000/1m" or "50/s"; an empty text
// is the zero Quota.
func ParseQuota(text string) (Quota, error) {
	if text == "" {
		return Quota{}, nil
	}
	wrong := fmt.Errorf("%q: want REQUESTS/PERIOD, such as 50/1s or 3000/1m, with a period of %s to %s", text, quotaLeast, quotaMost)
	count, period, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 {
		return Quota{}, wrong
	}
	period = strings.TrimSpace(period)
	if period == "s" || period == "m" || period == "h" {
		period = "1" + period
	}
	d, err := time.ParseDuration(period)
	if err != nil || d < quotaLeast || d > quotaMost {
		return Quota{}, wrong
	}
	return Quota{n, d}, nil
}

// rate is requests a second, 0 when it is to be learned.
func (q Quota) rate() float64 {
	if q.Requests <= 0 || q.Period <= 0 {
		return 0
	}
	return float64(q.Requests) / q.Period.Seconds()
}
