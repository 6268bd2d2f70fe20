package app

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/doctor"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
)

// guarded is a server with one user for each list of rights, which may do nothing
// else, and one who may do everything.
func guarded(t *testing.T, rights map[string][]doctor.Right) string {
	t.Helper()
	users := []*server.User{{Username: "all", Password: "pw"}}
	for name, list := range rights {
		p := &server.Permissions{Publish: &server.SubjectPermission{}, Subscribe: &server.SubjectPermission{}}
		for _, r := range list {
			on := p.Publish
			if r.Subscribe {
				on = p.Subscribe
			}
			on.Allow = append(on.Allow, r.Subject)
		}
		users = append(users, &server.User{Username: name, Password: "pw", Permissions: p})
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), Users: users})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	return s.ClientURL()
}

// TestAWorkerNeedsNoMoreThanItsRights: workers and receivers that may do what
// doctor's list says and nothing else do all their work, and the server refuses
// them nothing.
func TestAWorkerNeedsNoMoreThanItsRights(t *testing.T) {
	t.Parallel()
	verify := doctor.Options{Streams: streams.DefaultOptions(), StreamsMode: streams.ModeVerify}
	maker, worker, receiver := verify, verify, verify
	maker.StreamsMode, maker.Works, maker.Receives = streams.ModeReconcile, true, true
	worker.Works, receiver.Receives = true, true
	url := guarded(t, map[string][]doctor.Right{"maker": doctor.Rights(maker), "worker": doctor.Rights(worker), "receiver": doctor.Rights(receiver)})
	sim := startSim(t, graphsim.Options{AnswerAfter: 20 * time.Millisecond})
	log := &logLines{t: t}
	callbackURL := ""
	as := func(user string, role Role, mode streams.Mode) *Worker {
		w, _ := startWorker(t, user, url, sim, func(o *Options) {
			o.NATS.User, o.NATS.Password = user, "pw"
			o.Role, o.StreamsMode, o.Streams.CommandsMaxBytes = role, mode, 1<<20
			o.QuotaRequests = "1000/1s"
			if callbackURL != "" {
				o.CallbackURL = callbackURL
			}
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
		})
		return w
	}
	maker1 := as("maker", RoleAll, streams.ModeReconcile)
	nc, err := nats.Connect(url, nats.UserInfo("all", "pw"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	replies, err := nc.SubscribeSync("calls.replies.crm.x")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{t: t, js: js, sim: sim, w: maker1}
	work := func(call string) {
		t.Helper()
		c.want(call, "p", commands.Place, toUser, map[string]any{"replyTo": "calls.replies.crm.x"})
		c.want(call, "prompt", commands.PlayPrompt, aPrompt, nil)
		c.want(call, "who", commands.ListParticipants, "", nil)
		c.want(call, "h", commands.Hangup, "", nil)
		// One that is put off goes out of a queue in which a hang-up sweeps.
		later := key(call+"-later", "p")
		c.send(later.Call(), commands.Place, body("p", toUser, map[string]any{"notBefore": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}))
		c.want(call+"-later", "h", commands.Hangup, "", nil)
		c.ask(call, "wrong", commands.Place, `{"targets":[]}`, nil)
		c.idle()
	}
	work("made")
	if _, err := replies.NextMsg(patience); err != nil {
		t.Errorf("no copy on replyTo: %v", err)
	}
	eventually(t, patience, "the dead letter counted", func() (bool, string) {
		page := metricsOf(t, maker1)
		return strings.Contains(page, `callbus_dead_letters{cause="invalid"} 1`), ""
	})

	others := []*Worker{as("receiver", RoleReceiver, streams.ModeVerify)}
	callbackURL = "http://" + others[0].CallbackAddr()
	others = append(others, as("worker", RoleWorker, streams.ModeVerify))
	work("verified")
	for _, w := range []*Worker{maker1, others[0], others[1]} {
		for _, f := range Doctor(t.Context(), w.opts, patience, "") {
			if f.State == doctor.Fail || f.Check == "rights" && f.State != doctor.OK {
				t.Errorf("doctor as %s: %+v; want no failure and all rights", w.opts.WorkerName, f)
			}
		}
	}
	for _, refused := range []string{"ermissions", "level=ERROR", "consumer/", "component=nats"} {
		if log.has(refused) {
			log.mu.Lock()
			t.Errorf("the log shows %q:\n%s", refused, log.text.String())
			log.mu.Unlock()
		}
	}
}

func metricsOf(t *testing.T, w *Worker) string {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + w.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
