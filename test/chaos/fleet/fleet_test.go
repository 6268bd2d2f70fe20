package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/commands"
	"callbus/internal/producer"
)

// built are the programs, built once for all tests that need them.
var built = sync.OnceValues(func() (Binaries, error) {
	return Build(context.Background(), BuildOptions{Dir: filepath.Join(testDir, "bin")})
})

// startFleet starts a fleet that ends with the test, and shows its logs if the
// test fails.
func startFleet(t *testing.T, ctx context.Context, o Options) *Fleet {
	t.Helper()
	var err error
	if o.Binaries, err = built(); err != nil {
		t.Fatal(err)
	}
	o.Dir = t.TempDir()
	f, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		for _, p := range f.Procs() {
			if text, err := os.ReadFile(p.LogFile()); err == nil && t.Failed() {
				t.Logf("%s:\n%s", p.Name(), text)
			}
		}
	})
	revive(t, ctx, f)
	return f
}

// revive waits for the workers and starts those again that have ended, as a
// supervisor would.
func revive(t *testing.T, ctx context.Context, f *Fleet) {
	t.Helper()
	for _, w := range f.Workers() {
		if err := w.Revive(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// place places one call past all proxies and wants it answered. While a server
// is down the command may have to be published more than once.
func place(t *testing.T, ctx context.Context, f *Fleet, callRef string) {
	t.Helper()
	nc, err := nats.Connect(f.NATSURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	client, err := producer.New(nc, commands.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	m := producer.Message{
		Call: commands.CallKey{Producer: "fleet", CallRef: callRef}, Action: commands.Place,
		Body: []byte(`{"id":"p","parameters":{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}}`),
	}
	for {
		r, err := client.SendAndWait(ctx, m, producer.UntilFinal, nil, nil)
		switch {
		case err == nil && r.Status == commands.Succeeded:
			return
		case err == nil || !until(ctx, time.Now().Add(100*time.Millisecond)):
			t.Fatalf("place %s = %s %+v, %v; want succeeded", callRef, r.Status, r.Error, err)
		}
	}
}

func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts every program")
	}
	for _, row := range []struct {
		name                         string
		nodes, workers, proxies, all int
	}{
		{"one NATS server and two workers", 1, 2, 0 + 2*1 + 2 + 1, 4},
		{"three NATS servers and three workers", 3, 3, 3 + 3*3 + 3 + 1, 7},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			f := startFleet(t, ctx, Options{NATSNodes: row.nodes, Workers: row.workers, SimArgs: []string{"--answer-after=20ms"}})
			if len(f.Proxies()) != row.proxies || len(f.Procs()) != row.all {
				t.Errorf("%d proxies, %d processes; want %d and %d", len(f.Proxies()), len(f.Procs()), row.proxies, row.all)
			}
			place(t, ctx, f, "first")
			assertNoWayPast(t, f)

			restartNATS(t, ctx, f)
			place(t, ctx, f, "second")

			victim := f.Workers()[0]
			before := victim.Pid()
			victim.Kill()
			if victim.Alive() || victim.ExitCode() != -1 {
				t.Errorf("after Kill: alive %t, exit code %d; want a process that a signal ended", victim.Alive(), victim.ExitCode())
			}
			place(t, ctx, f, "third")
			revive(t, ctx, f)
			if victim.Pid() == before {
				t.Errorf("process id %d after Revive; want another", before)
			}
			if err := f.Ready(ctx); err != nil {
				t.Error(err)
			}
			place(t, ctx, f, "fourth")

			for _, w := range f.Workers() {
				if err := w.Term(); err != nil {
					t.Fatal(err)
				}
			}
			for _, w := range f.Workers() {
				if err := w.Wait(ctx); err != nil || w.ExitCode() != 0 {
					t.Errorf("%s: %v, exit code %d after Term; want 0", w.Name(), err, w.ExitCode())
				}
			}
		})
	}
}

// assertNoWayPast wants the proxies of each worker to be its only way: NATS tells
// of no other address, and connections go through every kind of proxy.
func assertNoWayPast(t *testing.T, f *Fleet) {
	t.Helper()
	for i := range f.Workers() {
		open := 0
		for _, p := range f.WorkerNATS(i) {
			nc, err := nats.Connect("nats://" + p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if learned := nc.DiscoveredServers(); len(learned) > 0 {
				t.Errorf("%s: the server tells of %v; want none", p.Name(), learned)
			}
			open += p.Connections() - 1
			nc.Close()
		}
		if open != 1 {
			t.Errorf("worker %d has %d connections to NATS through its proxies; want 1", i+1, open)
		}
	}
	for _, p := range f.Routes() {
		if p.Connections() == 0 {
			t.Errorf("route %s: no connection; want the servers' own", p.Name())
		}
	}
	if f.Callbacks().Connections() == 0 {
		t.Error("no notification came through the balancer")
	}
}

// restartNATS kills the last server and starts it again. One that is not alone
// is cut off first, and rejoins.
func restartNATS(t *testing.T, ctx context.Context, f *Fleet) {
	t.Helper()
	last := len(f.NATS()) - 1
	server := f.NATS()[last]
	if last > 0 {
		for _, p := range f.Routes()[1:] { // 1-3 and 2-3
			p.Cut()
		}
		for i, want := range []int{1, 1, 0} { // other servers that each has a route to
			eventually(t, fmt.Sprintf("nats-%d has routes to %d others", i+1, want), func() bool { return routes(t, f, i) == want })
		}
		server.Kill()
		place(t, ctx, f, "without-"+server.Name())
	}
	server.Kill()
	if err := f.Heal(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := server.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range f.NATS() {
		eventually(t, fmt.Sprintf("nats-%d has all its routes", i+1), func() bool { return routes(t, f, i) == last })
	}
}

// routes counts the other servers that server i has a route to.
func routes(t *testing.T, f *Fleet, i int) int {
	t.Helper()
	res, err := f.http.Get(f.MonitorURL(i) + "/routez")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var routez struct {
		Routes []struct {
			Remote string `json:"remote_id"`
		} `json:"routes"`
	}
	if err := json.NewDecoder(res.Body).Decode(&routez); err != nil {
		t.Fatal(err)
	}
	others := map[string]bool{}
	for _, r := range routez.Routes {
		others[r.Remote] = true
	}
	return len(others)
}

func TestAWorkerThatCannotStartIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts every program")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	binaries, err := built()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Start(ctx, Options{Binaries: binaries, Workers: 1, Worker: func(int) WorkerOptions {
		return WorkerOptions{Args: []string{"--concurrency=0"}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = f.Ready(ctx)
	if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "--concurrency is 0") || f.Workers()[0].ExitCode() != 2 {
		t.Errorf("Ready() = %v, exit code %d; want what the worker said, and 2", err, f.Workers()[0].ExitCode())
	}
	res, err := http.Get(f.SimURL() + "/_sim/stats")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	dir := f.Dir()
	f.Close()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after Close: %v; want none", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	programs := Binaries{Worker: "w", Graphsim: "g", NATS: "n"}
	for _, row := range []struct {
		name string
		opts Options
		says string
	}{
		{"two NATS servers", Options{Binaries: programs, NATSNodes: 2}, "2 NATS servers: want 1 or 3"},
		{"less than no workers", Options{Binaries: programs, Workers: -1}, "-1 workers: want 1 or more"},
		{"no programs", Options{}, "programs are missing"},
		{"a program that is not there", Options{Binaries: Binaries{Worker: "/nonexistent", Graphsim: "/nonexistent", NATS: "/nonexistent"}}, "start nats-1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, err := Start(t.Context(), row.opts)
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("Start() = %v; want %q", err, row.says)
			}
		})
	}
}
