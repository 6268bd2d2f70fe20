package pacing

import (
	"slices"
	"testing"

	"callbus/internal/commands"
)

func TestARoomWakesTheOldestFirst(t *testing.T) {
	var r room
	for _, n := range []int{3, 1, 2, 1, 4} {
		r.enter(place(n).Call(), uint64(n))
	}
	if r.len() != 4 {
		t.Errorf("%d wait; want 4: one entered twice", r.len())
	}
	var order []string
	wake := func(c commands.CallKey) bool {
		order = append(order, c.CallRef)
		return c != place(1).Call() // which has left meanwhile
	}
	if n := r.wake(2, wake); n != 2 || !slices.Equal(order, []string{"c001", "c002", "c003"}) {
		t.Errorf("wake(2) = %d, called %v; want c002 and c003, past c001", n, order)
	}
	if n := r.wake(9, wake); n != 1 || r.len() != 0 {
		t.Errorf("wake(9) = %d, %d left; want the last one", n, r.len())
	}
}
