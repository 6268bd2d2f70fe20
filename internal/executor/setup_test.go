package executor

import (
	"encoding/json"
	"testing"
	"time"

	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/ledger"
	"callbus/internal/natstest"
	"callbus/internal/queue"
)

// serverURL is one server for the whole package; a test that needs it has
// streams of its own on it, under a prefix of its own.
var serverURL string

func TestMain(m *testing.M) { natstest.Main(m, &serverURL) }

// newTestJob is a job for the steps that ask nobody: a command of the call
// "c1", begun once.
func newTestJob(a commands.Action, parameters string) *job {
	x := &Executor{opts: Options{
		Prefix: commands.DefaultPrefix, Worker: "worker-1", Tenants: []string{"home", "branch"},
		AckWait: 15 * time.Second, GraphTimeout: 10 * time.Second,
		Stopping: func() bool { return false },
		CallbackURI: func(k commands.Key, attempt int) string {
			body, _ := json.Marshal([]any{k.Producer, k.CallRef, k.ID, attempt})
			return "https://bot.example/" + string(body)
		},
	}}
	m := &queue.Message{
		Call: commands.CallKey{Producer: "crm", CallRef: "order-1"}, Action: a, Seq: 7, Published: time.Now(), Deliveries: 1,
	}
	j := newJob(x, m)
	j.key.ID = "k1"
	j.tenant = "home"
	j.cmd = commands.Command{Key: j.key, Action: a, Wait: commands.WaitReady}
	if parameters != "" {
		j.cmd.Parameters = json.RawMessage(parameters)
	}
	j.view = ledger.View{Key: j.key, PlaceID: "p1", Own: &ledger.Record{Result: commands.Result{Status: commands.Started, Attempts: 2}}}
	j.entry = calls.Entry{PlaceID: "p1", CallID: "c1", TenantID: "home", State: calls.StateEstablished}
	return j
}
