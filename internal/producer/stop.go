package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"callbus/internal/commands"
)

// StopOptions shapes [Client.HangUpAll].
type StopOptions struct {
	StopFilter
	// ID begins the ids of the hang-ups, which are "<ID>-<pass>": with them
	// everything that one stop did can be found again. Every stop needs its own.
	ID string
	// Found is told the calls of each pass before they are hung up, Ended what
	// became of each. Both may be nil; they are called one at a time.
	Found func([]Target)
	Ended func(StopOutcome)
}

// StopOutcome is what became of one call.
type StopOutcome struct {
	Target Target
	Key    commands.Key // of the hang-up
	Ending Ending
	Result commands.Result // the final record, if there is one
	Err    error           // of NotStored
}

// betweenPasses is how long the registry gets to show what the pass before it
// could not see.
const betweenPasses = 500 * time.Millisecond

// HangUpAll hangs up every call that [Client.Targets] finds, looks again until
// nothing new is found (twice at least, for calls come to be meanwhile), and
// waits for what becomes of the hang-ups. These overtake everything: what waits
// is never dialled.
//
// It blocks until every hang-up has ended or ctx does. Endings are told through
// the options; the error is nil even when calls were not hung up. It says that
// the search itself did not come to its end: [Client.Targets]' error, ctx's
// cause, or [ErrNoOutcome] when new calls kept coming until the deadline.
func (c *Client) HangUpAll(ctx context.Context, o StopOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := commands.CheckID(o.ID + "-1"); err != nil {
		return err
	}
	s := &stop{client: c, options: o, seen: map[commands.CallKey]*aim{}}
	s.outcomes = c.NewOutcomes(UntilFinal, s.outcome)
	err := s.search(ctx)
	missing := map[commands.Key]bool{}
	for _, key := range s.outcomes.Wait(ctx) {
		missing[key] = true
	}
	for _, a := range s.aims {
		if missing[a.key] {
			s.end(a, StopOutcome{Key: a.key, Ending: NoOutcome})
		}
	}
	return err
}

// stop is one run of HangUpAll.
type stop struct {
	client   *Client
	options  StopOptions
	outcomes *Outcomes

	mu   sync.Mutex
	aims []*aim                    // by line number
	seen map[commands.CallKey]*aim // the latest of each call
}

// search makes pass after pass.
func (s *stop) search(ctx context.Context) error {
	for pass := 1; ; pass++ {
		if pass > 1 {
			pause(ctx, betweenPasses)
		}
		over := s.over()
		targets, err := s.client.Targets(ctx, s.options.StopFilter)
		if ctx.Err() != nil {
			return cutShort(ctx, err)
		}
		if err != nil {
			return err
		}
		fresh := s.fresh(targets, over, fmt.Sprintf("%s-%d", s.options.ID, pass))
		if len(fresh) == 0 && pass > 1 {
			return nil
		}
		if len(fresh) > 0 {
			s.hangUp(ctx, fresh)
		}
	}
}

// cutShort is why ctx ended the search; err is what the last pass met.
func cutShort(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case !errors.Is(cause, context.DeadlineExceeded):
		return cause
	case err != nil:
		return fmt.Errorf("%w: the search for calls had not come to its end: %w", ErrNoOutcome, err)
	}
	return fmt.Errorf("%w: new calls were still being found", ErrNoOutcome)
}

// hangUp publishes the hang-ups, many at once.
func (s *stop) hangUp(ctx context.Context, fresh []*aim) {
	if s.options.Found != nil {
		targets := make([]Target, len(fresh))
		for i, a := range fresh {
			targets[i] = a.target
		}
		s.mu.Lock()
		s.options.Found(targets)
		s.mu.Unlock()
	}
	retry := 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		retry = time.Until(deadline)
	}
	offered := map[*aim]bool{}
	first := len(s.aims) - len(fresh) + 1
	err := s.client.SendLines(ctx, hangups(fresh, first), BulkOptions{Retry: retry, Outcomes: s.outcomes}, func(sent Sent) {
		a := fresh[sent.Line.Number-first]
		offered[a] = true
		if sent.Err != nil {
			s.end(a, StopOutcome{Key: a.key, Ending: NotStored, Err: unlined(sent.Err)})
		}
	})
	for _, a := range fresh {
		if !offered[a] { // ctx has ended before its turn
			s.end(a, StopOutcome{Key: a.key, Ending: NotStored, Err: err})
		}
	}
}

// unlined takes off the number of a line that nobody wrote.
func unlined(err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused
	}
	return err
}

// outcome is told of each hang-up that has ended.
func (s *stop) outcome(o Outcome) {
	s.mu.Lock()
	a := s.aims[o.Line.Number-1]
	s.mu.Unlock()
	ended := StopOutcome{Key: o.Key, Ending: endingOf(o.Result), Result: o.Result}
	if errors.Is(o.Err, ErrIDConflict) {
		ended.Ending = NotDone
	}
	s.end(a, ended)
}

// end tells what became of a call.
func (s *stop) end(a *aim, ended StopOutcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.ending != "" {
		return // an outcome that came with the end of the wait
	}
	a.ending = ended.Ending
	if a.callID == "" {
		a.callID = ended.Result.CallID
	}
	ended.Target = a.target
	if s.options.Ended != nil {
		s.options.Ended(ended)
	}
}
