// Package nemesis hurts a fleet, by a seed, and keeps a diary of it.
package nemesis

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"callbus/test/chaos/check"
	"callbus/test/chaos/fleet"
)

// Options shape the damage.
type Options struct {
	Seed uint64
	// Lease is how long a worker has to be frozen for its commands to be in
	// other hands: --ack-wait and --graph-timeout.
	Lease time.Duration
	// Every is the mean pause between two blows.
	Every time.Duration
	// Leader names the NATS server that leads the stream, "" when nobody does.
	Leader func(stream string) string
	Log    io.Writer
}

// Nemesis hurts one fleet. Make it with New.
type Nemesis struct {
	fleet *fleet.Fleet
	opts  Options
	begun time.Time

	mu     sync.Mutex
	random *rand.Rand
	diary  []check.Incident
	held   map[*fleet.Proc]bool // in the hands of a blow
	stops  map[int]int          // exit codes of workers that were told to stop
}

// New makes the nemesis of a fleet.
func New(f *fleet.Fleet, o Options) *Nemesis {
	return &Nemesis{
		fleet: f, opts: o, begun: time.Now(),
		random: rand.New(rand.NewPCG(o.Seed, 2)), held: map[*fleet.Proc]bool{}, stops: map[int]int{},
	}
}

// Stops counts how the workers ended that were told to stop, by exit code; -1 is
// one that was killed meanwhile or that did not end.
func (n *Nemesis) Stops() map[int]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.stops)
}

func (n *Nemesis) stopped(exit int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stops[exit]++
}

// Diary is what was done so far.
func (n *Nemesis) Diary() []check.Incident {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.diary)
}

// blow is one kind of damage: it is done, lasts and is made good again.
type blow struct {
	name   string
	weight int
	strike func(*Nemesis, context.Context)
}

// Run strikes until ctx ends, then makes everything good again: all processes
// run, all connections are open, Graph has no faults. Somebody has to Tend the
// workers meanwhile.
func (n *Nemesis) Run(ctx context.Context) error {
	var strikes sync.WaitGroup
	strikes.Go(func() { n.weather(ctx) })
	for ctx.Err() == nil {
		b := n.pick()
		strikes.Go(func() { b.strike(n, ctx) })
		pause(ctx, n.between(n.opts.Every/2, n.opts.Every*3/2))
	}
	strikes.Wait() // they make good what they did as soon as ctx has ended
	if err := n.standUp(); err != nil {
		return err
	}
	return n.faults(nil)
}

// Tend raises workers that kill or stop themselves at their crash points, until
// the returned function is called.
func (n *Nemesis) Tend() (stop func()) {
	var tenders sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for _, p := range n.fleet.Workers() {
		tenders.Go(func() { n.tend(ctx, p) })
	}
	return func() { cancel(); tenders.Wait() }
}

// standUp waits until everything runs; the tenders see to the workers.
func (n *Nemesis) standUp() error {
	deadline := time.Now().Add(2*n.opts.Lease + 30*time.Second)
	for {
		down := ""
		for _, p := range slices.Concat(n.fleet.Workers(), n.fleet.NATS()) {
			if !p.Alive() || p.Paused() {
				down = p.Name()
			}
		}
		if down == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not stand up again", down)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (n *Nemesis) pick() blow {
	total := 0
	for _, b := range blows {
		total += b.weight
	}
	i := n.intN(total)
	for _, b := range blows {
		if i -= b.weight; i < 0 {
			return b
		}
	}
	return blows[0]
}

// take reserves a process for one blow, if no other has it.
func (n *Nemesis) take(p *fleet.Proc) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held[p] {
		return false
	}
	n.held[p] = true
	return true
}

func (n *Nemesis) release(p *fleet.Proc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.held, p)
}

// begin enters an incident into the diary and returns what ends it.
func (n *Nemesis) begin(kind, target, detail string) (end func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := time.Now()
	i := len(n.diary)
	n.diary = append(n.diary, check.Incident{Kind: kind, Target: target, Detail: detail, From: at})
	if n.opts.Log != nil {
		fmt.Fprintf(n.opts.Log, "%7.1fs  %-10s %-12s %s\n", at.Sub(n.begun).Seconds(), kind, target, detail)
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.diary[i].To = time.Now()
	}
}

func (n *Nemesis) intN(most int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.random.IntN(most)
}

func (n *Nemesis) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return least + time.Duration(n.random.Int64N(int64(most-least)))
}

// pause waits, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// tend raises a worker that killed or stopped itself at one of its crash
// points, or ended for any other reason that no blow accounts for.
func (n *Nemesis) tend(ctx context.Context, p *fleet.Proc) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch alive, paused := p.Alive(), p.Paused(); {
		case alive && !paused, !n.take(p):
			continue
		case !alive:
			end := n.begin("kill", p.Name(), "by itself: "+lastCrashpoint(p))
			pause(ctx, n.between(100*time.Millisecond, 2*time.Second))
			n.revive(ctx, p)
			end()
		default:
			end := n.begin("pause", p.Name(), "by itself: "+lastCrashpoint(p))
			pause(ctx, n.between(n.opts.Lease, n.opts.Lease*3/2))
			_ = p.Continue()
			end()
		}
		n.release(p)
	}
}

// revive starts a process again until it stays up.
func (n *Nemesis) revive(ctx context.Context, p *fleet.Proc) {
	for range 20 {
		if err := p.Restart(context.WithoutCancel(ctx)); err == nil {
			return
		} else if n.opts.Log != nil {
			fmt.Fprintf(n.opts.Log, "%s does not start: %v\n", p.Name(), err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// lastCrashpoint is what the worker said before it died or stopped.
func lastCrashpoint(p *fleet.Proc) string {
	f, err := os.Open(p.LogFile())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(size-8<<10, 0), io.SeekStart)
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	text := string(tail)
	if i := strings.LastIndex(text, "crashpoint: "); i >= 0 {
		text, _, _ = strings.Cut(text[i+len("crashpoint: "):], "\n")
		return text
	}
	return "no crashpoint in its log"
}
