package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"
)

// historyWithin bounds the reading of one call's history.
const historyWithin = time.Minute

// historyCmd tells all about one call.
type historyCmd struct {
	CallRef string `arg:"" name:"callref" help:"Your name for the call."`

	Since past `env:"-" placeholder:"TIME" help:"Only what was stored since: RFC 3339, or how long ago, such as 10m; all that is kept by default."`
}

func (c *historyCmd) Help() string {
	return `Shows, in order of time, what is stored of one call of --producer: its commands, each when it was published and with its records, the events (what Graph told, what a worker found out by reading the call, keep-alives, the end), its dead letters, what is in the queue, and last what the registry says now. Several calls one after the other under the same name are all shown. Results and events are kept for 7 days by default.

A producer's rights in NATS are enough for commands with their records, and for events; dead letters, queue and registry take an operator's (docs/operators.md), and what is left out for want of rights is said. Only one reader of a producer's can read a stream at a time: one that is just ending is waited for.

Numbers, names and URLs' queries in what Graph and producers wrote are masked; publisher watch -o json shows records as they are stored.`
}

func (c *historyCmd) Run(s *session) error {
	client, end, operator, err := s.connectOwn()
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithTimeout(s.ctx, historyWithin)
	defer cancel()
	call := commands.CallKey{Producer: s.flags.Producer, CallRef: c.CallRef}
	h, err := client.History(ctx, call, producer.HistoryOptions{Since: c.Since.Time, Operator: operator})
	if errors.Is(err, producer.ErrNoCall) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	if len(h.Hidden) > 0 {
		fmt.Fprintf(s.std.err, "publisher: not shown, for it takes an operator's rights: %s\n", strings.Join(h.Hidden, ", "))
	}
	if len(h.Moments) == 0 && h.Now == nil {
		return fmt.Errorf("nothing is known of %s: it was never used%s, or so long ago that nothing is kept (is --producer right?)", clean(call.String()), sinceWords(c.Since.Time))
	}
	for _, m := range h.Moments {
		s.printMoment(m)
	}
	s.printNow(h.Now)
	return nil
}

func sinceWords(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.UTC().Format(time.RFC3339)
}

// connectOwn is connect for what works with a producer's rights as with an
// operator's. An operator who may do no more than docs/operators.md says cannot
// listen where a producer does; what the server says of that, and of what may not
// be read, is not logged, for it is asked to find out.
func (s *session) connectOwn() (client *producer.Client, end func(), operator bool, err error) {
	name := s.flags.Producer
	for {
		if client, end, err = s.connectQuiet(name); err != nil {
			return nil, nil, false, err
		}
		hears, err := client.MayHear()
		if err != nil {
			end()
			return nil, nil, false, err
		}
		if hears || operator {
			return client, end, operator, nil
		}
		end()
		name, operator = producer.Everyone, true
	}
}

// momentLine is what -o json says of one thing that happened.
type momentLine struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"` // command, result, event, deadLetter or unreadable
	producer.Moment
}

// printMoment writes one line: when, what, and what came of it.
func (s *session) printMoment(m producer.Moment) {
	m = redacted(m)
	if s.json() {
		s.printJSON(momentLine{m.Time.UTC(), kindOf(m), m})
		return
	}
	var what, state, rest string
	switch {
	case m.Command != nil:
		what, state = string(m.Command.Action), "published"
		rest = join(m.Command.ID, replayWords(m.Command.ReplayOf), queuedWords(m.Command.Queued))
	case m.Result != nil:
		what, state, rest = string(m.Result.Action), string(m.Result.Status), join(m.Result.CommandID, account(*m.Result))
	case m.Event != nil:
		what, state, rest = "·"+string(m.Event.Kind), m.Event.State, story(stateless(*m.Event))
		if m.Event.Source == commands.SourceRead {
			rest = join(rest, "(found by reading the call)")
		}
	case m.Letter != nil:
		what, state = "dead letter", string(m.Letter.Cause)
		rest = join(m.Letter.CommandID, string(m.Letter.Action), fmt.Sprintf("→ publisher dead show %d", m.Sequence))
	default:
		what, rest = "unreadable", m.Unreadable
	}
	fmt.Fprintln(s.std.out, strings.TrimRight(strings.Join([]string{m.Time.UTC().Format(clock), pad(clean(what), 14), pad(clean(state), 12), rest}, "  "), " "))
}

func kindOf(m producer.Moment) string {
	switch {
	case m.Command != nil:
		return "command"
	case m.Result != nil:
		return "result"
	case m.Event != nil:
		return "event"
	case m.Letter != nil:
		return "deadLetter"
	}
	return "unreadable"
}

// redacted masks what is about people.
func redacted(m producer.Moment) producer.Moment {
	switch {
	case m.Result != nil:
		r := m.Result.Redacted()
		m.Result = &r
	case m.Event != nil:
		e := m.Event.Redacted()
		m.Event = &e
	case m.Letter != nil:
		d := m.Letter.Redacted()
		m.Letter = &d
	}
	return m
}

// stateless is the event without its state, which has a column of its own.
func stateless(e commands.Event) commands.Event {
	e.State = ""
	return e
}

func replayWords(of string) string {
	if of == "" {
		return ""
	}
	return "(a replay of " + of + ")"
}

func queuedWords(queued bool) string {
	if !queued {
		return ""
	}
	return "(in the queue)"
}

// printNow writes how the call stands.
func (s *session) printNow(l *producer.LiveCall) {
	if l == nil {
		return
	}
	if s.json() {
		s.printJSON(map[string]any{"kind": "now", "now": l})
		return
	}
	text := "now: no call"
	switch {
	case !l.EndedAt.IsZero():
		text = join("now: ended", l.EndedAt.UTC().Format(clock), l.Reason)
	case l.CallID != "":
		alive := "(not kept alive)"
		if l.KeepAlive {
			alive = "(kept alive)"
		}
		text = join("now:", l.State, lasting(*l, time.Now()), "call", l.CallID, alive, callNote(*l))
	case l.State != "":
		text = join("now:", l.State)
	}
	fmt.Fprintln(s.std.out, text)
}
