package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/natsconn"
	"callbus/internal/streams"
)

// natsChecks are those that need a connection, after that of the server itself.
var natsChecks = []string{"durability", "streams", "queue", "dead", "rights", "budgets"}

// slowAnswer is a round trip that makes each command slow: it takes about six.
const slowAnswer = 100 * time.Millisecond

// largestMessage is the largest that producers may send, with its headers.
const largestMessage = 72 << 10

// nats looks at the server and at what is in it.
func (x *examination) nats(ctx context.Context) []Finding {
	nc, err := x.connect(ctx)
	if err != nil {
		return append([]Finding{unconnected(err)}, skipped("there is no connection to NATS", natsChecks...)...)
	}
	defer nc.Close()
	denied := watchDenials(nc)
	js, err := jetstream.New(nc)
	if err != nil {
		return append([]Finding{fail("nats", "", "%v", err)}, skipped("JetStream cannot be opened", natsChecks...)...)
	}
	found := x.within(ctx, func(ctx context.Context) []Finding { return x.server(ctx, js) })
	if Count(found, Fail) > 0 {
		found = append(found, skipped("JetStream cannot be used", "durability", "streams", "queue", "dead")...)
		found = append(found, x.within(ctx, func(ctx context.Context) []Finding { return x.rights(ctx, nc, denied) })...)
		return append(found, skipped("JetStream cannot be used", "budgets")...)
	}
	found = append(found, x.within(ctx, func(ctx context.Context) []Finding { return x.inJetStream(ctx, js) })...)
	budgets := x.within(ctx, func(ctx context.Context) []Finding { return x.budgets(ctx, js) })
	found = append(found, x.within(ctx, func(ctx context.Context) []Finding { return x.rights(ctx, nc, denied) })...)
	return append(found, budgets...)
}

func skipped(why string, checks ...string) (all []Finding) {
	for _, check := range checks {
		all = append(all, skip(check, "not looked at: %s", why))
	}
	return all
}

// connect opens a connection of its own within the limit, over all servers named.
func (x *examination) connect(ctx context.Context) (*nats.Conn, error) {
	o := x.NATS
	o.Name, o.Logger, o.Wait = "callbus doctor", nil, 0
	// The timeout is for dialling and for authentication, each, of each server.
	o.Timeout = max(min(5*time.Second, x.Limit/time.Duration(2*(1+strings.Count(o.URL, ",")))), 100*time.Millisecond)
	return natsconn.ConnectContext(ctx, o)
}

// unconnected is the finding for a connection that cannot be had.
func unconnected(err error) Finding {
	do := ""
	if e, known := errors.AsType[*natsconn.Error](err); known {
		switch e.Reason {
		case natsconn.Settings:
			do = "correct the setting: --nats-creds, --nats-nkey, --nats-user, --nats-password, --nats-ca, --nats-cert, --nats-key"
		case natsconn.Unreachable:
			do = "start it or correct --nats-url; in Kubernetes look at the Service and at network policies"
		case natsconn.Refused:
			do = "give the worker's own credentials, and look whether they have expired: --nats-creds, --nats-nkey or --nats-user"
		case natsconn.Secured:
			do = "make both sides agree: tls:// in --nats-url, --nats-ca, --nats-cert and --nats-key"
		}
	}
	return fail("nats", do, "%v", err)
}

// account is JetStream's account as the server tells of it. The client library
// leaves out half of the limits.
type account struct {
	use
	Tiers map[string]use `json:"tiers"`
	API   struct {
		Level int `json:"level"`
	} `json:"api"`
}

type use struct {
	Memory    int64  `json:"memory"`
	Storage   int64  `json:"storage"`
	Streams   int    `json:"streams"`
	Consumers int    `json:"consumers"`
	Limits    limits `json:"limits"`
}

// limits are -1 where there is none.
type limits struct {
	Memory           int64 `json:"max_memory"`
	Storage          int64 `json:"max_storage"`
	Streams          int   `json:"max_streams"`
	Consumers        int   `json:"max_consumers"`
	MaxAckPending    int   `json:"max_ack_pending"`
	MaxBytesRequired bool  `json:"max_bytes_required"`
}

// of is the part of the account that streams with so many replicas count against.
func (a account) of(replicas int) use {
	if tier, tiered := a.Tiers[fmt.Sprintf("R%d", replicas)]; tiered {
		return tier
	}
	return a.use
}

// server looks at the server and at the account.
func (x *examination) server(ctx context.Context, js jetstream.JetStream) []Finding {
	const check = "nats"
	nc := js.Conn()
	trip, err := roundTrip(ctx, nc)
	if err != nil {
		return []Finding{fail(check, "look at the server and at the way to it", "connected to %s, which does not answer: %v", nc.ConnectedUrlRedacted(), err)}
	}
	if err := streams.CheckServer(ctx, js); err != nil {
		return []Finding{fail(check, "set the server up for JetStream, 2.12 or newer; a user that may not ask $JS.API.INFO looks the same as one that gets no answer", "%v", err)}
	}
	msg, err := nc.RequestWithContext(ctx, "$JS.API.INFO", nil)
	var a account
	if err == nil {
		err = json.Unmarshal(msg.Data, &a)
	}
	if err != nil {
		return []Finding{fail(check, "", "ask for the account: %v", err)}
	}
	u := a.of(x.Streams.Replicas)
	found := []Finding{ok(check, "server %s at %s%s, JetStream API level %d; round trip %s; messages up to %s; account holds %s of %s, %d streams, %d consumers",
		nc.ConnectedServerVersion(), nc.ConnectedUrlRedacted(), inCluster(nc.ConnectedClusterName()), a.API.Level, short(trip), size(nc.MaxPayload()),
		size(u.Storage), limit(u.Limits.Storage), u.Streams, u.Consumers)}
	return append(found, judgeServer(u, nc.MaxPayload(), trip)...)
}

// roundTrip is the least of a few, for a busy moment of this machine is not the
// way to the server.
func roundTrip(ctx context.Context, nc *nats.Conn) (least time.Duration, err error) {
	for i := 0; i < 10 && (i == 0 || least > slowAnswer); i++ {
		began := time.Now()
		if err := nc.FlushWithContext(ctx); err != nil {
			return 0, err
		}
		if trip := time.Since(began); i == 0 || trip < least {
			least = trip
		}
	}
	return least, nil
}

func inCluster(name string) string {
	if name == "" {
		return ""
	}
	return " in cluster " + name
}

func limit(n int64) string {
	if n < 0 {
		return "no limit"
	}
	return size(n)
}

// judgeServer tells what is wrong with a server that can carry callbus.
func judgeServer(u use, maxPayload int64, trip time.Duration) (found []Finding) {
	const check = "nats"
	for _, kind := range []struct {
		name string
		used int64
		most int64
	}{{"file storage", u.Storage, u.Limits.Storage}, {"memory", u.Memory, u.Limits.Memory}} {
		left := kind.most - kind.used
		switch {
		case kind.most < 0:
		case left < largestMessage:
			found = append(found, fail(check, "raise the account's limit", "the account has no %s left: %s of %s is used", kind.name, size(kind.used), size(kind.most)))
		case kind.used*5 >= kind.most*4:
			found = append(found, warn(check, "raise the account's limit", "the account's %s is used up soon: %s of %s", kind.name, size(kind.used), size(kind.most)))
		}
	}
	// A worker follows buckets and counters with consumers of its own.
	if most := u.Limits.Consumers; most > 0 && u.Consumers+10 > most {
		found = append(found, warn(check, "raise the account's max_consumers: each worker needs about ten", "the account has %d of %d consumers", u.Consumers, most))
	}
	if most := u.Limits.MaxAckPending; most > 0 {
		found = append(found, warn(check, "lift the account's max_ack_pending", "the account lets %d messages of a consumer be unacknowledged: parked commands count, and beyond that nothing is handed out", most))
	}
	if u.Limits.MaxBytesRequired {
		found = append(found, warn(check, "lift the account's max_bytes_required", "the account wants max_bytes of every stream, and callbus sets it on the queue alone: it cannot make the others"))
	}
	if maxPayload < largestMessage {
		found = append(found, warn(check, "raise the server's max_payload to 1MB, its default", "the server takes messages up to %s: commands may have %s with their headers", size(maxPayload), size(largestMessage)))
	}
	if trip > slowAnswer {
		found = append(found, warn(check, "run workers near the servers", "a round trip takes %s, and each command several", short(trip)))
	}
	return found
}

// denials are the subjects that the server said we may not use.
type denials struct {
	mu  sync.Mutex
	all []string
}

// watchDenials notes what the server refuses on the connection from now on.
func watchDenials(nc *nats.Conn) *denials {
	d := &denials{}
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			d.mu.Lock()
			defer d.mu.Unlock()
			_, said, _ := strings.Cut(err.Error(), nats.ErrPermissionViolation.Error()+": ")
			d.all = append(d.all, said)
		}
	})
	return d
}

func (d *denials) list() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string{}, d.all...)
}
