package pacing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The model: replicas with an endless backlog before a quota that they do not
// know, a token bucket as gateways have. Time is counted, nothing waits, so a
// run of two minutes takes milliseconds and always comes out the same.

// quota is the other side.
type quota struct {
	rate, burst float64 // requests a second; what the bucket holds
	counts      bool    // rejected requests count
	random      float64 // share of requests that are refused whatever the rate
	rnd         *rand.Rand
	retryAfter  time.Duration
	tokens      float64
	at          time.Time
}

func (q *quota) ask(now time.Time) bool {
	if q.random > 0 && q.rnd.Float64() < q.random {
		return false
	}
	q.tokens = math.Min(q.burst, q.tokens+now.Sub(q.at).Seconds()*q.rate)
	q.at = now
	if q.tokens >= 1 {
		q.tokens--
		return true
	}
	if q.counts {
		q.tokens--
	}
	return false
}

// policy is what a fleet sends in one tick: how many requests each replica
// begins, and what it makes of a 429.
type policy interface {
	send(replica int, now time.Time, tick time.Duration) int
	throttled(replica int, sent, now time.Time, retryAfter time.Duration)
}

// together is ours: one law for all, learned of by the others with a delay.
type together struct {
	law, seen Law
	seenAt    time.Time
	credit    float64
	replicas  int
	turn      int
	demand    float64 // what is asked for a second; 0: an endless backlog
	backlog   float64
	spared    bool    // in this quarter second there was rate to spare
	begins    float64 // the share of the rate that is really sent in the first two seconds; 0: all
}

const sharingDelay = 20 * time.Millisecond // a write, and a watch

func (s *together) send(replica int, now time.Time, tick time.Duration) int {
	if replica == 0 {
		s.backlog += s.demand * tick.Seconds()
		switch {
		case s.demand == 0:
			if now.Sub(s.law.Moved) >= 250*time.Millisecond {
				s.law = s.law.Step(now)
			}
		case now.UnixMilli()%250 == 0:
			if !s.spared && now.Sub(s.law.Moved) >= 250*time.Millisecond {
				if s.law.Moved.Before(now.Add(-500 * time.Millisecond)) {
					s.law = s.law.Skip(now.Add(-250 * time.Millisecond))
				}
				s.law = s.law.Step(now)
			}
			s.spared = false
		}
		if now.Sub(s.seenAt) >= sharingDelay {
			s.seen, s.seenAt = s.law, now
		}
		s.credit += s.seen.At(ClassPlace, now) * tick.Seconds() * s.begun(now)
		s.turn++
	}
	// The next reservation is anybody's.
	if s.credit >= 1 && s.turn%s.replicas == replica {
		n := int(s.credit)
		s.credit -= float64(n)
		if s.demand == 0 {
			return n
		}
		if float64(n) > s.backlog {
			s.spared = true
		}
		n = min(n, int(s.backlog))
		s.backlog -= float64(n)
		return n
	}
	return 0
}

// begun is the share of the rate that is really sent at a moment.
func (s *together) begun(now time.Time) float64 {
	if s.begins > 0 && now.Sub(modelStart) < 2*time.Second {
		return s.begins
	}
	return 1
}

func (s *together) throttled(_ int, sent, now time.Time, retryAfter time.Duration) {
	s.law = s.law.Throttle(ClassPlace, sent, now, now.Add(retryAfter))
}

// alone is additive increase, multiplicative decrease in each replica, behind a
// shared gate, as SDKs do it.
type alone struct {
	rate, credit []float64
	cut          []time.Time
	gate         time.Time
}

func (a *alone) send(replica int, now time.Time, tick time.Duration) int {
	if now.Before(a.gate) {
		return 0
	}
	a.rate[replica] += tick.Seconds() // one more a second, each second
	a.credit[replica] += a.rate[replica] * tick.Seconds()
	n := int(a.credit[replica])
	a.credit[replica] -= float64(n)
	return n
}

func (a *alone) throttled(replica int, _, now time.Time, retryAfter time.Duration) {
	a.gate = now.Add(retryAfter)
	if now.Sub(a.cut[replica]) > retryAfter {
		a.cut[replica] = now
		a.rate[replica] *= 0.7
	}
}

// fixed is a quota that is known, nine tenths of it.
type fixed struct {
	rate, credit float64
	gate         time.Time
}

func (f *fixed) send(replica int, now time.Time, tick time.Duration) int {
	if replica > 0 || now.Before(f.gate) {
		return 0
	}
	f.credit += f.rate * tick.Seconds()
	n := int(f.credit)
	f.credit -= float64(n)
	return n
}

func (f *fixed) throttled(_ int, _, now time.Time, retryAfter time.Duration) {
	f.gate = now.Add(retryAfter)
}

// ran is what came of a run.
type ran struct {
	taken, refused int
	bySecond       []int   // taken
	quota          float64 // what could have been taken
}

func (r ran) used() float64 { return float64(r.taken) / r.quota }

func (r ran) share() float64 { return float64(r.refused) / float64(r.taken+r.refused) }

// usedIn is the share of a quota that was used between two seconds.
func (r ran) usedIn(from, to int, rate float64) float64 {
	n := 0
	for _, taken := range r.bySecond[from:to] {
		n += taken
	}
	return float64(n) / (rate * float64(to-from))
}

const (
	modelTick    = 5 * time.Millisecond
	modelLatency = 40 * time.Millisecond // of a request, and again of its answer
)

// modelStart is when every run of the model begins.
var modelStart = time.Unix(1_700_000_000, 0)

// play runs a policy for so long; change may set another quota.
func play(p policy, replicas int, q *quota, length time.Duration, change func(time.Duration, *quota)) ran {
	type flight struct {
		replica int
		sent    time.Time
		at      time.Time
	}
	q.at, q.tokens, q.rnd = modelStart, q.burst, rand.New(rand.NewPCG(1, 2))
	r := ran{bySecond: make([]int, int(length.Seconds()))}
	var there, back []flight
	for d := time.Duration(0); d < length; d += modelTick {
		now := modelStart.Add(d)
		if change != nil {
			change(d, q)
		}
		r.quota += q.rate * modelTick.Seconds()
		for len(back) > 0 && !back[0].at.After(now) {
			p.throttled(back[0].replica, back[0].sent, now, q.retryAfter)
			back = back[1:]
		}
		for len(there) > 0 && !there[0].at.After(now) {
			f := there[0]
			there = there[1:]
			if q.ask(now) {
				r.taken++
				r.bySecond[int(d.Seconds())]++
				continue
			}
			r.refused++
			f.at = now.Add(modelLatency)
			back = append(back, f)
		}
		for replica := range replicas {
			for range p.send(replica, now, modelTick) {
				there = append(there, flight{replica: replica, sent: now, at: now.Add(modelLatency)})
			}
		}
	}
	return r
}

func newTogether(replicas int) *together {
	l := NewLaw(modelStart)
	return &together{law: l, seen: l, seenAt: modelStart, replicas: replicas}
}

func newAlone(replicas int) *alone {
	a := &alone{rate: make([]float64, replicas), credit: make([]float64, replicas), cut: make([]time.Time, replicas)}
	for i := range a.rate {
		a.rate[i] = lawFirst / float64(replicas)
	}
	return a
}

// TestModel holds the law to what it is for: 95 % of a quota that nobody told
// us, with one answer in a hundred a 429. A bucket that holds little more than
// nothing loses all of each throttle window, so there less is asked.
func TestModel(t *testing.T) {
	for _, tt := range []struct {
		rate, burst float64
		wait        time.Duration
		used, share float64
	}{
		{50, 1, time.Second, 0.95, 0.01},
		{50, 1, 2 * time.Second, 0.95, 0.01},
		{200, 1, time.Second, 0.95, 0.01},
		{200, 1, 2 * time.Second, 0.92, 0.01},
		{10, 1, time.Second, 0.95, 0.03},
		{50, 0.2, time.Second, 0.88, 0.01},
		{50, 0.2, 2 * time.Second, 0.78, 0.01},
	} {
		for _, replicas := range []int{1, 3, 8} {
			for _, counts := range []bool{false, true} {
				r := play(newTogether(replicas), replicas, &quota{rate: tt.rate, burst: tt.rate * tt.burst, counts: counts, retryAfter: tt.wait}, 2*time.Minute, nil)
				if r.used() < tt.used || r.share() > tt.share {
					t.Errorf("%d replicas, %v a second, a bucket of %v s, rejects count %v, Retry-After %s: used %.3f of the quota, %.4f were 429; want %v and %v",
						replicas, tt.rate, tt.burst, counts, tt.wait, r.used(), r.share(), tt.used, tt.share)
				}
			}
		}
	}
}

// TestModelOfASlowBeginning: workers that are just starting send less than the rate
// that is noted, so the search ends at a rate that was never sent.
func TestModelOfASlowBeginning(t *testing.T) {
	for _, begins := range []float64{0.8, 0.9} {
		p := newTogether(8)
		p.begins = begins
		r := play(p, 8, &quota{rate: 50, burst: 50, retryAfter: 2 * time.Second}, 2*time.Minute, nil)
		if r.used() < 0.95 {
			t.Errorf("%v of the rate sent at first: used %.3f of the quota; want 0.95", begins, r.used())
		}
	}
}

// TestModelOfASmallQuota: one request a second, a fiftieth of what the search
// begins with.
func TestModelOfASmallQuota(t *testing.T) {
	for _, tt := range []struct {
		wait time.Duration
		used float64
	}{{time.Second, 0.6}, {2 * time.Second, 0.55}, {10 * time.Second, 0.3}} {
		r := play(newTogether(3), 3, &quota{rate: 1, burst: 1, retryAfter: tt.wait}, 10*time.Minute, nil)
		if r.used() < tt.used || r.share() > 0.2 {
			t.Errorf("Retry-After %s: used %.3f of the quota, %.3f were 429; want %v and 0.2", tt.wait, r.used(), r.share(), tt.used)
		}
	}
}

// TestModelOfAChange: the quota halves and doubles in mid-run.
func TestModelOfAChange(t *testing.T) {
	for _, replicas := range []int{1, 8} {
		for _, wait := range []time.Duration{time.Second, 2 * time.Second} {
			halved, doubled := 45, 85
			r := play(newTogether(replicas), replicas, &quota{rate: 50, burst: 50, retryAfter: wait}, 2*time.Minute, func(d time.Duration, q *quota) {
				switch {
				case d >= time.Duration(doubled)*time.Second:
					q.rate, q.burst = 50, 50
				case d >= time.Duration(halved)*time.Second:
					q.rate, q.burst = 25, 25
				}
			})
			low, high := r.usedIn(halved+30, halved+35, 25), r.usedIn(doubled+30, doubled+35, 50)
			if low < 0.9 || high < 0.9 || r.share() > 0.05 {
				t.Errorf("%d replicas, Retry-After %s: used %.3f of half the quota, %.3f of all of it; 429 %.4f", replicas, wait, low, high, r.share())
			}
		}
	}
}

// TestModelOfRefusalsAtRandom: 429s that have nothing to do with the rate cost
// their windows, and not the rate, too. What is possible is a rate of the quota
// with a window after each of them.
func TestModelOfRefusalsAtRandom(t *testing.T) {
	const wait = 2 * time.Second
	for _, tt := range []struct{ rate, random, of float64 }{
		{50, 0.002, 0.75}, {50, 0.005, 0.5}, {50, 0.02, 0.9}, {50, 0.1, 0.8}, {20, 0.02, 0.7}, {1000, 0.02, 0.6}, {1000, 0.1, 0.7},
	} {
		possible := 1 / (1/tt.rate + tt.random*wait.Seconds())
		r := play(newTogether(3), 3, &quota{rate: tt.rate, burst: tt.rate, random: tt.random, retryAfter: wait}, 5*time.Minute, nil)
		if got := float64(r.taken) / 300; got < tt.of*possible {
			t.Errorf("%v a second, %v refused at random: %.1f a second were taken; want %v of the %.1f that are possible", tt.rate, tt.random, got, tt.of, possible)
		}
	}
}

// TestModelOfALoadAmongRefusals: one request in a hundred is refused whatever the
// rate, and for twelve seconds every other one. What is asked for is far less than
// the quota, and more than the first rate allows with all those windows: it is
// served, and what the storm kept back is made good soon after it.
func TestModelOfALoadAmongRefusals(t *testing.T) {
	const demand, storm = 45, 60
	p := newTogether(3)
	p.demand = demand
	r := play(p, 3, &quota{rate: 1000, burst: 1000, retryAfter: time.Second}, 3*time.Minute, func(d time.Duration, q *quota) {
		q.random = 0.01
		if s := int(d.Seconds()); s >= storm && s < storm+12 {
			q.random = 0.5
		}
	})
	if got := r.usedIn(30, storm, demand); got < 0.9 {
		t.Errorf("%.2f of the load were served before the storm; want 0.9", got)
	}
	if got := r.usedIn(storm+12, storm+72, demand); got < 1.05 {
		t.Errorf("%.2f of the load were served in the minute after the storm; want 1.05, for much is behind", got)
	}
	if got := r.usedIn(storm+72, 180, demand); got < 0.95 {
		t.Errorf("%.2f of the load were served later; want 0.95", got)
	}
}

// BenchmarkModel sets the policies side by side: the share of a quota of 50 a
// second that 8 replicas use in two minutes, and the share of 429s.
func BenchmarkModel(b *testing.B) {
	const replicas = 8
	for _, counts := range []bool{false, true} {
		for name, make := range map[string]func() policy{
			"shared law":         func() policy { return newTogether(replicas) },
			"AIMD each, gate":    func() policy { return newAlone(replicas) },
			"known, nine tenths": func() policy { return &fixed{rate: 45} },
		} {
			b.Run(fmt.Sprintf("%s/rejects count %v", name, counts), func(b *testing.B) {
				var r ran
				for b.Loop() {
					r = play(make(), replicas, &quota{rate: 50, burst: 50, counts: counts, retryAfter: 2 * time.Second}, 2*time.Minute, nil)
				}
				b.ReportMetric(100*r.used(), "%used")
				b.ReportMetric(100*r.share(), "%429")
			})
		}
	}
}
