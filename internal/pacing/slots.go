package pacing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/streams"
)

// AppScope is the scope of a budget that all tenants share.
const AppScope = "app"

// BudgetObserver is told what is used of a budget, for metrics; nil is allowed.
type BudgetObserver interface {
	Budget(scope, budget string, used, limit int)
}

// SlotOptions are the settings of [Slots].
type SlotOptions struct {
	Limit int // calls that may live at once in one scope; 0: any number
	// PerTenant gives each tenant a budget of its own; otherwise the app has one.
	PerTenant bool
	Tenants   []string // whose budgets are shown before they are used
	Worker    string   // name in the slots, for operators
	// Wake brings a place that waits here back, and reports whether there was one.
	// It must not block.
	Wake     func(commands.CallKey) bool
	Observer BudgetObserver
}

// Slots are the live-call budget: a slot for each call that may live at once,
// shared by all workers in the bucket of gates. A place takes one by
// compare-and-swap just before it is begun and its call keeps it until its end.
// Every worker has a picture of all slots from a watch, so that taking one costs
// one write and being refused costs nothing. Make it with NewSlots; Run keeps
// the picture.
type Slots struct {
	Passive
	kv     jetstream.KeyValue
	js     jetstream.JetStream
	prefix commands.Prefix
	log    *slog.Logger
	opts   SlotOptions

	ready chan struct{} // closed when the picture is complete
	open  sync.Once
	frees sync.WaitGroup

	mu     sync.Mutex
	scopes map[string]*slotScope
	fresh  map[commands.Key]bool      // taken here for a request that has not been answered
	ended  map[commands.Key]time.Time // places that ended before their slot was seen here
}

// slotScope is one budget.
type slotScope struct {
	slots   map[int]slot
	held    map[commands.Key]int
	taking  map[int]bool // by this worker, not yet answered
	refusal refusal
	refRev  uint64
	room    room
	woken   int // and not heard of since the last tick
}

// slot is one slot, held or free.
type slot struct {
	place    *commands.Key
	revision uint64
	since    time.Time // by this worker's clock: the server's may differ
}

// slotBody is a slot as it is stored.
type slotBody struct {
	Producer  string    `json:"producer,omitempty"`
	CallRef   string    `json:"callRef,omitempty"`
	CommandID string    `json:"commandId,omitempty"` // none: the slot is free
	Worker    string    `json:"worker,omitempty"`
	Time      time.Time `json:"time"`
}

func (b slotBody) place() *commands.Key {
	if b.CommandID == "" {
		return nil
	}
	return &commands.Key{Producer: b.Producer, CallRef: b.CallRef, ID: b.CommandID}
}

// NewSlots opens the bucket of gates, which must exist.
func NewSlots(ctx context.Context, js jetstream.JetStream, prefix commands.Prefix, o SlotOptions, log *slog.Logger) (*Slots, error) {
	s := &Slots{js: js, prefix: prefix, log: log.With("component", "pacing"), opts: o, ready: make(chan struct{}), scopes: map[string]*slotScope{}, fresh: map[commands.Key]bool{}, ended: map[commands.Key]time.Time{}}
	err := streams.AwaitLeader(ctx, nil, func(ctx context.Context) (err error) {
		s.kv, err = js.KeyValue(ctx, prefix.Stream(streams.Gates))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open live-call budget: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, scope := range budgetScopes(o.PerTenant, o.Tenants) {
		s.scopeLocked(scope)
		if o.Observer != nil {
			o.Observer.Budget(tenantOf(scope, o.Tenants), "live", 0, o.Limit)
		}
	}
	return s, nil
}

// budgetScopes are the budgets that are known before they are used.
func budgetScopes(perTenant bool, tenants []string) []string {
	if !perTenant {
		return []string{AppScope}
	}
	var all []string
	for _, t := range tenants {
		all = append(all, token(t))
	}
	return all
}

// tenantOf is the tenant whose budget has the scope, where that is known.
func tenantOf(scope string, tenants []string) string {
	for _, t := range tenants {
		if token(t) == scope {
			return t
		}
	}
	return scope
}

// Scope is the budget that a tenant's calls count against.
func (s *Slots) Scope(tenant string) string {
	if s.opts.PerTenant {
		return token(tenant)
	}
	return AppScope
}

func (s *Slots) scopeLocked(name string) *slotScope {
	sc := s.scopes[name]
	if sc == nil {
		sc = &slotScope{slots: map[int]slot{}, held: map[commands.Key]int{}, taking: map[int]bool{}}
		s.scopes[name] = sc
	}
	return sc
}

// pumpEvery is how often waiting places are woken while there are free slots:
// one that was woken may not want its slot any more.
const pumpEvery = 200 * time.Millisecond

// Run follows all slots until ctx ends; the error is nil.
func (s *Slots) Run(ctx context.Context) error {
	tick := time.NewTicker(pumpEvery)
	defer tick.Stop()
	streams.Reopen(ctx, s.log.With("bucket", s.kv.Bucket(), "what", "live-call budget"), func(opened func()) error {
		return watched(ctx, s.kv, []string{"slot.>", "refused.>"}, tick.C, s.pumpAnew, func() {
			s.open.Do(func() { close(s.ready) })
			opened()
		}, s.apply)
	})
	return nil
}

// Close waits for slots that are being given back, some seconds at most.
func (s *Slots) Close() { s.frees.Wait() }

// apply takes one change into the picture.
func (s *Slots) apply(e jetstream.KeyValueEntry) {
	kind, rest, _ := strings.Cut(e.Key(), ".")
	var late *commands.Key
	s.mu.Lock()
	switch kind {
	case "refused":
		sc := s.scopeLocked(rest)
		if e.Revision() > sc.refRev {
			sc.refRev, sc.refusal = e.Revision(), refusal{}
			_ = json.Unmarshal(e.Value(), &sc.refusal) // what cannot be read limits nothing
		}
	case "slot":
		scope, number, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			break
		}
		var b slotBody
		if e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &b) != nil {
			s.log.Warn("slot is unreadable", "key", e.Key())
		}
		late = s.setLocked(scope, n, slot{b.place(), e.Revision(), time.Now()})
	}
	s.mu.Unlock()
	if late != nil {
		s.giveBack(*late, true)
	}
	s.pump()
}

// setLocked puts a slot into the picture unless something later is there. It
// returns the place in it when that has already ended.
func (s *Slots) setLocked(scope string, n int, is slot) (late *commands.Key) {
	sc := s.scopeLocked(scope)
	old := sc.slots[n]
	if is.revision <= old.revision {
		return nil
	}
	if old.place != nil && sc.held[*old.place] == n {
		delete(sc.held, *old.place)
		for other, o := range sc.slots { // it may have had two
			if other != n && o.place != nil && *o.place == *old.place {
				sc.held[*old.place] = other
			}
		}
	}
	sc.slots[n] = is
	if is.place != nil {
		sc.held[*is.place] = n
		if _, over := s.ended[*is.place]; over {
			late = is.place
		}
	}
	if s.opts.Observer != nil {
		s.opts.Observer.Budget(tenantOf(scope, s.opts.Tenants), "live", sc.usedLocked(), s.opts.Limit)
	}
	return late
}

func (sc *slotScope) usedLocked() (n int) {
	for _, is := range sc.slots {
		if is.place != nil {
			n++
		}
	}
	return n
}

// freeLocked is how many slots may be taken now.
func (sc *slotScope) freeLocked(limit int, now time.Time) int {
	return sc.refusal.limit(limit, now) - sc.usedLocked() - len(sc.taking)
}

// pumpAnew is pump, and gives up on those that were woken before.
func (s *Slots) pumpAnew() {
	s.mu.Lock()
	for _, sc := range s.scopes {
		sc.woken = 0
	}
	s.mu.Unlock()
	s.pump()
}

// pump wakes as many waiting places as there are free slots, but for those that
// were woken for one already.
func (s *Slots) pump() {
	s.mu.Lock()
	free := map[*slotScope]int{}
	for _, sc := range s.scopes {
		if n := min(sc.freeLocked(s.opts.Limit, time.Now())-sc.woken, sc.room.len()); n > 0 {
			free[sc] = n
			sc.woken += n
		}
	}
	s.mu.Unlock()
	for sc, n := range free {
		sc.room.wake(n, s.opts.Wake)
	}
}

// errNotReady says that the picture of the slots is not complete yet.
var errNotReady = errors.New("the live-call budget has not been read yet")

const (
	readyWithin = 5 * time.Second
	// takeTries bounds how often a place that was outrun by other workers tries
	// another slot.
	takeTries = 8
)

// claim takes a slot for a place, or takes over the one that it has. False means
// that there is none: the place has to wait, and is woken when there may be one.
// seq is its sequence in the queue. It blocks for one write, a few when other
// workers are faster, and at the start until the slots have been read; after an
// error it is not known whether the place has a slot, and claiming again finds it.
func (s *Slots) claim(ctx context.Context, tenant string, place commands.Key, seq uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	select {
	case <-s.ready:
	case <-ctx.Done():
		return false, errNotReady
	}
	scope := s.Scope(tenant)
	body, err := json.Marshal(slotBody{place.Producer, place.CallRef, place.ID, s.opts.Worker, time.Now().UTC()})
	if err != nil {
		return false, err
	}
	for range takeTries {
		n, revision, again, found := s.choose(scope, place, seq)
		if !found {
			return false, nil
		}
		revision, err := s.put(ctx, scope, n, body, revision)
		s.mu.Lock()
		delete(s.scopeLocked(scope).taking, n)
		if err == nil {
			s.setLocked(scope, n, slot{&place, revision, time.Now()})
			s.fresh[place] = !again
		}
		s.mu.Unlock()
		if err == nil {
			return true, nil
		}
		if why := streams.Explain(s.prefix, "$KV."+s.kv.Bucket()+"."+slotKey(scope, n), err); isRefused(why) {
			// A bucket that takes nothing must not keep every call from being placed.
			s.log.Warn("a place is sent without a live-call slot: only Graph's own limit holds", "err", why)
			return true, nil
		}
		if !streams.Moved(err) {
			return false, fmt.Errorf("take a live-call slot: %w", err)
		}
		if err := s.refresh(ctx, scope, n); err != nil {
			return false, fmt.Errorf("take a live-call slot: %w", err)
		}
	}
	s.mu.Lock()
	s.scopeLocked(scope).room.enter(place.Call(), seq)
	s.mu.Unlock()
	return false, nil
}

func isRefused(err error) bool {
	_, ok := errors.AsType[*streams.RefusedError](err)
	return ok
}

// choose finds the slot that the place has, which again says, or a free one and
// marks it as being taken. When there is none the place is noted as waiting, in
// the same breath: a slot that is freed after this finds it.
func (s *Slots) choose(scope string, place commands.Key, seq uint64) (n int, revision uint64, again, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scopeLocked(scope)
	if n, has := sc.held[place]; has {
		// It is written again, so that whoever had it before cannot give it back.
		return n, sc.slots[n].revision, true, true
	}
	if sc.freeLocked(s.opts.Limit, time.Now()) > 0 {
		// Any of them, so that workers seldom want the same.
		first := rand.N(s.opts.Limit)
		for i := range s.opts.Limit {
			n := (first + i) % s.opts.Limit
			if is := sc.slots[n]; is.place == nil && !sc.taking[n] {
				sc.taking[n] = true
				return n, is.revision, false, true
			}
		}
	}
	sc.room.enter(place.Call(), seq)
	return 0, 0, false, false
}

func slotKey(scope string, n int) string { return "slot." + scope + "." + strconv.Itoa(n) }

func (s *Slots) put(ctx context.Context, scope string, n int, body []byte, revision uint64) (uint64, error) {
	return putCell(ctx, s.js, s.kv.Bucket(), slotKey(scope, n), body, revision, 0)
}

// refresh reads a slot that is not as the picture shows it.
func (s *Slots) refresh(ctx context.Context, scope string, n int) error {
	c, err := leaderCell(ctx, s.js, s.kv.Bucket(), slotKey(scope, n))
	if err != nil {
		return err
	}
	var b slotBody
	if c.data != nil {
		_ = json.Unmarshal(c.data, &b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.revision == 0 { // gone from the bucket: the next write is the first one
		delete(s.scopeLocked(scope).slots, n)
		return nil
	}
	s.setLocked(scope, n, slot{b.place(), c.revision, time.Now()})
	return nil
}

// Ask holds a place while there is no slot for it, and notes it as waiting.
func (s *Slots) Ask(r Request) (Wait, bool) {
	if r.Class != ClassPlace || s.opts.Limit <= 0 {
		return Wait{}, false
	}
	scope := s.Scope(r.Scope)
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scopeLocked(scope)
	if r.Command != "" { // not a question about the lane
		sc.woken = max(sc.woken-1, 0)
	}
	if _, has := sc.held[r.place()]; has || sc.freeLocked(s.opts.Limit, time.Now()) > 0 {
		return Wait{}, false
	}
	if r.Command != "" {
		sc.room.enter(r.Call, r.Seq)
	}
	return Wait{Reason: ReasonLiveCalls}, true
}

// Take takes a slot for a place.
func (s *Slots) Take(ctx context.Context, r Request) (Wait, bool, error) {
	if r.Class != ClassPlace || s.opts.Limit <= 0 {
		return Wait{}, false, nil
	}
	taken, err := s.claim(ctx, r.Scope, r.place(), r.Seq)
	if err != nil || taken {
		return Wait{}, false, err
	}
	return Wait{Reason: ReasonLiveCalls}, true, nil
}

// Release gives a slot back that was taken for a request that was not sent.
func (s *Slots) Release(ctx context.Context, r Request) { s.unused(ctx, r) }

// Heard gives a slot back that Graph did not use, and tells all workers when it
// was because too many calls live.
func (s *Slots) Heard(ctx context.Context, r Request, a Answer) {
	if r.Class != ClassPlace || s.opts.Limit <= 0 {
		return
	}
	if a.Outcome == OverLiveCalls {
		if err := s.refused(ctx, r.Scope, r.place()); err != nil {
			s.log.Warn("that too many calls live is known here alone", "err", err)
		}
	}
	if a.Outcome.Untaken() {
		s.unused(ctx, r)
		return
	}
	s.mu.Lock()
	delete(s.fresh, r.place())
	s.mu.Unlock()
}

// unused gives a slot back that was taken for this request; one that the place
// had before stays its own, for an earlier attempt may have come to a call.
func (s *Slots) unused(ctx context.Context, r Request) {
	place := r.place()
	s.mu.Lock()
	fresh := s.fresh[place]
	delete(s.fresh, place)
	s.mu.Unlock()
	held, has := s.find(place)
	if !fresh || !has {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, freeWithin)
	defer cancel()
	if _, err := s.release(ctx, held, false); err != nil {
		s.log.Warn("live-call slot is given back by the sweep", "err", err)
	}
}

// place is the command's name.
func (r Request) place() commands.Key {
	return commands.Key{Producer: r.Call.Producer, CallRef: r.Call.CallRef, ID: r.Command}
}

// Used tells how many slots of each budget are taken.
func (s *Slots) Used() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[string]int{}
	for name, sc := range s.scopes {
		used[name] = sc.usedLocked()
	}
	return used
}

// heldSlot is a slot with the place that has it.
type heldSlot struct {
	scope string
	n     int
	slot
}

// holders are all held slots, in order.
func (s *Slots) holders() []heldSlot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []heldSlot
	for _, scope := range slices.Sorted(maps.Keys(s.scopes)) {
		sc := s.scopes[scope]
		for _, n := range slices.Sorted(maps.Keys(sc.slots)) {
			if is := sc.slots[n]; is.place != nil {
				all = append(all, heldSlot{scope, n, is})
			}
		}
	}
	return all
}
