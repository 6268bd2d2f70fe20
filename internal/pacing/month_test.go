package pacing

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"callbus/internal/commands"
)

func TestResets(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02T15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, row := range []struct{ reset, now, name, next string }{
		{"1", "2026-11-28T10:00", "202611", "2026-12-01T00:00"},
		{"1", "2026-12-01T00:00", "202612", "2027-01-01T00:00"},
		{"15T08:30", "2026-11-15T08:29", "202610", "2026-11-15T08:30"},
		{"15T08:30", "2026-11-15T08:30", "202611", "2026-12-15T08:30"},
		{"28", "2027-02-28T00:00", "202702", "2027-03-28T00:00"},
		{"31", "2027-02-28T00:00", "202702", "2027-03-31T00:00"},
		{"31", "2027-01-30T23:59", "202612", "2027-01-31T00:00"},
		{"30T12:00", "2027-03-01T00:00", "202702", "2027-03-30T12:00"},
	} {
		r, err := ParseReset(row.reset)
		if err != nil || r.String() != row.reset {
			t.Errorf("ParseReset(%s) = %s, %v", row.reset, r, err)
		}
		if name, next := r.Period(at(row.now)); name != row.name || !next.Equal(at(row.next)) {
			t.Errorf("%s at %s: Period() = %s, %s; want %s, %s", row.reset, row.now, name, next, row.name, row.next)
		}
	}
	for _, wrong := range []string{"", "0", "32", "1T25:00", "first", "-1", "1T8"} {
		if _, err := ParseReset(wrong); err == nil || !strings.Contains(err.Error(), "want a day of the month") {
			t.Errorf("ParseReset(%q) = %v; want an error that says what is allowed", wrong, err)
		}
	}
	if name, _ := (Reset{}).Period(at("2026-11-01T00:00")); name != "202611" {
		t.Errorf("the zero Reset is in %s; want 202611", name)
	}
}

// monthUsed waits for what a worker sees of the app's month.
func monthUsed(t *testing.T, m *Month, want int) {
	t.Helper()
	until(t, "the count is seen", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.usedLocked(AppScope, time.Now()) == want
	})
}

func TestEveryPlaceIsCountedOnce(t *testing.T) {
	f := newFleet(t)
	a, _ := f.month(MonthOptions{Limit: 100, App: "app-1"})
	b, _ := f.month(MonthOptions{Limit: 100, App: "app-1"})
	other, _ := f.month(MonthOptions{Limit: 100, App: "app-2"})
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() { a.Took("home", place(n)) })
		all.Go(func() { b.Took("home", place(n)) }) // the same again, as after a crash
		all.Go(func() { b.Took("branch", place(100+n)) })
	}
	all.Wait()
	monthUsed(t, a, 40)
	monthUsed(t, b, 40)
	monthUsed(t, other, 0)
	u, err := Look(t.Context(), f.js, f.prefix)
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Month) != 1 || u.Month[0].Used != 40 || len(u.Month[0].By) != 2 ||
		u.Month[0].By[0] != (PlacedCall{"branch", "crm", 20}) || u.Month[0].By[1] != (PlacedCall{"home", "crm", 20}) {
		t.Errorf("Look().Month = %+v", u.Month)
	}
}

func TestAnOperatorIsWarnedOnceAtEachShare(t *testing.T) {
	var log bytes.Buffer
	m := &Month{log: slog.New(slog.NewTextHandler(&log, nil)), opts: MonthOptions{Limit: 100}, used: map[string]int{}, warned: map[string]int{}}
	month, _ := Reset{}.Period(time.Now())
	for _, n := range []int{1, 79, 80, 81, 94, 95, 96, 100} {
		m.counted("home.crm."+month, n)
	}
	m.counted("home.crm.200001", 100) // kept for the books
	var told []string
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, "used=")
		told = append(told, strings.TrimSpace(rest))
	}
	if want := []string{"80 limit=100 percent=80", "95 limit=100 percent=95"}; !slicesEqual(told, want) {
		t.Errorf("told %q; want %q", told, want)
	}
}

func slicesEqual(a, b []string) bool { return strings.Join(a, "|") == strings.Join(b, "|") }

func TestAHardLimitHoldsPlaces(t *testing.T) {
	f := newFleet(t)
	hard, woken := f.month(MonthOptions{Limit: 2, Hard: true, App: "app"})
	soft, _ := f.month(MonthOptions{Limit: 2, App: "app"})
	hard.Took("home", place(1))
	hard.Took("home", place(2))
	monthUsed(t, hard, 2)
	monthUsed(t, soft, 2)
	hold, held, err := hard.admit(t.Context(), "home", place(3), 3)
	_, next := Reset{}.Period(time.Now())
	if !held || err != nil || !hold.Until.Equal(next) {
		t.Errorf("Admit() = %+v, %t, %v; want held until %s", hold, held, err, next)
	}
	if _, held, err := soft.admit(t.Context(), "home", place(3), 3); held || err != nil {
		t.Errorf("Admit() without a hard limit = %t, %v; want it to go", held, err)
	}
	if len(woken.seen()) > 0 {
		t.Error("a place was woken that cannot go")
	}
}

func TestARefusedMonthHoldsEveryWorkerButOneProbe(t *testing.T) {
	f := newFleet(t)
	// A probe is due when the test says so.
	a, wokenA := f.month(MonthOptions{Limit: 100, Probe: time.Hour, App: "app"})
	b, wokenB := f.month(MonthOptions{Limit: 100, Probe: time.Hour, App: "app"})
	hold, err := a.Refused(t.Context(), "home")
	_, next := Reset{}.Period(time.Now())
	if err != nil || !hold.Until.Equal(next) || time.Until(hold.Again) > time.Hour {
		t.Fatalf("Refused() = %+v, %v; want until %s and another look within the hour", hold, err, next)
	}
	until(t, "the other worker holds too", func() bool { _, held := b.Check("branch", time.Now()); return held })
	for n := range 5 {
		if _, held, err := a.admit(t.Context(), "home", place(n), uint64(n)); !held || err != nil {
			t.Fatalf("Admit() = %t, %v; want held", held, err)
		}
		if _, held, err := b.admit(t.Context(), "home", place(10+n), uint64(n)); !held || err != nil {
			t.Fatalf("Admit() = %t, %v; want held", held, err)
		}
	}
	probes := func(m *Month, from int) (went []commands.Key) {
		for n := range 5 {
			if _, held, err := m.admit(t.Context(), "home", place(from+n), 1); err != nil {
				t.Error(err)
			} else if !held {
				went = append(went, place(from+n))
			}
		}
		return went
	}
	due(t, f, a)
	until(t, "both workers see it", func() bool {
		_, heldA := a.Check("home", time.Now())
		_, heldB := b.Check("home", time.Now())
		return !heldA && !heldB
	})
	until(t, "each worker wakes one", func() bool { return len(wokenA.seen()) > 0 && len(wokenB.seen()) > 0 })
	went := append(probes(a, 0), probes(b, 10)...)
	if len(went) != 1 {
		t.Fatalf("%d places probed; want one of all workers'", len(went))
	}
	if hold, err := a.Refused(t.Context(), "home"); err != nil || time.Until(hold.Again) > time.Hour {
		t.Errorf("Refused() again = %+v, %v", hold, err)
	}
	if u, err := Look(t.Context(), f.js, f.prefix); err != nil || !u.Month[0].Shut || u.Month[0].NextProbe.IsZero() {
		t.Errorf("Look() = %+v, %v; want the gate shut, and when the next probe is", u, err)
	}
	// An answer that was under way says nothing; the probe's own opens the gate.
	b.Took("home", place(77))
	b.counts.Wait()
	if _, held := b.Check("home", time.Now()); !held {
		t.Error("a place that did not probe opened the gate")
	}
	b.Took("home", went[0])
	until(t, "the gate is open for all", func() bool { _, held := a.Check("home", time.Now()); return !held })
	until(t, "all are woken", func() bool { return len(wokenA.seen())+len(wokenB.seen()) >= 9 })
}

// due moves the next probe of the shut gate to now.
func due(t *testing.T, f *fleet, m *Month) {
	t.Helper()
	m.mu.Lock()
	g := m.shut[AppScope]
	m.mu.Unlock()
	g.Next = time.Now()
	if err := m.put(t.Context(), AppScope, &g); err != nil {
		t.Fatal(err)
	}
}

func TestTheGateOpensWithTheNewMonth(t *testing.T) {
	now := time.Now()
	m := &Month{opts: MonthOptions{Probe: time.Hour}, shut: map[string]monthGate{AppScope: {Until: now.Add(time.Minute), Next: now.Add(time.Hour)}}, used: map[string]int{}}
	if _, held := m.Check("home", now); !held {
		t.Error("a shut gate holds nothing")
	}
	if _, held := m.Check("home", now.Add(time.Minute)); held {
		t.Error("the gate holds after the month's end")
	}
}
