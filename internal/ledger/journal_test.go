package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/ledger"
	"callbus/internal/streams"
)

// open provisions a server and returns n journals, each on its own connection.
func open(t *testing.T, url string, replicas, n int) []*ledger.Journal {
	t.Helper()
	all := make([]*ledger.Journal, n)
	for i := range all {
		nc, err := nats.Connect(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			o := streams.DefaultOptions()
			o.Replicas = replicas
			if _, err := streams.Provision(t.Context(), js, o, streams.ModeCreate, false); err != nil {
				t.Fatal(err)
			}
		}
		if all[i], err = ledger.New(t.Context(), js, commands.DefaultPrefix, nil); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func single(t *testing.T) string {
	t.Helper()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv.URL()
}

func record(a commands.Action, s commands.Status, attempt string) ledger.Record {
	return ledger.Record{Result: commands.Result{Action: a, Status: s}, Attempt: attempt, Body: "b"}
}

func TestViewShowsOwnAndPlace(t *testing.T) {
	ctx := t.Context()
	j := open(t, single(t), 1, 1)[0]
	place := commands.Key{Producer: "crm", CallRef: "order-1", ID: "p"}
	mute := commands.Key{Producer: "crm", CallRef: "order-1", ID: "m"}

	v, err := j.Read(ctx, place)
	if err != nil || v.Last != 0 || v.Own != nil || v.Place != nil {
		t.Fatalf("Read() of an unknown call = %+v, %v; want an empty view", v, err)
	}
	for _, s := range []commands.Status{commands.Started, commands.Accepted, commands.Succeeded} {
		if err := j.Append(ctx, &v, record(commands.Place, s, "n1")); err != nil {
			t.Fatal(err)
		}
	}
	m, err := j.Read(ctx, mute)
	if err != nil || m.Own != nil || m.Place == nil || m.Place.Status != commands.Succeeded || m.PlaceID != "p" {
		t.Fatalf("Read() for the mute = %+v, %v; want the place's record and none of its own", m, err)
	}
	if err := j.Append(ctx, &m, record(commands.Mute, commands.Started, "n2")); err != nil {
		t.Fatal(err)
	}
	other, err := j.Read(ctx, commands.Key{Producer: "crm", CallRef: "order-1", ID: "x"})
	if err != nil || other.PlaceID != "p" || other.Place == nil || other.Last != m.Last {
		t.Fatalf("Read() after the mute = %+v, %v; want the place carried on", other, err)
	}
	if m, err = j.Read(ctx, mute); err != nil || m.Own == nil || m.Own.Attempt != "n2" || m.Own.Status != commands.Started {
		t.Fatalf("Read() for the mute = %+v, %v; want its own record", m, err)
	}
	if err := j.Append(ctx, &v, record(commands.Place, commands.Failed, "n3")); !errors.Is(err, ledger.ErrMoved) {
		t.Fatalf("Append() with an old view = %v; want ErrMoved", err)
	}
}

func TestAPlaceThatWasNeverBegunLeavesTheNameToOneThatWas(t *testing.T) {
	ctx := t.Context()
	j := open(t, single(t), 1, 1)[0]
	for _, row := range []struct {
		name     string
		callID   string
		statuses []commands.Status
	}{
		{"a call", "c1", []commands.Status{commands.Started, commands.Accepted, commands.Succeeded}},
		{"what may have come to a call", "", []commands.Status{commands.Started, commands.Unknown}},
		{"what Graph refused", "", []commands.Status{commands.Started, commands.Failed}},
	} {
		t.Run(row.name, func(t *testing.T) {
			key := func(id string) commands.Key {
				return commands.Key{Producer: "crm", CallRef: strings.ReplaceAll(row.name, " ", "-"), ID: id}
			}
			append := func(id string, callID string, attempts int, statuses ...commands.Status) ledger.View {
				t.Helper()
				v, err := j.Read(ctx, key(id))
				for _, s := range statuses {
					r := record(commands.Place, s, "n-"+id)
					r.Attempts, r.CallID = attempts, callID
					if err == nil {
						err = j.Append(ctx, &v, r)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			append("p1", row.callID, 1, row.statuses...)
			if v := append("p2", "", 0, commands.Waiting, commands.Cancelled); v.PlaceID != "p1" {
				t.Errorf("after a cancelled place that was never begun the name stands for %q; want p1", v.PlaceID)
			}
			if v := append("p3", "", 1, commands.Started); v.PlaceID != "p3" {
				t.Errorf("after a place was begun the name stands for %q; want p3", v.PlaceID)
			}
		})
	}
}

// TestOneWriterWins runs on a replicated stream, because there the server tells
// concurrent writers apart only when all of them spell the filter alike; on a
// single server every spelling looks fine.
func TestOneWriterWins(t *testing.T) {
	for _, replicas := range []int{1, 3} {
		t.Run(fmt.Sprintf("R%d", replicas), func(t *testing.T) {
			url := ""
			if replicas == 1 {
				url = single(t)
			} else {
				c, err := embednats.StartCluster(3)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.Close)
				url = c.URL()
			}
			const writers, rounds = 6, 40
			journals := open(t, url, replicas, writers)
			var wrote, moved atomic.Int64
			var wg sync.WaitGroup
			for w, j := range journals {
				wg.Go(func() {
					key := commands.Key{Producer: "crm", CallRef: "busy", ID: fmt.Sprintf("w%d", w)}
					for range rounds {
						v, err := j.Read(t.Context(), key)
						if err != nil {
							t.Error(err)
							return
						}
						before := v.Last
						switch err := j.Append(t.Context(), &v, record(commands.Mute, commands.Waiting, key.ID)); {
						case err == nil:
							wrote.Add(1)
							if v.Last <= before {
								t.Errorf("Append() stored %d after %d", v.Last, before)
							}
						case errors.Is(err, ledger.ErrMoved):
							moved.Add(1)
						default:
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			// Every stored record follows the one its writer saw: the stream
			// holds as many records as were acknowledged, none lost to a tie.
			var v ledger.View
			for current := false; !current; { // a replica may be behind
				var err error
				if v, err = journals[0].Read(t.Context(), commands.Key{Producer: "crm", CallRef: "busy", ID: "w0"}); err != nil {
					t.Fatal(err)
				}
				if current, err = journals[0].Current(t.Context(), &v); err != nil {
					t.Fatal(err)
				}
			}
			if int64(v.Last) < wrote.Load() || wrote.Load()+moved.Load() != writers*rounds {
				t.Fatalf("last = %d, wrote %d, moved %d; want all %d accounted for", v.Last, wrote.Load(), moved.Load(), writers*rounds)
			}
			if moved.Load() == 0 {
				t.Errorf("no two writers met: the test proves nothing")
			}
		})
	}
}
