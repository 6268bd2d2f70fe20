package producer

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// newLetterBus is a bus with the stream of dead letters, and the registry.
func newLetterBus(t *testing.T) *bus {
	t.Helper()
	b := newRegistryBus(t)
	b.createDead()
	return b
}

func (b *bus) createDead() {
	b.t.Helper()
	if _, err := b.js.CreateStream(b.t.Context(), jetstream.StreamConfig{Name: "CALL_DEAD", Subjects: []string{"calls.dead.*.*.*"}, AllowDirect: true}); err != nil {
		b.t.Fatal(err)
	}
}

const aPlace = `{"id":"p","parameters":{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}}`

// letterOf is the dead letter of a command of crm's call a.
func letterOf(cause commands.Cause, action commands.Action, id, body string) commands.DeadLetter {
	d := commands.DeadLetter{Producer: "crm", CallRef: "a", CommandID: id, Action: action, Cause: cause, Time: time.Now().UTC(),
		Subject: "calls.commands.crm.a." + string(action), Sequence: 7_000_000}
	d.SetOriginal([]byte(body))
	return d
}

// bury stores a letter as a worker does and returns its number.
func (b *bus) bury(d commands.DeadLetter) uint64 {
	b.t.Helper()
	body, err := json.Marshal(d)
	if err != nil {
		b.t.Fatal(err)
	}
	ack, err := b.js.Publish(b.t.Context(), commands.DefaultPrefix.Dead(d.Key()), body)
	if err != nil {
		b.t.Fatal(err)
	}
	return ack.Sequence
}

func (b *bus) numbers(f LetterFilter) []uint64 {
	b.t.Helper()
	var got []uint64
	if err := b.client.Letters(b.t.Context(), f, func(l Letter) error { got = append(got, l.Number); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return got
}

func TestLetters(t *testing.T) {
	b := newLetterBus(t)
	if got := b.numbers(LetterFilter{}); got != nil {
		t.Errorf("Letters() of an empty stream = %v", got)
	}
	b.bury(letterOf(commands.CauseUnknown, commands.Place, "p", aPlace))
	erp := letterOf(commands.CauseInvalid, commands.Mute, "m", `{"id":"m"}`)
	erp.Producer = "erp"
	b.bury(erp)
	third, err := b.client.Letter(t.Context(), b.bury(letterOf(commands.CauseCallLives, commands.Place, "p2", aPlace)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), "calls.dead.crm.a.x", []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		f    LetterFilter
		want []uint64
	}{
		{"all, also what is none", LetterFilter{}, []uint64{1, 2, 3, 4}},
		{"of a producer", LetterFilter{Producer: "erp"}, []uint64{2}},
		{"of a cause", LetterFilter{Causes: []commands.Cause{commands.CauseUnknown}}, []uint64{1}},
		{"of causes and a producer", LetterFilter{Producer: "crm", Causes: []commands.Cause{commands.CauseInvalid, commands.CauseCallLives}}, []uint64{3}},
		{"since a time", LetterFilter{Since: third.Stored}, []uint64{3, 4}},
		{"of a producer without any", LetterFilter{Producer: "shop"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := b.numbers(tt.f); !slices.Equal(got, tt.want) {
				t.Errorf("Letters(%+v) = %v; want %v", tt.f, got, tt.want)
			}
		})
	}
	for _, f := range []LetterFilter{{Producer: "a.b"}, {Causes: []commands.Cause{"bad"}}} {
		if err := b.client.Letters(t.Context(), f, nil); err == nil {
			t.Errorf("Letters(%+v) takes it", f)
		}
	}
}

func TestManyLettersAreAllRead(t *testing.T) {
	b := newLetterBus(t)
	body, _ := json.Marshal(letterOf(commands.CauseUnknown, commands.Place, "p", aPlace))
	const n = 1000
	for range n {
		if _, err := b.js.PublishAsync("calls.dead.crm.a.p", body); err != nil {
			t.Fatal(err)
		}
	}
	<-b.js.PublishAsyncComplete()
	if got := b.numbers(LetterFilter{}); len(got) != n || got[n-1] != n {
		t.Errorf("Letters() = %d; want %d in order", len(got), n)
	}
}

func TestOneLetter(t *testing.T) {
	b := newLetterBus(t)
	want := letterOf(commands.CauseUnknown, commands.Place, "p", aPlace)
	number := b.bury(want)
	got, err := b.client.Letter(t.Context(), number)
	if diff := cmp.Diff(want, got.Dead); err != nil || diff != "" || got.Number != number || got.Stored.IsZero() {
		t.Errorf("Letter(%d) = %+v, %v (-want +got):\n%s", number, got, err, diff)
	}
	if err := b.client.DropLetter(t.Context(), number); err != nil {
		t.Error(err)
	}
	for _, missing := range []uint64{number, 99} {
		if _, err := b.client.Letter(t.Context(), missing); !errors.Is(err, ErrNoLetter) {
			t.Errorf("Letter(%d) = %v; want ErrNoLetter", missing, err)
		}
		if err := b.client.DropLetter(t.Context(), missing); !errors.Is(err, ErrNoLetter) {
			t.Errorf("DropLetter(%d) = %v; want ErrNoLetter", missing, err)
		}
	}
}

func TestWithoutStreamOfLetters(t *testing.T) {
	b := newBus(t)
	_, err := b.client.Letter(t.Context(), 1)
	for name, err := range map[string]error{
		"Letter": err, "DropLetter": b.client.DropLetter(t.Context(), 1),
		"Letters": b.client.Letters(t.Context(), LetterFilter{}, func(Letter) error { return nil }),
	} {
		if !errors.Is(err, errNotThere) {
			t.Errorf("%s() = %v; want that there is no stream", name, err)
		}
	}
}

// queuedBodies are the commands that are in the queue, oldest first, with what
// they say they repeat.
func (b *bus) queuedBodies() (bodies []string, replayOf []string) {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), "CALL_COMMANDS")
	if err != nil {
		b.t.Fatal(err)
	}
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(b.t.Context(), seq, jetstream.WithGetMsgSubject("calls.commands.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return bodies, replayOf
		}
		if err != nil {
			b.t.Fatal(err)
		}
		bodies, replayOf = append(bodies, string(msg.Data)), append(replayOf, commands.ReplayOf(msg.Header))
		seq = msg.Sequence + 1
	}
}

// publish puts a command into the queue as a producer does.
func (b *bus) publish(action commands.Action, body string, header nats.Header) uint64 {
	b.t.Helper()
	ack, err := b.js.PublishMsg(b.t.Context(), &nats.Msg{Subject: "calls.commands.crm.a." + string(action), Data: []byte(body), Header: header})
	if err != nil {
		b.t.Fatal(err)
	}
	return ack.Sequence
}
