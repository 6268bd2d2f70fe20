package graphsim

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Stats are counts since the start or the last Reset.
type Stats struct {
	Requests []RequestCount `json:"requests"` // by method, route and status, sorted
	Total    int            `json:"total"`
	// PeakPerSecond is the highest number of requests within one second of the clock.
	PeakPerSecond int               `json:"peakPerSecond"`
	Calls         CallCounts        `json:"calls"`
	Notifications NotificationStats `json:"notifications"`
	Tokens        map[string]int    `json:"tokens"` // issued, by tenant
}

// RequestCount counts the answers of one route. Status 0 is a cut connection.
type RequestCount struct {
	Method    string `json:"method"`
	Route     string `json:"route"`
	Operation string `json:"operation"`
	Status    int    `json:"status"`
	Count     int    `json:"count"`
}

// CallCounts count calls.
type CallCounts struct {
	Created  int `json:"created"`
	Incoming int `json:"incoming"`
	Live     int `json:"live"`
	// ByState are the live calls.
	ByState map[string]int `json:"byState"`
}

// NotificationStats count notifications by what became of them.
type NotificationStats struct {
	Sent    int `json:"sent"`    // answered 2xx; a doubled one counts twice
	Lost    int `json:"lost"`    // by a fault
	Refused int `json:"refused"` // given up: answered otherwise, or by nobody
	Pending int `json:"pending"`
	Retries int `json:"retries"` // attempts after a first one
}

// counters are the Stats in the making.
type counters struct {
	requests      map[RequestCount]int // with Count 0
	total, peak   int
	second        int64
	inSecond      int
	created       int
	incoming      int
	notifications NotificationStats
	tokens        map[string]int
}

func newCounters() *counters {
	return &counters{requests: map[RequestCount]int{}, tokens: map[string]int{}}
}

func (n *counters) arrived(t time.Time) {
	n.total++
	if t.Unix() != n.second {
		n.second, n.inSecond = t.Unix(), 0
	}
	n.inSecond++
	n.peak = max(n.peak, n.inSecond)
}

func (n *counters) answered(r Request) {
	n.requests[RequestCount{Method: r.Method, Route: r.Route, Operation: r.Operation, Status: r.Status}]++
}

// Stats returns the counts.
func (s *Sim) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{
		Requests: []RequestCount{}, Total: s.stats.total, PeakPerSecond: s.stats.peak,
		Calls:         CallCounts{Created: s.stats.created, Incoming: s.stats.incoming, ByState: map[string]int{}},
		Notifications: s.stats.notifications, Tokens: maps.Clone(s.stats.tokens),
	}
	for key, count := range s.stats.requests {
		key.Count = count
		stats.Requests = append(stats.Requests, key)
	}
	slices.SortFunc(stats.Requests, func(a, b RequestCount) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Status, b.Status))
	})
	for _, c := range s.order {
		if c.ended.IsZero() {
			stats.Calls.Live++
			stats.Calls.ByState[c.state]++
		}
	}
	return stats
}
