package graphsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits are what one app may do. Zero values limit nothing. Microsoft documents
// 100 concurrent and 10,000 monthly calls; the request rate is not documented.
type Limits struct {
	// Rate is the number of requests a second of one app and tenant, a token bucket
	// that holds Burst (Rate, at least 1). Beyond it 429. The tenant is the token's,
	// or the call's where the token fits every one.
	Rate  float64
	Burst int
	// RetryAfter is sent with such a 429; by default the whole seconds until there
	// is room.
	RetryAfter time.Duration
	// CountRejected makes rejected requests count, so that retrying early prolongs
	// the wait.
	CountRejected bool
	Concurrent    int // live calls of one app: 429, 8530
	Monthly       int // calls created by one app in a calendar month of UTC: 429, 8529
	// PerTenant counts calls by app and tenant; Microsoft does not say which.
	PerTenant bool
}

func (l Limits) validate() error {
	var problems []error
	for _, limit := range []struct {
		name string
		n    float64
	}{
		{"rate", l.Rate}, {"burst", float64(l.Burst)}, {"retry-after", l.RetryAfter.Seconds()},
		{"concurrent", float64(l.Concurrent)}, {"monthly", float64(l.Monthly)},
	} {
		if limit.n < 0 || math.IsNaN(limit.n) || math.IsInf(limit.n, 0) {
			problems = append(problems, fmt.Errorf("limit %s %v: not below 0", limit.name, limit.n))
		}
	}
	return errors.Join(problems...)
}

// ParseLimits reads "rate=50,burst=10,concurrent=100,monthly=10000,retry-after=2s,
// count-rejected,per-tenant", any of them.
func ParseLimits(text string) (Limits, error) {
	var l Limits
	for part := range strings.SplitSeq(text, ",") {
		name, value, hasValue := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		switch name {
		case "":
			continue
		case "rate":
			l.Rate, err = strconv.ParseFloat(value, 64)
		case "burst":
			l.Burst, err = strconv.Atoi(value)
		case "concurrent":
			l.Concurrent, err = strconv.Atoi(value)
		case "monthly":
			l.Monthly, err = strconv.Atoi(value)
		case "retry-after":
			l.RetryAfter, err = time.ParseDuration(value)
		case "count-rejected":
			l.CountRejected = true
		case "per-tenant":
			l.PerTenant = true
		default:
			return Limits{}, fmt.Errorf("limit %q: one of rate, burst, concurrent, monthly, retry-after, count-rejected, per-tenant", name)
		}
		if isFlag := name == "count-rejected" || name == "per-tenant"; isFlag && hasValue {
			return Limits{}, fmt.Errorf("limit %s takes no value", name)
		}
		if err != nil {
			return Limits{}, fmt.Errorf("limit %s=%s: a number, or a duration such as 2s for retry-after", name, value)
		}
	}
	return l, l.validate()
}

type limitsJSON struct {
	Rate          float64 `json:"rate,omitempty"`
	Burst         int     `json:"burst,omitempty"`
	RetryAfter    string  `json:"retryAfter,omitempty"`
	CountRejected bool    `json:"countRejected,omitempty"`
	Concurrent    int     `json:"concurrent,omitempty"`
	Monthly       int     `json:"monthly,omitempty"`
	PerTenant     bool    `json:"perTenant,omitempty"`
}

// UnmarshalJSON reads {"rate","burst","retryAfter":"2s","countRejected","concurrent","monthly","perTenant"}.
func (l *Limits) UnmarshalJSON(data []byte) error {
	var in limitsJSON
	if err := decodeStrict(data, &in); err != nil {
		return err
	}
	*l = Limits{Rate: in.Rate, Burst: in.Burst, CountRejected: in.CountRejected, Concurrent: in.Concurrent, Monthly: in.Monthly, PerTenant: in.PerTenant}
	if in.RetryAfter != "" {
		var err error
		if l.RetryAfter, err = time.ParseDuration(in.RetryAfter); err != nil {
			return fmt.Errorf("retryAfter %q: a duration such as \"2s\"", in.RetryAfter)
		}
	}
	return l.validate()
}

// MarshalJSON writes limits as UnmarshalJSON reads them.
func (l Limits) MarshalJSON() ([]byte, error) {
	out := limitsJSON{Rate: l.Rate, Burst: l.Burst, CountRejected: l.CountRejected, Concurrent: l.Concurrent, Monthly: l.Monthly, PerTenant: l.PerTenant}
	if l.RetryAfter != 0 {
		out.RetryAfter = l.RetryAfter.String()
	}
	return json.Marshal(out)
}

// SetLimits replaces the limits. Buckets start full.
func (s *Sim) SetLimits(l Limits) error {
	if err := l.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
	clear(s.pace)
	return nil
}

// Limits returns the limits in force.
func (s *Sim) Limits() Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits
}

// bucket is the token bucket of one app and tenant.
type bucket struct {
	tokens float64
	at     time.Time
}

// paceLocked takes a place in the request rate, or refuses.
func (s *Sim) paceLocked(app, tenant string) *apiError {
	l := s.limits
	if l.Rate <= 0 {
		return nil
	}
	size := float64(l.Burst)
	if size == 0 {
		size = max(1, l.Rate)
	}
	now := time.Now()
	key := app + " " + strings.ToLower(tenant)
	b := s.pace[key]
	if b == nil {
		b = &bucket{tokens: size, at: now}
		s.pace[key] = b
	}
	b.tokens = min(size, b.tokens+now.Sub(b.at).Seconds()*l.Rate)
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		return nil
	}
	if l.CountRejected {
		b.tokens = max(b.tokens-1, -60*l.Rate) // a minute of punishment is enough
	}
	wait := l.RetryAfter
	if wait == 0 {
		wait = time.Duration(math.Ceil((1-b.tokens)/l.Rate)) * time.Second
	}
	return throttled(formatSeconds(wait))
}

// placeLocked takes a place among the calls of an app, or refuses.
func (s *Sim) placeLocked(appID, tenant string) *apiError {
	same := func(c *call) bool {
		return c.appID == appID && (!s.limits.PerTenant || c.tenantID == tenant)
	}
	if limit := s.limits.Concurrent; limit > 0 {
		live := 0
		for _, c := range s.order {
			if c.ended.IsZero() && same(c) {
				live++
			}
		}
		if live >= limit {
			return service(http.StatusTooManyRequests, 8530, "Application reached the concurrent calls limit.")
		}
	}
	month := appID + " " + time.Now().UTC().Format("2006-01")
	if s.limits.PerTenant {
		month = tenant + " " + month
	}
	if limit := s.limits.Monthly; limit > 0 && s.months[month] >= limit {
		return service(http.StatusTooManyRequests, 8529, "Application reached the monthly call creation limit.")
	}
	s.months[month]++
	return nil
}
