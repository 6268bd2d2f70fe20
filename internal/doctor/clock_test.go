package doctor

import (
	"testing"
	"time"
)

func TestClocks(t *testing.T) {
	ours := time.Date(2026, 11, 24, 12, 0, 0, 300_000_000, time.UTC)
	answered := ours.Add(200 * time.Millisecond)
	exact := func(theirs time.Time) reading { return reading{"NATS", ours, answered, theirs, theirs} }
	header := func(theirs time.Time) reading {
		return dated("Graph", ours, answered, theirs.Truncate(time.Second))
	}
	for _, row := range []struct {
		name string
		r    reading
		want string
	}{
		{"the same", exact(ours.Add(100 * time.Millisecond)), "ok clock: no difference from NATS"},
		{"somewhere on the way", exact(answered), "ok clock: no difference"},
		{"a little behind", exact(answered.Add(time.Second)), "ok clock: 1s behind NATS"},
		{"a little ahead", exact(ours.Add(-time.Second)), "ok clock: 1s ahead of NATS"},
		{"two seconds are not more than two", exact(ours.Add(-2 * time.Second)), "ok clock: 2s ahead"},
		{"more than two seconds ahead", exact(ours.Add(-2100 * time.Millisecond)), "warn clock: 2.1s ahead of NATS"},
		{"more than two seconds behind", exact(answered.Add(3 * time.Second)), "warn clock: 3s behind NATS"},
		{"five minutes", exact(ours.Add(-5 * time.Minute)), "warn clock: 5m0s ahead"},
		{"more than five minutes", exact(ours.Add(-301 * time.Second)), "FAIL clock: 5m1s ahead of NATS"},
		{"hours behind", exact(answered.Add(3 * time.Hour)), "FAIL clock: 3h0m behind NATS"},
		{"a header cuts its second off", header(ours), "ok clock: no difference from Graph"},
		{"a header of the second before may be a moment ago", header(ours.Add(-time.Second)), "ok clock: 300ms ahead of Graph"},
		{"a header that is late", header(ours.Add(-4 * time.Second)), "warn clock: 3.3s ahead"},
		{"a header from tomorrow", header(ours.Add(24 * time.Hour)), "FAIL clock: behind Graph"},
	} {
		t.Run(row.name, func(t *testing.T) { assertFindings(t, judgeClocks([]reading{row.r}), row.want) })
	}
	assertFindings(t, judgeClocks(nil), "skip clock: nobody")
	assertFindings(t, judgeClocks([]reading{exact(ours.Add(-time.Hour)), header(ours)}), "ok clock: Graph", "FAIL clock: NATS")
}
