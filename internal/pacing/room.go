package pacing

import (
	"container/heap"
	"sync"

	"callbus/internal/commands"
)

// maxWaiting bounds how many waiting places a worker remembers for an early
// wake-up; the rest come back when their delay has passed.
const maxWaiting = 50_000

// room is where places wait for something that all of them need one of: the one
// published first is woken first. What is here is a memory for speed alone; the
// queue brings every place back in the end.
type room struct {
	mu    sync.Mutex
	heap  waiters
	known map[commands.CallKey]bool
}

type waiter struct {
	call commands.CallKey
	seq  uint64 // of publication
}

// enter notes a waiting place; one that is there already stays.
func (r *room) enter(call commands.CallKey, seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[call] || len(r.heap) >= maxWaiting {
		return
	}
	if r.known == nil {
		r.known = map[commands.CallKey]bool{}
	}
	r.known[call] = true
	heap.Push(&r.heap, waiter{call, seq})
}

// wake calls the first n that are still waiting here, and returns how many that
// were. One that has left meanwhile, to another worker say, is forgotten.
func (r *room) wake(n int, call func(commands.CallKey) bool) (woken int) {
	for woken < n {
		r.mu.Lock()
		if len(r.heap) == 0 {
			r.mu.Unlock()
			return woken
		}
		first := heap.Pop(&r.heap).(waiter)
		delete(r.known, first.call)
		r.mu.Unlock()
		if call(first.call) {
			woken++
		}
	}
	return woken
}

func (r *room) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heap)
}

// waiters is a heap, the oldest first.
type waiters []waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].seq < w[j].seq }
func (w waiters) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waiters) Push(x any)        { *w = append(*w, x.(waiter)) }
func (w *waiters) Pop() any {
	last := (*w)[len(*w)-1]
	*w = (*w)[:len(*w)-1]
	return last
}
