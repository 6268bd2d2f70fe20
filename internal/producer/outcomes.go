package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"callbus/internal/commands"

	"github.com/nats-io/nats.go"
)

// Outcome is how the command of one line ended.
type Outcome struct {
	Line   Line
	Key    commands.Key
	Result commands.Result
	// Err says what is not as the line expects, or is [ErrIDConflict].
	Err error
}

// Outcomes follows many commands at once: by one subscription a producer, and
// by looking into the stream for those of which nothing was heard for a while.
// Make one with [Client.NewOutcomes], hand it to [Client.SendLines], call Wait.
type Outcomes struct {
	client *Client
	until  Until
	report func(Outcome)
	quiet  time.Duration // after which a command is looked for

	mu      sync.Mutex
	pending map[string]*pendingCommand // by result subject
	subs    map[string]*nats.Subscription
	changed chan struct{} // holds one token when something has ended
}

type pendingCommand struct {
	lines  []Line // more than one when the file says the same thing twice
	key    commands.Key
	hash   string
	stored bool
	looked time.Time
}

// NewOutcomes follows commands until the record that until names and calls
// report for each line, one at a time; report must not call the Outcomes.
func (c *Client) NewOutcomes(until Until, report func(Outcome)) *Outcomes {
	return &Outcomes{client: c, until: until, report: report, quiet: 3 * time.Second,
		pending: map[string]*pendingCommand{}, subs: map[string]*nats.Subscription{}, changed: make(chan struct{}, 1)}
}

// expect is told of a line before it is sent.
func (o *Outcomes) expect(line Line, key commands.Key, hash string) error {
	if err := o.subscribe(key.Producer); err != nil {
		return err
	}
	if key.ID == "" {
		return nil // known when it is stored
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addLocked(line, key, hash)
	return nil
}

func (o *Outcomes) addLocked(line Line, key commands.Key, hash string) *pendingCommand {
	subject := o.client.prefix.Result(key)
	p := o.pending[subject]
	if p == nil {
		p = &pendingCommand{key: key, hash: hash, looked: time.Now()}
		o.pending[subject] = p
	}
	p.lines = append(p.lines, line)
	return p
}

// stored is told what became of the line.
func (o *Outcomes) stored(s Sent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.wake()
	subject := o.client.prefix.Result(s.Key)
	p := o.pending[subject]
	switch {
	case s.Err != nil && p != nil:
		p.lines = slices.DeleteFunc(p.lines, func(l Line) bool { return l.Number == s.Line.Number })
		if len(p.lines) == 0 {
			delete(o.pending, subject)
		}
		return
	case s.Err != nil:
		return
	case p == nil && s.Line.ID == "":
		p = o.addLocked(s.Line, s.Key, commands.BodyHash(s.Line.Action, s.Line.Body()))
	case p == nil:
		return // its outcome was faster than its acknowledgement
	}
	p.stored = true
	if s.Ack.Duplicate {
		p.looked = time.Time{} // it may be over already
	}
}

func (o *Outcomes) subscribe(producer string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.subs[producer] != nil {
		return nil
	}
	filter := o.client.prefix.Results(commands.CallKey{Producer: producer, CallRef: "*"})
	sub, err := o.client.nc.Subscribe(filter, o.hear)
	if err != nil {
		return fmt.Errorf("subscribe %s: %w", filter, err)
	}
	_ = sub.SetPendingLimits(1<<20, 1<<28)
	o.subs[producer] = sub
	if err := o.client.nc.FlushTimeout(o.client.ackWait); err != nil {
		return fmt.Errorf("subscribe %s: %w", filter, err)
	}
	return nil
}

// hear takes a record from the subscription. A final one is looked up first:
// only what is stored counts. Records of other commands are passed over, for
// there may be many.
func (o *Outcomes) hear(msg *nats.Msg) {
	o.mu.Lock()
	ours := o.pending[msg.Subject] != nil
	o.mu.Unlock()
	if !ours {
		return
	}
	if final(msg) {
		if msg = o.client.confirm(context.Background(), msg); msg == nil {
			return
		}
	}
	o.take(msg)
}

// take looks at one record, whichever way it came.
func (o *Outcomes) take(msg *nats.Msg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.pending[msg.Subject]
	if p == nil {
		return
	}
	p.looked = time.Now()
	theirs := msg.Header.Get(commands.HeaderBody)
	conflict := theirs != "" && theirs != p.hash
	var r commands.Result
	if err := json.Unmarshal(msg.Data, &r); err != nil || (!conflict && !o.until.Reached(r)) {
		return
	}
	delete(o.pending, msg.Subject)
	for _, line := range p.lines {
		outcome := Outcome{Line: line, Key: p.key, Result: r}
		switch {
		case conflict:
			outcome.Err = fmt.Errorf("line %d: %w (id %s)", line.Number, ErrIDConflict, p.key.ID)
		case r.Final:
			if err := line.Expect.Met(r); err != nil {
				outcome.Err = fmt.Errorf("line %d: %w", line.Number, err)
			}
		}
		o.report(outcome)
	}
	o.wake()
}

func (o *Outcomes) wake() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// Wait blocks until every stored command has its outcome, or ctx ends; it
// returns the commands that have none, by name. Call it once, after
// [Client.SendLines] has returned.
func (o *Outcomes) Wait(ctx context.Context) []commands.Key {
	defer o.close()
	look := time.NewTicker(o.quiet / 4)
	defer look.Stop()
	for {
		if missing := o.missing(); len(missing) == 0 || ctx.Err() != nil {
			return missing
		}
		o.lookAtQuiet(ctx)
		select {
		case <-ctx.Done():
		case <-o.changed:
		case <-look.C:
		}
	}
}

func (o *Outcomes) missing() []commands.Key {
	o.mu.Lock()
	defer o.mu.Unlock()
	var keys []commands.Key
	for _, subject := range slices.Sorted(maps.Keys(o.pending)) {
		keys = append(keys, o.pending[subject].key)
	}
	return keys
}

// lookAtQuiet reads the last records of those that nothing was heard of
// lately: a few at a time, so that it never loads the server.
func (o *Outcomes) lookAtQuiet(ctx context.Context) {
	const perRound = 256
	o.mu.Lock()
	var subjects []string
	for subject, p := range o.pending {
		if p.stored && time.Since(p.looked) >= o.quiet && len(subjects) < perRound {
			p.looked = time.Now()
			subjects = append(subjects, subject)
		}
	}
	o.mu.Unlock()
	slices.SortFunc(subjects, strings.Compare)
	var reads sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, subject := range subjects {
		slots <- struct{}{}
		reads.Go(func() {
			defer func() { <-slots }()
			if msg, err := o.client.lastRecord(ctx, "RESULTS", subject); err == nil && msg != nil {
				o.take(msg)
			}
		})
	}
	reads.Wait()
}

func (o *Outcomes) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, sub := range o.subs {
		_ = sub.Unsubscribe()
	}
}
