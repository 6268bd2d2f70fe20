package producer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"callbus/internal/commands"
)

// MaxLine is the longest line in bytes: a body of [commands.MaxBody] and plenty
// for the rest. A longer line is skipped as one bad line.
const MaxLine = commands.MaxBody + 64<<10

// MaxDelay is the longest a line may ask to wait.
const MaxDelay = 24 * time.Hour

// ParseOptions says which lines are allowed.
type ParseOptions struct {
	// Demo allows what only the simulator can do: incoming and placeholders.
	Demo bool
}

// ParseLines reads lines one by one. A line that cannot be used yields a
// *[LineError] and the reading goes on; any other error is the reader's and the
// last thing yielded. Empty lines count but yield nothing.
func ParseLines(r io.Reader, opts ParseOptions) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		for number := 1; ; number++ {
			text, tooLong, err := readLine(in)
			if number == 1 {
				text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // a byte order mark
			}
			text = bytes.TrimSpace(text)
			switch {
			case tooLong:
				if !yield(Line{Number: number}, &LineError{Line: number, Problem: "too long", Allowed: fmt.Sprintf("at most %d bytes", MaxLine)}) {
					return
				}
			case len(text) > 0:
				line, problem := ParseLine(number, text, opts)
				if !yield(line, problem) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Line{Number: number}, fmt.Errorf("read line %d: %w", number, err))
				return
			}
		}
	}
}

// readLine reads to the end of the line and keeps no more than MaxLine of it.
func readLine(in *bufio.Reader) (text []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(text)+len(part) > MaxLine {
			tooLong = true
		}
		if !tooLong {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, tooLong, err
		}
	}
}

// ParseLine reads one line. The error is a *[LineError]; the Line then holds
// what could be read, its number at least.
func ParseLine(number int, text []byte, opts ParseOptions) (Line, error) {
	line := Line{Number: number}
	members, err := readObject(text)
	if err != nil {
		return line, &LineError{Line: number, Problem: err.Error(), Allowed: "one JSON object a line"}
	}
	for _, m := range members {
		if problem := line.take(m, opts); problem != nil {
			problem.Line, problem.Member = number, m.name+problem.Member
			return line, problem
		}
	}
	switch {
	case line.CallRef == "":
		return line, &LineError{Line: number, Member: "callRef", Problem: "missing", Allowed: "the name of the call"}
	case line.Action == "":
		return line, &LineError{Line: number, Member: "action", Problem: "missing", Allowed: "one of " + words(commands.Actions)}
	}
	line.ID = BodyID(line.Body())
	if err := line.checkPlaceholders(opts.Demo); err != nil {
		return line, err
	}
	return line, nil
}

// take puts a member where it belongs: in the line or in the command's body.
func (l *Line) take(m member, opts ParseOptions) *LineError {
	switch m.name {
	case "callRef":
		return name(m, &l.CallRef, commands.CheckCallRef)
	case "producer":
		return name(m, &l.Producer, commands.CheckProducer)
	case "action":
		if json.Unmarshal(m.value, &l.Action) != nil || !l.Action.Known() {
			return &LineError{Problem: "unknown: " + cut(string(m.value), 40), Allowed: "one of " + words(commands.Actions)}
		}
	case "expect":
		return parseExpect(m.value, &l.Expect)
	case "delay":
		return parseDelay(m.value, &l.Delay)
	case "incoming":
		if !opts.Demo {
			return &LineError{Problem: "only the demo can make a call come in", Allowed: "the line without it"}
		}
		if len(m.value) == 0 || m.value[0] != '{' {
			return &LineError{Problem: "not an object", Allowed: `an object such as {"source": …}`}
		}
		l.Incoming = m.value
	default:
		l.body = append(l.body, m)
	}
	return nil
}

func name(m member, to *string, check func(string) error) *LineError {
	if json.Unmarshal(m.value, to) != nil {
		return &LineError{Problem: "not a string", Allowed: "a string"}
	}
	if wrong, ok := errors.AsType[*commands.DecodeError](check(*to)); ok {
		return &LineError{Problem: wrong.Problem, Allowed: wrong.Allowed}
	}
	return nil
}

func parseDelay(value json.RawMessage, to *time.Duration) *LineError {
	wrong := &LineError{Problem: "cannot be used: " + cut(string(value), 40),
		Allowed: `a duration such as "1.5s", or seconds as a number, up to 24h`}
	var text string
	var seconds float64
	switch {
	case json.Unmarshal(value, &text) == nil && value[0] == '"':
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong
		}
		*to = d
	case json.Unmarshal(value, &seconds) == nil && value[0] != 'n': // null is no number
		if seconds > MaxDelay.Seconds() {
			return wrong
		}
		*to = time.Duration(seconds * float64(time.Second))
	default:
		return wrong
	}
	if *to < 0 || *to > MaxDelay {
		return wrong
	}
	return nil
}
