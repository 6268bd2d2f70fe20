package executor

import (
	"testing"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/pacing"
	"callbus/internal/queue"
)

func queued(seq uint64, body string) *queue.Queued {
	return &queue.Queued{Seq: seq, Body: []byte(body)}
}

func TestParkDelayIsHalfOfTheQuietWithinBounds(t *testing.T) {
	for quiet, want := range map[time.Duration]time.Duration{
		-time.Second: 2 * time.Second, 0: 2 * time.Second, 4 * time.Second: 2 * time.Second, 10 * time.Second: 5 * time.Second,
		2 * time.Minute: time.Minute, 24 * time.Hour: time.Minute,
	} {
		if got := parkDelay(quiet); got != want {
			t.Errorf("parkDelay(%s) = %s; want %s", quiet, got, want)
		}
	}
}

func TestWhatWaitsForACallIsNotLookedAtBeforeItCanGo(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) *time.Time { u := now.Add(d); return &u }
	place := func(s commands.Status, until *time.Time) *ledger.Record {
		return &ledger.Record{Result: commands.Result{CommandID: "p1", Action: commands.Place, Status: s, Reason: "throttled", Until: until}}
	}
	for _, row := range []struct {
		name  string
		place *ledger.Record
		gate  time.Duration // of its class, still shut
		want  time.Duration
	}{
		{"there is no place", nil, 0, 0},
		{"the place waits and nobody knows how long", place(commands.Waiting, nil), 0, 0},
		{"the place waits behind a gate", place(commands.Waiting, at(3*time.Minute)), 0, 3 * time.Minute},
		{"the place's gate has opened", place(commands.Waiting, at(-time.Second)), 0, 0},
		{"the place waits for the next month, and may ask before", place(commands.Waiting, at(20*24*time.Hour)), 0, behindMost},
		{"the place has been sent", place(commands.Accepted, nil), 0, 0},
		{"the place is its own", &ledger.Record{Result: commands.Result{CommandID: "k1", Status: commands.Waiting, Until: at(time.Minute)}}, 0, 0},
		{"the call is there, the command's own gate is shut", place(commands.Succeeded, nil), time.Minute, time.Minute},
		{"both wait, the gate longer", place(commands.Waiting, at(time.Second)), time.Minute, time.Minute},
		{"both wait, the place longer", place(commands.Waiting, at(2*time.Minute)), time.Minute, 2 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newTestJob(commands.PlayPrompt, "{}")
			j.key.ID, j.view.Place = "k1", row.place
			j.x.Admission = pacing.NewAdmission(shutUntil{pacing.Passive{}, now.Add(row.gate), row.gate > 0})
			if got := j.leastWait(now); got != row.want {
				t.Errorf("leastWait() = %s; want %s", got, row.want)
			}
		})
	}
}

// shutUntil is a gate of everything.
type shutUntil struct {
	pacing.Passive
	until time.Time
	shut  bool
}

func (s shutUntil) Ask(pacing.Request) (pacing.Wait, bool) {
	return pacing.Wait{Reason: "throttled", Until: s.until}, s.shut
}

func TestRetryDelayGrowsWithinBounds(t *testing.T) {
	for n, want := range map[int]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 10: time.Minute, 1000: time.Minute} {
		for range 50 {
			if got := retryDelay(n, time.Second, time.Minute); got < want/2 || got > want*3/2+1 {
				t.Fatalf("retryDelay(%d) = %s; want %s give or take a half", n, got, want)
			}
		}
	}
}

func TestJitterIsBetweenNothingAndMost(t *testing.T) {
	for _, most := range []time.Duration{-time.Second, 0, time.Millisecond, time.Minute, 24 * time.Hour} {
		var small, large bool
		for range 200 {
			d := jitter(most)
			if d < 0 || d > max(most, 0)+1 {
				t.Fatalf("jitter(%s) = %s", most, d)
			}
			small, large = small || d < most/2, large || d > most/2
		}
		if most > 0 && !(small && large) {
			t.Errorf("jitter(%s) does not spread", most)
		}
	}
}

func TestWhatIsParkedInGreatNumbersComesBackOverALongerTime(t *testing.T) {
	for _, row := range []struct {
		most   time.Duration
		parked int
		want   time.Duration
	}{
		{time.Second, 0, time.Second},
		{time.Second, 25, time.Second},
		{15 * time.Second, 500, 15 * time.Second},
		{15 * time.Second, 50_000, 1000 * time.Second},
	} {
		if got := spreadMost(row.most, row.parked); got != row.want {
			t.Errorf("spreadMost(%s, %d) = %s; want %s", row.most, row.parked, got, row.want)
		}
	}
}

func TestTiming(t *testing.T) {
	now := time.Now()
	published := now.Add(-10 * time.Second)
	started := now.Add(-4 * time.Second)
	waiting := func(reason string) *ledger.Record {
		return &ledger.Record{Stored: now.Add(-3 * time.Second), Result: commands.Result{
			Status: commands.Waiting, Reason: reason, Timing: &commands.Timing{ThrottledMS: 1000, GraphMS: 50},
		}}
	}
	for _, row := range []struct {
		name                     string
		own                      *ledger.Record
		startedAt                time.Time
		queued, throttled, graph int64
		startedWant              time.Time
	}{
		{"a fresh command has been queued since it was published", nil, time.Time{}, 10000, 0, 0, time.Time{}},
		{"from the start on it is no longer queued", nil, started, 6000, 0, 0, started},
		{"waiting for its call is queueing", waiting("callNotReady"), time.Time{}, 9000, 1000, 50, time.Time{}},
		{"waiting for a gate is counted apart", waiting("throttled"), time.Time{}, 6000, 4000, 50, time.Time{}},
		{"an earlier start is kept", &ledger.Record{Result: commands.Result{Status: commands.Accepted, Timing: &commands.Timing{StartedAt: &started, GraphMS: 9}}}, time.Time{}, 6000, 0, 9, started},
		{"never less than nothing", &ledger.Record{Result: commands.Result{Status: commands.Accepted, Timing: &commands.Timing{ThrottledMS: 60000}}}, time.Time{}, 0, 60000, 0, time.Time{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newTestJob(commands.Place, "{}")
			j.m.Published, j.startedAt, j.view.Own = published, row.startedAt, row.own
			got := j.timing()
			near := func(got, want int64) bool { return got >= want && got < want+1000 || got <= want && got > want-1000 }
			if !near(got.QueuedMS, row.queued) || !near(got.ThrottledMS, row.throttled) || got.GraphMS != row.graph || got.QueuedMS < 0 {
				t.Errorf("timing() = queued %d, throttled %d, graph %d; want about %d, %d, %d", got.QueuedMS, got.ThrottledMS, got.GraphMS, row.queued, row.throttled, row.graph)
			}
			if (got.StartedAt == nil) != row.startedWant.IsZero() || (got.StartedAt != nil && !got.StartedAt.Equal(row.startedWant)) {
				t.Errorf("startedAt = %v; want %v", got.StartedAt, row.startedWant)
			}
			if got.ReceivedAt == nil || !got.ReceivedAt.Equal(published) {
				t.Errorf("receivedAt = %v; want %v", got.ReceivedAt, published)
			}
		})
	}
}

func TestAttempts(t *testing.T) {
	own := func(n int) *ledger.Record { return &ledger.Record{Result: commands.Result{Attempts: n}} }
	for _, row := range []struct {
		name       string
		action     commands.Action
		own        *ledger.Record
		deliveries uint64
		want       int
	}{
		{"begun twice", commands.Place, own(2), 9, 2},
		{"not begun", commands.Mute, own(0), 9, 1},
		{"a read has only its deliveries", commands.GetCall, nil, 3, 3},
		{"a read that waited has them too: it must not be tried for ever", commands.GetCall, own(0), 5, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newTestJob(row.action, "")
			j.view.Own, j.m.Deliveries = row.own, row.deliveries
			if got := j.attempts(); got != row.want {
				t.Errorf("attempts() = %d; want %d", got, row.want)
			}
		})
	}
}

func TestInState(t *testing.T) {
	entry := func(state string, change func(*calls.Entry)) calls.Entry {
		e := calls.Entry{PlaceID: "p1", CallID: "c1", State: state}
		if e.Established() {
			e.EstablishedAt = time.Now()
		}
		if change != nil {
			change(&e)
		}
		return e
	}
	ringing, up := entry(calls.StateEstablishing, nil), entry(calls.StateEstablished, nil)
	audio := entry(calls.StateEstablished, func(e *calls.Entry) { e.AudioActive = true })
	old := entry(calls.StateHold, func(e *calls.Entry) { e.EstablishedAt = time.Now().Add(-audioPatience) })
	prompting := entry(calls.StateEstablished, func(e *calls.Entry) { e.Add(calls.Open{ID: "pp1", Action: commands.PlayPrompt}) })
	muting := entry(calls.StateEstablished, func(e *calls.Entry) { e.Add(calls.Open{ID: "m1", Action: commands.Mute}) })
	for _, row := range []struct {
		name   string
		action commands.Action
		entry  calls.Entry
		ready  bool
	}{
		{"a ringing call can be read", commands.GetCall, ringing, true},
		{"a ringing call can be kept alive", commands.KeepAlive, ringing, true},
		{"an incoming call can be redirected", commands.Redirect, entry(calls.StateIncoming, nil), true},
		{"nobody is muted while it rings", commands.Mute, ringing, false},
		{"participants are listed once it is up", commands.ListParticipants, up, true},
		{"participants are not listed while it rings", commands.ListParticipants, ringing, false},
		{"a call on hold is up", commands.Mute, entry(calls.StateHold, nil), true},
		{"a terminating call is not", commands.Mute, entry(calls.StateTerminating, nil), false},
		{"a prompt waits for audio", commands.PlayPrompt, up, false},
		{"a prompt plays with audio", commands.PlayPrompt, audio, true},
		{"a prompt does not wait for audio for ever", commands.PlayPrompt, old, true},
		{"a prompt does not wait for other prompts", commands.PlayPrompt, func() calls.Entry { e := prompting; e.AudioActive = true; return e }(), true},
		{"a transfer waits for the prompt", commands.Transfer, prompting, false},
		{"a transfer does not wait for a mute", commands.Transfer, muting, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newTestJob(row.action, "")
			j.entry = row.entry
			if got := j.inState(); got != row.ready {
				t.Errorf("inState() = %t; want %t", got, row.ready)
			}
		})
	}
}

func TestOthersDone(t *testing.T) {
	open := func(id string, a commands.Action) []calls.Open { return []calls.Open{{ID: id, Action: a}} }
	place := func(id string, s commands.Status) *ledger.Record {
		return &ledger.Record{Result: commands.Result{CommandID: id, Action: commands.Place, Status: s, Final: s.Final()}}
	}
	for _, row := range []struct {
		name  string
		open  []calls.Open
		place *ledger.Record
		done  bool
	}{
		{"nothing is open", nil, place("p1", commands.Succeeded), true},
		{"a prompt runs", open("pp1", commands.PlayPrompt), place("p1", commands.Succeeded), false},
		{"the call rings", open("p1", commands.Place), place("p1", commands.Accepted), false},
		{"the call rings, and the registry is behind the journal", nil, place("p1", commands.Accepted), false},
		{"the place is its own", nil, place("k1", commands.Started), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newTestJob(commands.Place, "{}")
			j.entry.Open, j.view.Place = row.open, row.place
			if got := j.othersDone(); got != row.done {
				t.Errorf("othersDone() = %t; want %t", got, row.done)
			}
		})
	}
}
