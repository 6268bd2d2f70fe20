package doctor

import (
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/embednats"
	"callbus/internal/natsconn"
	"callbus/internal/ports"
	"callbus/internal/streams"
)

func TestServer(t *testing.T) {
	const sound = `{"limits":{"max_memory":-1,"max_storage":-1,"max_streams":-1,"max_consumers":-1,"max_ack_pending":-1}}`
	for _, row := range []struct {
		name, account string
		payload       int64
		trip          time.Duration
		want          []string
	}{
		{"nothing wrong", sound, 1 << 20, time.Millisecond, nil},
		{"storage that is plenty", `{"storage":799,"limits":{"max_storage":1000000,"max_memory":1000000}}`, 1 << 20, 0, nil},
		{"storage that ends soon", `{"storage":800000,"limits":{"max_storage":1000000,"max_memory":-1}}`, 1 << 20, 0, []string{"warn nats: file storage is used up soon: 781.2 KiB of 976.6 KiB"}},
		{"no storage left", `{"storage":950000,"limits":{"max_storage":1000000,"max_memory":-1}}`, 1 << 20, 0, []string{"FAIL nats: no file storage left"}},
		{"an account without memory", `{"limits":{"max_storage":-1,"max_memory":0}}`, 1 << 20, 0, []string{"FAIL nats: no memory left"}},
		{"few consumers left", `{"consumers":45,"limits":{"max_consumers":50,"max_storage":-1,"max_memory":-1}}`, 1 << 20, 0, []string{"warn nats: 45 of 50 consumers"}},
		{"a bound on what is unacknowledged", `{"limits":{"max_ack_pending":1000,"max_storage":-1,"max_memory":-1}}`, 1 << 20, 0, []string{"warn nats: lets 1000 messages"}},
		{"max_bytes wanted", `{"limits":{"max_bytes_required":true,"max_storage":-1,"max_memory":-1}}`, 1 << 20, 0, []string{"warn nats: max_bytes"}},
		{"messages too small for a command", sound, 64 << 10, 0, []string{"warn nats: up to 64 KiB"}},
		{"far away", sound, 1 << 20, 150 * time.Millisecond, []string{"warn nats: a round trip takes 150ms"}},
		{"all at once", `{"storage":1,"limits":{"max_storage":1,"max_memory":-1,"max_ack_pending":1}}`, 1, time.Second, []string{"FAIL nats", "warn nats", "warn nats", "warn nats"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var a account
			if err := json.Unmarshal([]byte(row.account), &a); err != nil {
				t.Fatal(err)
			}
			assertFindings(t, judgeServer(a.of(1), row.payload, row.trip), row.want...)
		})
	}
}

func TestTheTierOfTheReplicasCounts(t *testing.T) {
	var a account
	if err := json.Unmarshal([]byte(`{"storage":1,"tiers":{"R1":{"storage":2},"R3":{"storage":3}}}`), &a); err != nil {
		t.Fatal(err)
	}
	for replicas, want := range map[int]int64{1: 2, 3: 3, 5: 1} {
		if got := a.of(replicas).Storage; got != want {
			t.Errorf("with %d replicas %d is used; want %d", replicas, got, want)
		}
	}
}

// serve starts a server and returns its address.
func serve(t *testing.T, o embednats.Options) string {
	t.Helper()
	srv, err := embednats.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv.URL()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

// look makes the checks of NATS alone.
func look(t *testing.T, o Options) []Finding {
	t.Helper()
	if o.Streams.Prefix == "" {
		o.Streams = streams.DefaultOptions()
	}
	x := &examination{Options: o.withDefaults()}
	began := time.Now()
	found := x.nats(t.Context())
	if took := time.Since(began); took > 5*x.Limit {
		t.Errorf("it took %s; want no more than the limit of %s for each check", took, x.Limit)
	}
	return found
}

const without = "skip durability|skip streams|skip queue|skip dead"

func TestServersThatWillNotDo(t *testing.T) {
	t.Parallel()
	old := serve(t, embednats.Options{NoJetStream: true})
	nc, err := nats.Connect(old)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("$JS.API.INFO", func(m *nats.Msg) { _ = m.Respond([]byte(`{"limits":{},"api":{"level":1}}`)) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		o    natsconn.ConnOptions
		want string
	}{
		{"nobody listens", natsconn.ConnOptions{URL: "nats://" + closedPort(t)}, "FAIL nats: connection refused|" + without + "|skip rights|skip budgets: there is no connection"},
		{"somebody listens and says nothing", natsconn.ConnOptions{URL: "nats://" + listen(t).Addr().String()}, "FAIL nats: no answer in time|" + without + "|skip rights|skip budgets"},
		{"two of that kind", natsconn.ConnOptions{URL: "nats://" + listen(t).Addr().String() + ",nats://" + listen(t).Addr().String()}, "FAIL nats: no answer in time|" + without + "|skip rights|skip budgets"},
		{"a file that is not there", natsconn.ConnOptions{URL: old, Creds: filepath.Join(t.TempDir(), "none")}, "FAIL nats: cannot be read|" + without + "|skip rights|skip budgets"},
		{"no JetStream", natsconn.ConnOptions{URL: serve(t, embednats.Options{NoJetStream: true})}, "FAIL nats: JetStream is not enabled|" + without + "|ok rights: nothing is forbidden|skip budgets: JetStream cannot be used"},
		{"a server of 2.11", natsconn.ConnOptions{URL: old}, "FAIL nats: API level 1, callbus needs level 2 (server 2.12|" + without + "|ok rights|skip budgets"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			assertFindings(t, look(t, Options{NATS: row.o, Works: true, Limit: 2 * time.Second}), strings.Split(row.want, "|")...)
		})
	}
}

func TestWhatToDoWithoutAConnection(t *testing.T) {
	for reason, do := range map[natsconn.Reason]string{
		natsconn.Settings: "--nats-creds", natsconn.Unreachable: "--nats-url", natsconn.Refused: "credentials", natsconn.Secured: "tls://",
	} {
		if f := unconnected(&natsconn.Error{Reason: reason, Problem: "no"}); f.State != Fail || f.Found != "no" || !strings.Contains(f.Do, do) {
			t.Errorf("%s: %+v; want to be told of %s", reason, f, do)
		}
	}
	if f := unconnected(errors.New("else")); f.Found != "else" {
		t.Errorf("any other error: %+v", f)
	}
}
