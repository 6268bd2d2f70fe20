package queue

import (
	"maps"
	"math/bits"
	"time"

	"callbus/internal/commands"
)

// dues counts parked commands by lane and by the second, in Unix time, in which
// they come back. What a second has brought back counts no more, so nobody has
// to take it out: whether it is in work or still to be fetched, it is runnable.
type dues map[commands.Lane]map[int64]int

// add counts n more, or fewer, that come back in a second; none are less than 0.
func (d dues) add(lane commands.Lane, second int64, n int) {
	if d[lane] == nil {
		d[lane] = map[int64]int{}
	}
	if d[lane][second] += n; d[lane][second] <= 0 {
		delete(d[lane], second)
	}
}

// addAll counts all of another's too.
func (d dues) addAll(other dues) {
	for lane, seconds := range other {
		for second, n := range seconds {
			d.add(lane, second, n)
		}
	}
}

// parked is how many of the lane have not come back.
func (d dues) parked(lane commands.Lane, now time.Time) int {
	sum := 0
	for second, n := range d[lane] {
		if second > now.Unix() {
			sum += n
		}
	}
	return sum
}

// prune forgets what has come back.
func (d dues) prune(now time.Time) {
	for lane, seconds := range d {
		maps.DeleteFunc(seconds, func(second int64, _ int) bool { return second <= now.Unix() })
		if len(seconds) == 0 {
			delete(d, lane)
		}
	}
}

// coarse is a copy with times rounded down by at most an eighth of what is left
// of them: a handful of numbers, however many are parked, and of three days no
// more than 144 a lane.
func (d dues) coarse(now time.Time) dues {
	c := dues{}
	for lane, seconds := range d {
		for second, n := range seconds {
			if left := second - now.Unix(); left > 0 {
				width := int64(1) << max(bits.Len64(uint64(left))-4, 0)
				c.add(lane, second-second%width, n)
			}
		}
	}
	c.prune(now) // nothing is rounded so far, but for what has just come back
	return c
}

func (d dues) equal(other dues) bool { return maps.EqualFunc(d, other, maps.Equal) }
