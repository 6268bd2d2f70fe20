package streams

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// forgetful is an iterator that leaves out its request the first few times.
type forgetful struct {
	jetstream.MessagesContext
	timeouts int
	then     error
	bounded  []bool // of each call: was there an end to the wait?
}

func (f *forgetful) Next(opts ...jetstream.NextOpt) (jetstream.Msg, error) {
	f.bounded = append(f.bounded, len(opts) > 0)
	if len(f.bounded) <= f.timeouts {
		return nil, nats.ErrTimeout
	}
	return nil, f.then
}

func TestNextAsksAgain(t *testing.T) {
	closed := jetstream.ErrMsgIteratorClosed
	for _, row := range []struct {
		name  string
		msgs  forgetful
		calls int
		err   error
		last  bool // the last call was bounded
	}{
		{"a message at once", forgetful{}, 1, nil, true},
		{"a message after a forgotten request", forgetful{timeouts: 1}, 2, nil, true},
		{"an empty lane is waited for without end, so that heartbeats are watched", forgetful{timeouts: 5}, 6, nil, false},
		{"the end is passed on", forgetful{then: closed}, 1, closed, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := next(&row.msgs)
			if n := len(row.msgs.bounded); !errors.Is(err, row.err) || n != row.calls || row.msgs.bounded[n-1] != row.last {
				t.Errorf("next() = %v after %v; want %v after %d calls, the last one bounded: %t", err, row.msgs.bounded, row.err, row.calls, row.last)
			}
		})
	}
}
