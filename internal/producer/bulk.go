package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"callbus/internal/commands"

	"golang.org/x/time/rate"
)

// BulkOptions shapes [Client.SendLines]. The zero value sends as fast as the
// queue takes it and checks nothing.
type BulkOptions struct {
	Producer string     // of lines that name none
	Rate     rate.Limit // lines a second; zero: no limit
	Window   int        // lines awaiting their acknowledgement; zero: 256
	// Retry is how long a line is offered again that a full queue or a lost
	// connection refuses, or no stream takes (then for ten seconds at most);
	// zero: not at all.
	Retry time.Duration
	// From skips lines with a lower number; they still count for the ids of
	// the lines after them.
	From int
	// Check is asked before a line is sent; its error makes the line bad.
	Check func(Line) error
	// Outcomes, if set, is told of each line before it is sent.
	Outcomes *Outcomes
}

// Sent is what became of one line.
type Sent struct {
	Line Line // with its id
	Key  commands.Key
	Ack  Ack
	Err  error // nil: stored
	// Bad means that the line never was a command: unreadable, or refused by
	// the check.
	Bad bool
}

// ErrEarlierLine is the reason a line was not offered: an earlier line of its
// call was not stored, and commands of one call must not change places.
var ErrEarlierLine = errors.New("not sent, for an earlier line of the same call was not stored")

// SendLines publishes lines and calls report once for each, from one goroutine
// at a time but not always in order. Lines of one call are sent one after the
// other, those of different calls side by side. It blocks until every line is
// reported; the error is the reader's, or ctx's.
func (c *Client) SendLines(ctx context.Context, lines iter.Seq2[Line, error], o BulkOptions, report func(Sent)) error {
	window := o.Window
	if window <= 0 {
		window = 256
	}
	b := bulk{client: c, options: o, report: report, slots: make(chan struct{}, window), calls: map[commands.CallKey]*callQueue{}}
	defer b.sending.Wait()
	limit := rate.Inf
	if o.Rate > 0 {
		limit = o.Rate
	}
	pacer := rate.NewLimiter(limit, 1)
	var ids LineIDs
	for line, err := range lines {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		bad, isLine := errors.AsType[*LineError](err)
		if err != nil && !isLine {
			return err
		}
		if isLine {
			if line.Number >= o.From {
				b.done(Sent{Line: line, Key: line.Key(o.Producer), Err: bad, Bad: true})
			}
			continue
		}
		line, err := ids.Give(line, o.Producer)
		if line.Number < o.From {
			continue
		}
		if err == nil && o.Check != nil {
			err = o.Check(line)
		}
		if err != nil {
			b.done(Sent{Line: line, Key: line.Key(o.Producer), Err: err, Bad: true})
			continue
		}
		if line.Delay > 0 {
			pause(ctx, line.Delay)
		}
		if err := pacer.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
		if err := b.start(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

type bulk struct {
	client  *Client
	options BulkOptions
	report  func(Sent)
	slots   chan struct{}
	sending sync.WaitGroup
	calls   map[commands.CallKey]*callQueue // only the reading goroutine's

	mu sync.Mutex // around report
}

// callQueue is the last line of a call that is on its way, and whether a line
// of the call was refused.
type callQueue struct {
	idle    chan struct{} // closed when that line is done
	refused bool          // read only after idle is closed
}

// start sends a line once the one before it of its call is done.
func (b *bulk) start(ctx context.Context, line Line) error {
	key := line.Key(b.options.Producer)
	call := b.calls[key.Call()]
	if call != nil {
		<-call.idle // ends: every publish has a limit
		if call.refused {
			b.done(Sent{Line: line, Key: key, Err: ErrEarlierLine})
			return nil
		}
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	b.forget()
	call = &callQueue{idle: make(chan struct{})}
	b.calls[key.Call()] = call
	b.sending.Go(func() {
		defer func() { <-b.slots }()
		defer close(call.idle)
		sent := b.send(ctx, line, key)
		call.refused = sent.Err != nil
		b.done(sent)
	})
	return nil
}

// forget drops the calls that nothing is known against, so that an endless
// stream of lines does not fill the memory.
func (b *bulk) forget() {
	if len(b.calls) < 1<<14 {
		return
	}
	for key, call := range b.calls {
		select {
		case <-call.idle:
			if !call.refused {
				delete(b.calls, key)
			}
		default:
		}
	}
}

func (b *bulk) done(s Sent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.report(s)
}

// send offers the line until it is stored or there is no use in going on.
func (b *bulk) send(ctx context.Context, line Line, key commands.Key) Sent {
	sent := Sent{Line: line, Key: key}
	body := line.Body()
	if b.options.Outcomes != nil {
		if err := b.options.Outcomes.expect(line, key, commands.BodyHash(line.Action, body)); err != nil {
			sent.Err = err
			return sent
		}
	}
	giveUp := time.Now().Add(b.options.Retry)
	wait := 100 * time.Millisecond
	for {
		sent.Ack, sent.Err = b.client.sendOnce(ctx, Message{Call: key.Call(), Action: line.Action, Body: body}, nil)
		if sent.Err == nil || ctx.Err() != nil || !b.client.mayPass(sent.Err) || time.Now().Add(wait).After(giveUp) {
			break
		}
		pause(ctx, wait)
		wait = min(2*wait, 2*time.Second)
	}
	if sent.Err != nil {
		sent.Err = fmt.Errorf("line %d: %w", line.Number, sent.Err)
	} else if sent.Key.ID == "" {
		sent.Key.ID = SequenceID(sent.Ack)
	}
	if b.options.Outcomes != nil {
		b.options.Outcomes.stored(sent)
	}
	return sent
}

// mayPass tells whether the same line may be stored later.
func (c *Client) mayPass(err error) bool {
	if nobodyListens(err) {
		return !c.queue.lasts(c.electionWait)
	}
	refused, ok := errors.AsType[*RefusedError](err)
	return ok && (refused.Why == Full || refused.Why == NoAnswer)
}
