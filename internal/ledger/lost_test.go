package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/natstest"
	"callbus/internal/streams"
)

// desk is a journal behind a proxy, and a look past it.
type desk struct {
	t      *testing.T
	proxy  *natstest.Proxy
	j      *ledger.Journal
	stored atomic.Int64 // what onStored was told of

	behind jetstream.JetStream // what j works with
	other  *ledger.Journal     // another worker's, not behind the proxy
	js     jetstream.JetStream
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	url := single(t)
	d := &desk{t: t, proxy: natstest.StartProxy(t, url), other: open(t, url, 1, 1)[0]}
	d.js = jetStream(t, url)
	d.behind = jetStream(t, d.proxy.URL())
	var err error
	d.j, err = ledger.New(t.Context(), d.behind, commands.DefaultPrefix, func(ledger.Record) { d.stored.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// jetStream is a connection that gives up soon on an answer and never on the
// server.
func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// spoil gives the next publish whose subject begins so its fate.
func (d *desk) spoil(prefix string, fate natstest.Fate) (spoilt *atomic.Int64) {
	spoilt = new(atomic.Int64)
	d.proxy.Judge(func(subject string) natstest.Fate {
		if strings.HasPrefix(subject, prefix) && spoilt.Add(1) == 1 {
			return fate
		}
		return natstest.Pass
	})
	return spoilt
}

// count is the number of messages in a stream.
func (d *desk) count(stream string) uint64 {
	d.t.Helper()
	s, err := d.js.Stream(d.t.Context(), stream)
	if err != nil {
		d.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// resize sets how many bytes a stream may hold.
func (d *desk) resize(stream string, bytes int64) {
	d.t.Helper()
	s, err := d.js.Stream(d.t.Context(), stream)
	if err != nil {
		d.t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := d.js.UpdateStream(d.t.Context(), cfg); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) read(j *ledger.Journal, k commands.Key) ledger.View {
	d.t.Helper()
	v, err := j.Read(d.t.Context(), k)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

var (
	aPlace = commands.Key{Producer: "crm", CallRef: "order-1", ID: "p"}
	aMute  = commands.Key{Producer: "crm", CallRef: "order-1", ID: "m"}
)

// TestALostAcknowledgementIsNoSecondRecord: the record reached the stream, or
// did not, and the writer cannot tell.
func TestALostAcknowledgementIsNoSecondRecord(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		fate natstest.Fate
	}{
		{"it was stored, and the connection is cut before its acknowledgement", natstest.LoseAck},
		{"it never arrived", natstest.Swallow},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			v := d.read(d.j, aPlace)
			for i, s := range []commands.Status{commands.Started, commands.Accepted, commands.Succeeded} {
				spoilt := d.spoil("calls.results.", row.fate)
				if err := d.j.Append(t.Context(), &v, record(commands.Place, s, "n1")); err != nil {
					t.Fatalf("Append(%s) = %v; want the record recognised or stored", s, err)
				}
				if spoilt.Load() < 2 {
					t.Fatal("the record was not sent again; the test proves nothing")
				}
				if n := d.count("CALL_RESULTS"); n != uint64(i+1) || v.Last != n {
					t.Errorf("after %s the journal has %d records, the view says %d; want %d", s, n, v.Last, i+1)
				}
			}
			if n := d.stored.Load(); n != 3 {
				t.Errorf("onStored was told of %d records; want 3", n)
			}
		})
	}
}

// TestALostLookForALostAcknowledgement: the record was stored, and neither that
// nor the answer to the question whether it was arrives.
func TestALostLookForALostAcknowledgement(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v := d.read(d.j, aPlace)
	var published, looked atomic.Int64
	d.proxy.Judge(func(subject string) natstest.Fate {
		switch {
		case strings.HasPrefix(subject, "calls.results.") && published.Add(1) == 1:
			return natstest.LoseAck
		case strings.HasPrefix(subject, "$JS.API.DIRECT.GET.CALL_RESULTS") && looked.Add(1) <= 2:
			return natstest.Swallow
		}
		return natstest.Pass
	})
	if err := d.j.Append(t.Context(), &v, record(commands.Place, commands.Started, "n1")); err != nil {
		t.Fatalf("Append() = %v; want the record recognised", err)
	}
	if n := d.count("CALL_RESULTS"); n != 1 || v.Last != 1 || looked.Load() < 3 {
		t.Errorf("the journal has %d records, the view says %d after %d looks; want one, recognised at the third", n, v.Last, looked.Load())
	}
}

// TestALostAcknowledgementAndAnotherWriter: between the record and the second
// try somebody else wrote; the record stands once, and the writer has to look.
func TestALostAcknowledgementAndAnotherWriter(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v := d.read(d.j, aPlace)
	d.spoil("calls.results.", natstest.LoseAck)
	ended := make(chan error, 1)
	go func() { ended <- d.j.Append(t.Context(), &v, record(commands.Place, commands.Started, "n1")) }()
	for d.count("CALL_RESULTS") == 0 {
		<-time.After(time.Millisecond)
	}
	w := d.read(d.other, aMute)
	if err := d.other.Append(t.Context(), &w, record(commands.Mute, commands.Waiting, "n2")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ledger.ErrMoved) {
		t.Fatalf("Append() = %v; want ErrMoved", err)
	}
	if now := d.read(d.j, aPlace); d.count("CALL_RESULTS") != 2 || now.Own == nil || now.Own.Attempt != "n1" {
		t.Errorf("the journal has %d records, the place's is %+v; want both, once", d.count("CALL_RESULTS"), now.Own)
	}
}

// TestAnotherWriterWasFirst: what is stored where ours was to go is not ours,
// although it looks much like it.
func TestAnotherWriterWasFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v, w := d.read(d.j, aPlace), d.read(d.other, aPlace)
	ours, theirs := record(commands.Place, commands.Started, "n1"), record(commands.Place, commands.Started, "n2")
	ours.Time = time.Now()
	theirs.Time = ours.Time // all that tells them apart is who wrote them
	d.spoil("calls.results.", natstest.Swallow)
	ended := make(chan error, 1)
	go func() { ended <- d.j.Append(t.Context(), &v, ours) }()
	if err := d.other.Append(t.Context(), &w, theirs); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ledger.ErrMoved) {
		t.Fatalf("Append() = %v; want ErrMoved: only one writer takes a step", err)
	}
	if n := d.stored.Load(); n != 0 {
		t.Errorf("onStored was told of %d records; want none", n)
	}
}

// TestNothingIsWrittenAfterTheWriterGaveUp: a record that waits in the client
// for a connection would be stored when its command is long elsewhere.
func TestNothingIsWrittenAfterTheWriterGaveUp(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v := d.read(d.j, aPlace)
	resume := d.disconnect()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := d.j.Append(ctx, &v, record(commands.Place, commands.Started, "n1"))
	if !errors.Is(err, nats.ErrDisconnected) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("Append() = %v; want one line that says there is no connection", err)
	}
	resume()
	// The next record comes behind whatever waited.
	if err := d.j.Append(t.Context(), &v, record(commands.Place, commands.Started, "n2")); err != nil {
		t.Fatal(err)
	}
	if n := d.count("CALL_RESULTS"); n != 1 || v.Own.Attempt != "n2" {
		t.Errorf("the journal has %d records; want the second writer's alone", n)
	}
}

// TestAWriterWaitsForTheConnection: what Graph answered is not forgotten because
// NATS restarts.
func TestAWriterWaitsForTheConnection(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v := d.read(d.j, aPlace)
	resume := d.disconnect()
	ended := make(chan error, 1)
	go func() { ended <- d.j.Append(t.Context(), &v, record(commands.Place, commands.Started, "n1")) }()
	select {
	case err := <-ended:
		t.Fatalf("Append() = %v without a connection; want it to wait", err)
	case <-time.After(700 * time.Millisecond):
	}
	resume()
	if err := <-ended; err != nil {
		t.Fatalf("Append() = %v; want the record stored", err)
	}
	if n := d.count("CALL_RESULTS"); n != 1 {
		t.Errorf("the journal has %d records; want 1", n)
	}
}

// disconnect takes the connection away until the returned function is called.
func (d *desk) disconnect() (resume func()) {
	d.t.Helper()
	d.proxy.Hold()
	d.proxy.Cut()
	nc := d.behind.Conn()
	for deadline := time.Now().Add(10 * time.Second); nc.IsConnected(); {
		if time.Now().After(deadline) {
			d.t.Fatal("the connection was not lost")
		}
		<-time.After(time.Millisecond)
	}
	return d.proxy.Resume
}

// TestAFullJournal: a record that finds no room is certainly not stored, the
// view stays good, and everything goes on when there is room.
func TestAFullJournal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v := d.read(d.j, aPlace)
	if err := d.j.Append(t.Context(), &v, record(commands.Place, commands.Started, "n1")); err != nil {
		t.Fatal(err)
	}
	d.resize("CALL_RESULTS", 1)
	before := v.Last
	err := d.j.Append(t.Context(), &v, record(commands.Place, commands.Accepted, "n1"))
	refused, ok := errors.AsType[*streams.RefusedError](err)
	if !ok || refused.Stream != streams.Results || refused.Why != streams.Full || !strings.Contains(err.Error(), "CALL_RESULTS is full") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("Append() = %v; want *RefusedError in one line that says CALL_RESULTS is full", err)
	}
	if v.Last != before || d.count("CALL_RESULTS") != 1 {
		t.Errorf("the view says %d, the journal has %d records; want nothing changed", v.Last, d.count("CALL_RESULTS"))
	}
	d.resize("CALL_RESULTS", -1)
	if err := d.j.Append(t.Context(), &v, record(commands.Place, commands.Accepted, "n1")); err != nil {
		t.Errorf("Append() with room again = %v", err)
	}
}

func aLetter() commands.DeadLetter {
	return commands.DeadLetter{Producer: "crm", CallRef: "order-1", CommandID: "p", Action: commands.Place, Cause: commands.CauseUnknown, Sequence: 7}
}

func TestAFullStreamOfDeadLettersEvictsNone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.j.Bury(t.Context(), aLetter()); err != nil {
		t.Fatal(err)
	}
	d.resize("CALL_DEAD", 1)
	next := aLetter()
	next.Sequence++
	err := d.j.Bury(t.Context(), next)
	if refused, ok := errors.AsType[*streams.RefusedError](err); !ok || refused.Stream != streams.Dead || !strings.Contains(err.Error(), "CALL_DEAD is full") {
		t.Fatalf("Bury() = %v; want *RefusedError that says CALL_DEAD is full", err)
	}
	if n := d.count("CALL_DEAD"); n != 1 {
		t.Errorf("%d letters are left; want the first one kept", n)
	}
	d.resize("CALL_DEAD", -1)
	if err := d.j.Bury(t.Context(), next); err != nil || d.count("CALL_DEAD") != 2 {
		t.Errorf("Bury() with room again = %v, %d letters; want both", err, d.count("CALL_DEAD"))
	}
}

func TestADeadLetterWhoseAcknowledgementWasLostIsStoredOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	spoilt := d.spoil("calls.dead.", natstest.LoseAck)
	err := d.j.Bury(t.Context(), aLetter())
	if err == nil {
		t.Fatal("Bury() = nil without an acknowledgement")
	}
	if err := d.j.Bury(t.Context(), aLetter()); err != nil {
		t.Fatal(err)
	}
	if n := d.count("CALL_DEAD"); n != 1 || spoilt.Load() != 2 {
		t.Errorf("%d letters of %d tries; want one of two", n, spoilt.Load())
	}
}

// TestNoLetterSaysUnknownOfWhatIsKnown: another writer was faster with the record.
func TestNoLetterSaysUnknownOfWhatIsKnown(t *testing.T) {
	ctx := t.Context()
	d := newDesk(t)
	letter := aLetter()
	v, err := d.j.Read(ctx, letter.Key())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []commands.Status{commands.Started, commands.Accepted, commands.Succeeded} {
		if err := d.j.Append(ctx, &v, record(letter.Action, s, "n1")); err != nil {
			t.Fatal(err)
		}
	}
	letter.Cause = commands.CauseUnknown
	if err := d.j.Bury(ctx, letter); !errors.Is(err, ledger.ErrMoved) || d.count("CALL_DEAD") != 0 {
		t.Errorf("Bury() = %v, %d letters; want ErrMoved and none", err, d.count("CALL_DEAD"))
	}
	letter.Cause = commands.CauseIDConflict
	if err := d.j.Bury(ctx, letter); err != nil || d.count("CALL_DEAD") != 1 {
		t.Errorf("Bury() of another body = %v, %d letters; want it stored", err, d.count("CALL_DEAD"))
	}
}
