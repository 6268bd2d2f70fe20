package doctor

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/embednats"
	"callbus/internal/natsconn"
	"callbus/internal/streams"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestDurability(t *testing.T) {
	type s = streams.Standing
	for _, row := range []struct {
		name, cluster string
		all           []s
		want          []string
	}{
		{"no streams", "", nil, []string{"skip durability"}},
		{"nothing but what is in memory", "", []s{{InMemory: true, Replicas: 1}}, []string{"skip durability"}},
		{"one server", "", []s{{Replicas: 1}}, []string{"warn durability: sync_interval: always"}},
		{"one replica on a cluster", "c", []s{{Replicas: 1}}, []string{"warn durability: cluster c keep one replica"}},
		{"one stream of many has one replica", "c", []s{{Replicas: 3}, {Replicas: 1}}, []string{"warn durability: one replica"}},
		{"two replicas", "c", []s{{Replicas: 2}}, []string{"warn durability: two replicas"}},
		{"three replicas", "c", []s{{Replicas: 3}, {InMemory: true, Replicas: 1}}, []string{"ok durability: 3 replicas in cluster c"}},
		{"a replica is away", "c", []s{{Full: "CALL_DEAD", Replicas: 3, Behind: []string{"n3"}}}, []string{"warn durability: CALL_DEAD: n3"}},
		{"no leader", "c", []s{{Full: "CALL_DEAD", Replicas: 3, NoLeader: true, Behind: []string{"n2", "n3"}}}, []string{"FAIL durability: CALL_DEAD has no leader", "warn durability: n2, n3"}},
	} {
		t.Run(row.name, func(t *testing.T) { assertFindings(t, judgeDurability(row.cluster, row.all), row.want...) })
	}
}

func TestStreams(t *testing.T) {
	missing := streams.Difference{Object: "stream CALL_EVENTS"}
	age := streams.Difference{Object: "stream CALL_RESULTS", Field: "max_age", Have: "1h0m0s", Want: "168h0m0s"}
	direct := streams.Difference{Object: "stream CALL_RESULTS", Field: "allow_direct", Have: "unset", Want: "true"}
	lease := streams.Difference{Object: "consumer CALL_COMMANDS/place", Field: "ack_wait", Have: "1s", Want: "15s"}
	some := []streams.Standing{{Full: "CALL_COMMANDS", Limit: 1 << 30, WhenFull: "producers are refused", Remedy: "add workers"}}
	full := func(bytes, limit int64) []streams.Standing {
		s := some[0]
		s.Bytes, s.Limit = bytes, limit
		return []streams.Standing{s}
	}
	for _, row := range []struct {
		name string
		all  []streams.Standing
		diff []streams.Difference
		mode streams.Mode
		want []string
	}{
		{"as it should be", some, nil, streams.ModeCreate, []string{"ok streams: as they should be"}},
		{"nothing there, and a worker makes it", nil, []streams.Difference{missing}, streams.ModeCreate, []string{"warn streams: exists yet"}},
		{"nothing there, and a worker may not make it", nil, []streams.Difference{missing}, streams.ModeVerify, []string{"FAIL streams: makes none"}},
		{"one is missing", some, []streams.Difference{missing}, streams.ModeCreate, []string{"FAIL streams: stream CALL_EVENTS is missing"}},
		{"its consumer is not told of", some, []streams.Difference{missing, {Object: "consumer CALL_EVENTS/fold"}}, streams.ModeVerify, []string{"FAIL streams: stream CALL_EVENTS"}},
		{"a consumer is missing", some, []streams.Difference{{Object: "consumer CALL_EVENTS/fold"}}, streams.ModeVerify, []string{"FAIL streams: consumer CALL_EVENTS/fold"}},
		{"two settings of one, one of another", some, []streams.Difference{age, direct, lease}, streams.ModeCreate, []string{
			"FAIL streams: stream CALL_RESULTS: max_age is 1h0m0s, want 168h0m0s; allow_direct is unset, want true", "FAIL streams: ack_wait is 1s"}},
		{"settings that a worker puts right", some, []streams.Difference{age}, streams.ModeReconcile, []string{"warn streams: max_age"}},
		{"four fifths full", full(800<<20, 1000<<20), nil, streams.ModeCreate, []string{"warn streams: CALL_COMMANDS is full soon, 800 MiB of 1000 MiB; then producers are refused → add workers"}},
		{"full", full(1<<30-1000, 1<<30), nil, streams.ModeCreate, []string{"FAIL streams: CALL_COMMANDS is full, 1 GiB of 1 GiB: producers are refused"}},
		{"fuller than it may be", full(2<<20, 1<<20), nil, streams.ModeCreate, []string{"FAIL streams: is full"}},
		{"full of what goes by itself", []streams.Standing{{Full: "CALL_RATE", Bytes: 10, Limit: 10}}, nil, streams.ModeCreate, []string{"ok streams"}},
		{"different and full", full(1, 1), []streams.Difference{age}, streams.ModeVerify, []string{"FAIL streams: max_age", "FAIL streams: is full"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			assertFindings(t, judgeStreams(streams.Survey{Streams: row.all}, row.diff, row.mode), row.want...)
		})
	}
}

func TestQueue(t *testing.T) {
	type r = streams.Reader
	queue := func(oldest time.Time) []streams.Standing {
		return []streams.Standing{{Name: streams.Commands, Oldest: oldest}}
	}
	idle := r{Name: "place", Asking: 3}
	for _, row := range []struct {
		name    string
		readers []r
		all     []streams.Standing
		want    []string
	}{
		{"no consumers", nil, nil, []string{"skip queue"}},
		{"nothing waits", []r{idle}, queue(time.Time{}), []string{"ok queue: place 0"}},
		{"nothing waits, and no worker runs", []r{{Name: "place"}}, nil, []string{"ok queue: no worker is asking"}},
		{"in work", []r{{Name: "place", Waiting: 1, InHand: 4}}, queue(noon.Add(-time.Minute)), []string{"ok queue: place 5; the oldest is of 1m0s ago"}},
		{"old", []r{{Name: "place", InHand: 2, Asking: 1}}, queue(noon.Add(-time.Hour)), []string{"warn queue: the oldest is of 1h0m ago"}},
		{"nobody fetches", []r{{Name: "urgent", Asking: 1}, {Name: "place", Waiting: 7}}, queue(noon.Add(-time.Hour)), []string{"warn queue: 7 commands of lane place wait and no worker"}},
		{"nobody folds", []r{idle, {Name: streams.FoldConsumer, Waiting: 2}}, nil, []string{"warn queue: 2 events wait"}},
		{"nobody looks after timers", []r{idle, {Name: streams.DueConsumer, Waiting: 2}}, nil, []string{"warn queue: 2 fired timers wait"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			assertFindings(t, judgeQueue(streams.Survey{Streams: row.all, Readers: row.readers}, noon), row.want...)
		})
	}
}

func TestDeadLetters(t *testing.T) {
	dead := func(n uint64, newest time.Time) streams.Survey {
		return streams.Survey{Streams: []streams.Standing{{Name: streams.Dead, Full: "CALL_DEAD", Messages: n, Newest: newest}}}
	}
	assertFindings(t, judgeDead(streams.Survey{}, noon), "skip dead")
	assertFindings(t, judgeDead(dead(0, time.Time{}), noon), "ok dead: no dead letters")
	assertFindings(t, judgeDead(dead(3, noon.Add(-time.Hour)), noon), "warn dead: 3 dead letters in CALL_DEAD, the last of 1h0m ago")
	assertFindings(t, judgeDead(dead(3, noon.Add(-48*time.Hour)), noon), "ok dead: 3 dead letters")
}

// TestARealServer goes from nothing on it to streams that were tampered with.
func TestARealServer(t *testing.T) {
	t.Parallel()
	url := serve(t, embednats.Options{})
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{NATS: natsconn.ConnOptions{URL: url}, Streams: streams.DefaultOptions(), StreamsMode: streams.ModeCreate, Works: true}
	assertFindings(t, look(t, o), "ok nats: server 2.", "skip durability", "warn streams: none", "skip queue", "skip dead", "ok rights", "skip budgets")

	if _, err := streams.Provision(t.Context(), js, o.Streams, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	assertFindings(t, look(t, o), "ok nats", "warn durability", "ok streams: 9 streams and buckets and 5 consumers", "ok queue", "ok dead", "ok rights", "ok budgets: 0 calls live")

	dead, err := js.Stream(t.Context(), "CALL_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "calls.dead.crm.order-1.p", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	cfg := dead.CachedInfo().Config
	cfg.MaxAge, cfg.MaxBytes = time.Hour, 100
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "CALL_EVENTS"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "calls.commands.crm.order-1.place", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), "CALL_GATES"); err != nil {
		t.Fatal(err)
	}
	assertFindings(t, look(t, o), "ok nats", "warn durability",
		"FAIL streams: stream CALL_EVENTS is missing", "FAIL streams: stream CALL_DEAD: max_age is 1h0m0s", "FAIL streams: bucket CALL_GATES is missing", "FAIL streams: CALL_DEAD is full",
		"warn queue: 1 commands of lane place wait", "warn dead: 1 dead letters", "ok rights", "skip budgets: CALL_GATES")
}
