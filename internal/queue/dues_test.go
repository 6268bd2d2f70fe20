package queue

import (
	"testing"
	"time"

	"callbus/internal/commands"
)

func TestDues(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := dues{}
	const lane = commands.LanePlace
	d.add(lane, now.Unix()+10, 3)
	d.add(lane, now.Unix()+11, 1)
	d.add(commands.LaneControl, now.Unix()+10, 7)
	d.add(lane, now.Unix(), 5) // has come back
	for after, want := range map[time.Duration]int{0: 4, 9999 * time.Millisecond: 4, 10 * time.Second: 1, 11 * time.Second: 0} {
		if got := d.parked(lane, now.Add(after)); got != want {
			t.Errorf("%d parked after %s; want %d", got, after, want)
		}
	}
	d.add(lane, now.Unix()+10, -2)
	d.add(lane, now.Unix()+99, -1) // has been pruned, say
	if got := d.parked(lane, now); got != 2 {
		t.Errorf("%d parked when two are taken out; want 2", got)
	}
	sum := dues{}
	sum.addAll(d)
	sum.addAll(d)
	if got := sum.parked(lane, now); got != 4 {
		t.Errorf("%d parked twice over; want 4", got)
	}
	if d.prune(now.Add(time.Minute)); !d.equal(dues{}) {
		t.Errorf("%v is left of what has come back; want nothing", d)
	}
}

func TestCoarse(t *testing.T) {
	now := time.Unix(1_800_000_123, 0)
	d := dues{}
	const days = 3 * 24 * 60 * 60
	for left := int64(1); left <= days; left++ {
		d.add(commands.LanePlace, now.Unix()+left, 1)
	}
	c := d.coarse(now)
	if n := len(c[commands.LanePlace]); n > 144 {
		t.Errorf("three days are %d numbers; want at most 144", n)
	}
	for left := int64(1); left <= days; left++ {
		one := dues{}
		one.add(commands.LanePlace, now.Unix()+left, 1)
		for second := range one.coarse(now)[commands.LanePlace] {
			if back := second - now.Unix(); back > left || back < left-left/8 || back <= 0 {
				t.Fatalf("%d s are rounded to %d s; want an eighth less at most", left, back)
			}
		}
	}
	if got, want := c.parked(commands.LanePlace, now), days; got != want {
		t.Errorf("%d parked; want all %d", got, want)
	}
}
