package pacing

import (
	"context"
	"time"

	"callbus/internal/commands"
)

// Request is one request to Graph as the layers see it.
type Request struct {
	Scope   string // the tenant it is for
	Class   Class  // [ClassUrgent] is never held
	Action  commands.Action
	Call    commands.CallKey // of our own requests it may be zero
	Command string           // the command's id, with Call the name of a place; empty: a request of our own
	Seq     uint64           // of publication, in the queue
	CallID  string           // Graph's id of the call, empty for a place
	Expires time.Time        // zero: never
}

// Wait says why a request is held and until when; a zero Until means that
// nobody knows.
type Wait struct {
	Reason string // throttled, liveCalls, monthlyCalls, breaker, paused
	Until  time.Time
	// Look is when to ask again where Until is not known; zero leaves it to whoever waits.
	Look time.Duration
}

// Outcome is what came of a request, as far as pacing minds.
type Outcome int

// The outcomes. NotSent and Unreached never left this machine; of Lost nobody
// knows; the others are Graph's own words.
const (
	NotSent       Outcome = iota // ours to give up: stopping, lease lost
	NoToken                      // no token for Graph, or one that it refused (401)
	Unreached                    // no connection
	Lost                         // may have been taken: no answer, 502, 504
	Broken                       // 5xx: Graph did not take it, and the request is not to blame
	Balked                       // 5xx in Graph's own words on what a producer wrote: either may be to blame
	Throttled                    // 429 for the rate
	OverLiveCalls                // 8530
	OverMonth                    // 8529
	Refused                      // any other 4xx
	Taken                        // 2xx
)

// Untaken tells whether Graph certainly has not done what was asked.
func (o Outcome) Untaken() bool { return o != Lost && o != Taken }

// Answer is what came of a request.
type Answer struct {
	Outcome Outcome
	// RetryAfter is Graph's own wait; Told says that it gave one.
	RetryAfter time.Duration
	Told       bool
	CallID     string    // of a place that was taken
	Sent       time.Time // when the request was admitted; Heard of a Pass fills it in
}

// Layer is one reason to hold requests back. Embed [Passive] for what a layer
// does not mind. All methods may be called from many goroutines at once.
type Layer interface {
	// Ask tells whether the request would have to wait. It takes nothing, and
	// does not block.
	Ask(Request) (Wait, bool)
	// Take claims what the request needs from this layer, just before it is
	// begun; held says that it was not to be had. It may block, for a second at
	// most. An error holds the command as a failure of ours does.
	Take(context.Context, Request) (w Wait, held bool, err error)
	// Release gives back what Take claimed: the request was certainly not sent.
	Release(context.Context, Request)
	// Heard is told what came of a request that was sent, also of those that are
	// never held, which took nothing. What Take claimed and the answer proves
	// unused is given back here.
	Heard(context.Context, Request, Answer)
}

// Passive is a layer that holds nothing.
type Passive struct{}

// Ask holds nothing.
func (Passive) Ask(Request) (Wait, bool) { return Wait{}, false }

// Take claims nothing.
func (Passive) Take(context.Context, Request) (Wait, bool, error) { return Wait{}, false, nil }

// Release gives nothing back.
func (Passive) Release(context.Context, Request) {}

// Heard minds nothing.
func (Passive) Heard(context.Context, Request, Answer) {}

// Counter is a layer that must know of every request, also of those that are
// never held and pass it untaken.
type Counter interface{ Count(Request) }

// Narrow is a layer that lets through only so much at a time. Room is how many
// requests like this one more it would let through soon: to bring back more than
// that has them looked at in vain.
type Narrow interface{ Room(Request) int }

// Admission is the one place where the layers are composed, in the order in
// which they are asked: an operator's pause, the breaker, the shared gate, the
// budget of live calls, the month's budget, and the pacer. The pacer is last, so
// that no token is spent on a request that then waits for something else. Run
// brings back what had to wait.
type Admission struct {
	layers []Layer
	rooms  rooms
}

// NewAdmission composes the layers, outermost first. None at all admits
// everything.
func NewAdmission(layers ...Layer) *Admission { return &Admission{layers: layers} }

// Pass is the leave to send one request. It ends with one of Release and Heard;
// further calls do nothing.
type Pass struct {
	admission *Admission
	request   Request
	taken     []Layer // what Release has to undo
	at        time.Time
	over      bool
}

// Admit asks all layers and then takes from each, in order. It returns a Pass,
// or nil and why the request has to wait; what was taken by then has been given
// back. A request that is never held gets its Pass at once.
func (a *Admission) Admit(ctx context.Context, r Request) (*Pass, Wait, error) {
	p := &Pass{admission: a, request: r, at: time.Now()}
	if r.Class == ClassUrgent {
		for _, l := range a.layers {
			if c, ok := l.(Counter); ok {
				c.Count(r)
			}
		}
		return p, Wait{}, nil
	}
	if w, held := a.Held(r); held {
		a.rooms.note(r, w.Reason)
		return nil, w, nil
	}
	for _, l := range a.layers {
		w, held, err := l.Take(ctx, r)
		if err != nil || held {
			p.Release(ctx)
			if err == nil {
				a.rooms.note(r, w.Reason)
			}
			return nil, w, err
		}
		p.taken = append(p.taken, l)
	}
	p.at = time.Now()
	return p, Wait{}, nil
}

// Held tells whether a request would have to wait, without taking anything. Of
// several reasons the outermost counts.
func (a *Admission) Held(r Request) (Wait, bool) {
	if r.Class == ClassUrgent {
		return Wait{}, false
	}
	for _, l := range a.layers {
		if w, held := l.Ask(r); held {
			return w, true
		}
	}
	return Wait{}, false
}

// Await remembers a request that is never held and that Graph did not take, while
// others of its scope are held: Run brings its command back with theirs, for a
// hang-up that backs off must not outlast the outage that it met.
func (a *Admission) Await(r Request) {
	r.Class = ClassOther
	if w, held := a.Held(r); held {
		a.rooms.note(r, w.Reason)
	}
}

// Release gives everything back: the request was certainly not sent.
func (p *Pass) Release(ctx context.Context) {
	if p == nil || p.over {
		return
	}
	p.over = true
	ctx = context.WithoutCancel(ctx) // a stop is when most is given back
	for i := len(p.taken) - 1; i >= 0; i-- {
		p.taken[i].Release(ctx, p.request)
	}
}

// Heard tells every layer what came of the request.
func (p *Pass) Heard(ctx context.Context, a Answer) {
	if a.Outcome == NotSent {
		p.Release(ctx)
		return
	}
	if p == nil || p.over {
		return
	}
	p.over = true
	a.Sent = p.at
	ctx = context.WithoutCancel(ctx)
	for _, l := range p.admission.layers {
		l.Heard(ctx, p.request, a)
	}
}
