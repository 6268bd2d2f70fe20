package queue

import (
	"slices"
	"sync"
	"time"

	"callbus/internal/commands"
)

// maxParked bounds how many parked commands a worker remembers for an early
// wake-up; the rest come back when their delay has passed, and are counted.
const maxParked = 50_000

// hintedPause lets the queue and the registry show what the hint was about.
const hintedPause = 20 * time.Millisecond

// parking remembers which commands this worker parked, so that a hint about
// their call can bring the oldest of them back at once: a bare Nak on a parked
// message ends its delay.
type parking struct {
	mu      sync.Mutex
	calls   map[commands.CallKey][]spot
	count   int
	dues    dues
	working map[commands.CallKey][]*Message // delivered and not yet ended
}

type spot struct {
	seq   uint64
	lane  commands.Lane
	until time.Time
	deaf  bool // not due: no hint brings it back
	nak   func() error
}

func newParking() *parking {
	return &parking{calls: map[commands.CallKey][]spot{}, dues: dues{}, working: map[commands.CallKey][]*Message{}}
}

// begin notes a delivered command, end that it has left this worker's hands.
func (p *parking) begin(m *Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeLocked(m.Call, m.Seq)
	p.working[m.Call] = append(p.working[m.Call], m)
}

func (p *parking) end(m *Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(m)
}

func (p *parking) endLocked(m *Message) {
	left := slices.DeleteFunc(p.working[m.Call], func(other *Message) bool { return other == m })
	if len(left) == 0 {
		delete(p.working, m.Call)
		return
	}
	p.working[m.Call] = left
}

// park ends the message's work, hands it back with the delay d and remembers it
// until then. When a hint came while the message was looked at, what it waits
// for may already be there, and it comes back after hintedPause; but not one
// that is deaf. The server is told under the lock, so that no wake-up can
// overtake it.
func (p *parking) park(m *Message, d time.Duration, deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked(m)
	if m.hinted && !deaf {
		d = min(d, hintedPause)
	}
	p.addLocked(m, time.Now().Add(d), deaf)
	_ = m.msg.NakWithDelay(d)
}

func (p *parking) addLocked(m *Message, until time.Time, deaf bool) {
	p.removeLocked(m.Call, m.Seq)
	p.dues.add(m.Action.Lane(), until.Unix(), 1)
	if p.count >= maxParked {
		p.sweepLocked(time.Now())
		if p.count >= maxParked {
			return
		}
	}
	nc, reply := m.queue.nc, m.msg.Reply()
	p.calls[m.Call] = append(p.calls[m.Call], spot{m.Seq, m.Action.Lane(), until, deaf, func() error { return nc.Publish(reply, []byte("-NAK")) }})
	p.count++
}

func (p *parking) removeLocked(c commands.CallKey, seq uint64) {
	spots := p.calls[c]
	if i := slices.IndexFunc(spots, func(s spot) bool { return s.seq == seq }); i >= 0 {
		p.dues.add(spots[i].lane, spots[i].until.Unix(), -1)
		p.setLocked(c, slices.Delete(spots, i, i+1))
		p.count--
	}
}

// forget lets a parked command go that has left the queue.
func (p *parking) forget(c commands.CallKey, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeLocked(c, seq)
}

// wake brings the call's oldest parked command back. Only the oldest: the
// others wait for it anyway, and its leaving the queue is the next hint. One
// that is not due is stepped over, as in the order of the queue. Spots whose
// delay has passed may be in other hands by now and are left alone. It reports
// whether there was one that comes back, or that is being looked at.
func (p *parking) wake(c commands.CallKey, now time.Time) bool {
	p.mu.Lock()
	working := len(p.working[c]) > 0
	for _, m := range p.working[c] {
		m.hinted = true
	}
	before := len(p.calls[c])
	spots := slices.DeleteFunc(p.calls[c], func(s spot) bool { return !now.Before(s.until) })
	p.count -= before - len(spots)
	var nak func() error
	i := -1
	for j, s := range spots {
		if !s.deaf && (i < 0 || s.seq < spots[i].seq) {
			i = j
		}
	}
	if i >= 0 {
		nak = spots[i].nak
		p.dues.add(spots[i].lane, spots[i].until.Unix(), -1)
		spots = slices.Delete(spots, i, i+1)
		p.count--
	}
	p.setLocked(c, spots)
	p.mu.Unlock()
	if nak != nil {
		_ = nak()
	}
	return nak != nil || working
}

func (p *parking) setLocked(c commands.CallKey, spots []spot) {
	if len(spots) == 0 {
		delete(p.calls, c)
		return
	}
	p.calls[c] = spots
}

func (p *parking) sweepLocked(now time.Time) {
	p.dues.prune(now)
	for c, spots := range p.calls {
		before := len(spots)
		spots = slices.DeleteFunc(spots, func(s spot) bool { return !now.Before(s.until) })
		p.count -= before - len(spots)
		p.setLocked(c, spots)
	}
}

// total is how many commands this worker has parked, at most maxParked; some may
// be in other hands by now.
func (p *parking) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// left is a copy of what this worker has parked and what has not come back.
func (p *parking) left(now time.Time) dues {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dues.prune(now)
	c := dues{}
	c.addAll(p.dues)
	return c
}

// maxReleased bounds how many parked commands a stopping worker hands over
// early; the rest come back when their delay has passed.
const maxReleased = 4096

// release brings the oldest parked command of every call back at once: this
// worker is going, and nobody else can end their delay.
func (p *parking) release(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	released := 0
	for c, spots := range p.calls {
		if released >= maxReleased {
			return
		}
		var oldest *spot
		for i, s := range spots {
			if now.Before(s.until) && !s.deaf && (oldest == nil || s.seq < oldest.seq) {
				oldest = &spots[i]
			}
		}
		if oldest != nil {
			_ = oldest.nak()
			p.removeLocked(c, oldest.seq)
			released++
		}
	}
}
