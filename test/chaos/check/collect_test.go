package check

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/app"
	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/natsconn"
	"callbus/internal/natstest"
)

var (
	natsURL string
	runs    atomic.Int64 // each has streams of its own
)

func TestMain(m *testing.M) { natstest.Main(m, &natsURL) }

// settings are short, so that what was lost is looked into soon.
var settings = Settings{AckWait: 3 * time.Second, GraphTimeout: 1500 * time.Millisecond, ReconcileWait: 4 * time.Second}

// startSystem runs a simulated Graph and a worker until the test ends.
func startSystem(t *testing.T, prefix commands.Prefix, faults ...graphsim.Fault) (simURL string) {
	t.Helper()
	const secret = "callbus-check" // opens nothing but this simulator
	sim, err := graphsim.Start(t.Context(), graphsim.Options{
		Token: secret, AnswerAfter: 50 * time.Millisecond, StepDuration: 5 * time.Millisecond, PromptDuration: 20 * time.Millisecond, Faults: faults,
	}, "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	o := app.DefaultOptions()
	o.NATS = natsconn.ConnOptions{URL: natsURL, Name: "worker-1"}
	o.GraphURL, o.GraphTokenFile, o.Tenants = sim.GraphURL(), token, []string{graphsim.DefaultTenantID}
	o.CallbackListener, o.CallbackURL = l, "http://"+l.Addr().String()
	o.CallbackOIDCURLs, o.CallbackIssuers, o.CallbackAudience = []string{sim.OIDCURL()}, []string{sim.Issuer()}, sim.AppID()
	o.MetricsListen, o.WorkerName = "127.0.0.1:0", "worker-1"
	o.Streams.Prefix = prefix
	o.Streams.AckWait, o.GraphTimeout, o.ReconcileWait = settings.AckWait, settings.GraphTimeout, settings.ReconcileWait
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w, err := app.NewWorker(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v; want a clean stop", err)
		}
	})
	base, _, _ := strings.Cut(sim.GraphURL(), "/v1.0")
	return base
}

// producer publishes and notes what it published.
type producer struct {
	t         *testing.T
	js        jetstream.JetStream
	prefix    commands.Prefix
	published []Command
}

func (p *producer) publish(call string, a commands.Action, id, parameters string, more map[string]any) *Command {
	p.t.Helper()
	members := map[string]any{"id": id}
	if parameters != "" {
		members["parameters"] = json.RawMessage(parameters)
	}
	for k, v := range more {
		members[k] = v
	}
	body, err := json.Marshal(members)
	if err != nil {
		p.t.Fatal(err)
	}
	c := Command{Key: commands.Key{Producer: "crm", CallRef: call, ID: id}, Action: a, Body: body, Published: time.Now(), Copies: 1, Turn: more["wait"] == "turn"}
	c.Seq = p.store(c, body)
	p.published = append(p.published, c)
	return &p.published[len(p.published)-1]
}

func (p *producer) store(c Command, body []byte) uint64 {
	p.t.Helper()
	ack, err := p.js.Publish(p.t.Context(), p.prefix.Command(c.Key.Call(), c.Action), body)
	if err != nil {
		p.t.Fatal(err)
	}
	return ack.Sequence
}

// TestCollect holds what a real worker left behind against the rules.
func TestCollect(t *testing.T) {
	prefix := commands.Prefix(fmt.Sprintf("check%d", runs.Add(1)))
	simURL := startSystem(t, prefix,
		graphsim.Fault{Operation: "mute", Status: 429, RetryAfter: "0.1", Count: 2},
		graphsim.Fault{Operation: "unmute", DropAnswer: true, Count: 2},
		graphsim.Fault{Operation: "createCall", DropAnswer: true, CallRef: "order-1"},
		graphsim.Fault{Operation: "createCall", DropAnswer: true, CallRef: "order-2"},
		graphsim.Fault{Operation: "notification", Notifications: graphsim.Lose, CallRef: "order-2"},
	)
	nc, err := nats.Connect(natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	const users = `{"targets":[{"identity":{"user":{"id":"98da8a1a-1b87-452c-a713-65d3f10b5001"}}},{"identity":{"user":{"id":"bf5aae9a-d11d-47a8-93b1-782504c95002"}}}]}`
	const beep = `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/beep.wav"}}]}`
	const bob = `{"transferTarget":{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27001","displayName":"cmd-x"}}}}`
	turn := map[string]any{"wait": "turn"}
	p := &producer{t: t, js: js, prefix: prefix}
	for i := range 8 {
		call := fmt.Sprintf("order-%d", i)
		p.publish(call, commands.Place, "p", users, nil)
		p.publish(call, commands.Mute, "m", "", nil)
		p.publish(call, commands.PlayPrompt, "pp", beep, nil)
		p.publish(call, commands.GetCall, "g", "", nil)
		p.publish(call, commands.Unmute, "u", "", nil)
		if i == 3 {
			p.publish(call, commands.Mute, "wrong", `{"volume":11}`, nil).Invalid = true
		}
		p.publish(call, commands.KeepAlive, "k", "", nil)
		if i != 2 { // of which nobody will hear
			p.publish(call, commands.Hangup, "h", "", turn)
		}
	}
	const one = `{"targets":[{"identity":{"user":{"id":"98da8a1a-1b87-452c-a713-65d3f10b5001"}}}]}`
	p.publish("order-8", commands.Place, "p", one, nil)
	p.publish("order-8", commands.Transfer, "cmd-x", bob, nil)
	p.publish("order-8", commands.Hangup, "h", "", turn)
	p.settle(len(p.published))

	p.publish("order-2", commands.Hangup, "h", "", nil)
	first := &p.published[1]
	first.Copies, first.Conflicts = 2, 1
	p.store(*first, first.Body)
	p.store(*first, []byte(`{"id":"m","metadata":{"another":"body"}}`))
	p.settle(len(p.published))

	h, err := Collect(t.Context(), js, prefix, simURL+"/")
	if err != nil {
		t.Fatal(err)
	}
	h.Commands, h.Settings = p.published, settings
	rep := Check(h)
	if !rep.OK() || rep.Commands != len(p.published) || rep.Unknowns[AnswerAndNotificationLost] != 1 || rep.Unknowns[HangupOfUnknown] != 1 || rep.Dead[commands.CauseInvalid] != 1 ||
		rep.Dead[commands.CauseIDConflict] != 1 || rep.Takeovers == 0 || rep.Notifications["sent"] == 0 {
		var b strings.Builder
		if err := rep.Write(&b); err != nil {
			t.Fatal(err)
		}
		t.Errorf("Check() =\n%s", b.String())
		for _, v := range rep.Violations {
			t.Log(h.Story(v.Call.String()))
		}
	}
	if len(h.Calls) != 9 || len(h.Calls[0].Requests) > 0 || h.Events[0].MessageID == "" || h.Records[1].Body == "" {
		t.Errorf("Collect() has %d calls, %d requests of the first; want 9 calls, their requests apart, and every header", len(h.Calls), len(h.Calls[0].Requests))
	}
	// A history that is changed is found out: the rules have something to say of
	// real records too.
	for i := range h.Records {
		h.Records[i].ExpectedSubject += ">"
	}
	if rep := Check(h); len(rep.Violations) != len(h.Records) {
		t.Errorf("%d of %d changed records are found out", len(rep.Violations), len(h.Records))
	}
}

// settle waits until the queue is empty, n commands are final, and every call that
// was known has ended.
func (p *producer) settle(n int) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		h := History{}
		err := h.readRecords(p.t.Context(), p.js, p.prefix)
		if err == nil {
			err = h.readQueue(p.t.Context(), p.js, p.prefix)
		}
		if err == nil {
			err = h.readEvents(p.t.Context(), p.js, p.prefix)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		finals, ends := 0, 0
		for _, r := range h.Records {
			if r.Final {
				finals++
			}
		}
		for _, e := range h.Events {
			if e.Kind == commands.KindEnded {
				ends++
			}
		}
		if finals == n && len(h.Queued) == 0 && ends == 8 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("after a minute %d of %d commands are final, %d are queued, %d of 8 calls ended", finals, n, len(h.Queued), ends)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestCollectWithoutStreams(t *testing.T) {
	nc, err := nats.Connect(natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Collect(t.Context(), js, "nothing", "http://127.0.0.1:1")
	if err == nil || !strings.HasPrefix(err.Error(), "collect: stream NOTHING_RESULTS: ") {
		t.Errorf("Collect() error = %v; want the missing stream", err)
	}
}

func TestReadList(t *testing.T) {
	tests := []struct {
		name   string
		status int
		answer string
		want   string // of the error, "" for none
		items  int
	}{
		{"a list", 200, `{"calls":[{"id":"a"},{"id":"b"}]}`, "", 2},
		{"an empty list", 200, `{"calls":[]}`, "", 0},
		{"another list", 200, `{"requests":[]}`, "requests where calls was expected", 0},
		{"a list that was cut", 200, `{"calls":[{"id":"a"}`, "EOF", 0},
		{"an error", 503, ``, "status 503", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/_sim/calls" {
					t.Errorf("path %s", r.URL.Path)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.answer))
			}))
			t.Cleanup(srv.Close)
			got, err := readList(t.Context(), srv.URL, "calls", func(*graphsim.Call) {})
			if len(got) != tt.items || (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("readList() = %d items, %v; want %d, %q", len(got), err, tt.items, tt.want)
			}
		})
	}
}
