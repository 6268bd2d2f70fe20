package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
)

// TestAReceiverAndAWorkerShareTheWork: the worker executes and opens no port for
// notifications, the receiver takes them and says nothing to Graph.
func TestAReceiverAndAWorkerShareTheWork(t *testing.T) {
	t.Parallel()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	sim := startSim(t, graphsim.Options{AnswerAfter: 20 * time.Millisecond})
	receiver, _ := startWorker(t, "receiver", srv.URL(), sim, func(o *Options) {
		o.Role, o.Version = RoleReceiver, "receiver"
		o.GraphURL, o.GraphTokenFile = "", "" // as where it has no credential
	})
	taken := listen(t).Addr().String() // the worker would not start if it opened that
	worker, _ := startWorker(t, "worker", srv.URL(), sim, func(o *Options) {
		o.Role, o.Version = RoleWorker, "worker"
		o.CallbackListener, o.CallbackListen = nil, taken
		o.CallbackURL, o.CallbackAudience = "http://"+receiver.CallbackAddr(), ""
	})
	for _, w := range []*Worker{receiver, worker} {
		eventually(t, 10*time.Second, w.opts.WorkerName+" is ready", func() (bool, string) {
			resp, err := http.Get("http://" + w.MetricsAddr() + "/readyz")
			if err != nil {
				return false, err.Error()
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK, resp.Status
		})
	}
	if got := worker.CallbackAddr(); got != "" {
		t.Errorf("CallbackAddr() of the worker = %s; want none", got)
	}

	js := connect(t, srv.URL())
	const n = 10
	for i := range n {
		subject := fmt.Sprintf("calls.commands.crm.c%d.place", i)
		place := body("p", `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`, nil)
		if _, err := js.Publish(t.Context(), subject, place); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 20*time.Second, "every place succeeds", func() (bool, string) {
		done := 0
		for _, r := range allResults(t, js) {
			if r.Status == commands.Succeeded && r.Worker == "worker" {
				done++
			} else if r.Final {
				t.Fatalf("%s ended %s by %s", r.CallRef, r.Status, r.Worker)
			}
		}
		return done == n, fmt.Sprintf("%d of %d", done, n)
	})
	for _, r := range sim.Sim.Requests() {
		if strings.Contains(r.UserAgent, "callbus/receiver") {
			t.Errorf("the receiver sent %s to Graph", r.Operation)
		}
	}
	if got := stored(t, receiver); got < n {
		t.Errorf("the receiver stored %d notifications; want one for each of %d calls at least", got, n)
	}
}

// stored is how many notifications a worker has stored.
func stored(t *testing.T, w *Worker) (n int) {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "callbus_notifications_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" && l.GetValue() == "stored" {
					n += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return n
}

func TestSettingsOfARole(t *testing.T) {
	tests := []struct {
		name     string
		role     Role
		audience string
		want     string // "" when they are taken
	}{
		{"the settings of before roles", "", "app", ""},
		{"a receiver has to know its audience", RoleReceiver, "", "--callback-audience is missing"},
		{"so has one that does all", RoleAll, "", "--callback-audience is missing"},
		{"a worker has not", RoleWorker, "", ""},
		{"an unknown role", "leader", "app", `--role is "leader": want all, worker or receiver`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := DefaultOptions()
			o.Role, o.Tenants, o.CallbackURL, o.CallbackAudience = tt.role, []string{signerTenant}, "https://callbus.contoso.com", tt.audience
			err := o.Validate()
			if tt.want == "" {
				if err != nil {
					t.Errorf("Validate() = %v; want nil", err)
				}
				return
			}
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate() = %v; want one with %q", err, tt.want)
			}
		})
	}
}
