package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/callbacks"
	"callbus/internal/commands"
)

// folded is what the registry knows of a call, and the journal of the command
// that a notification was about, when all that was sent has been folded.
type folded struct {
	State             string
	Reason            string
	Info              *commands.ResultInfo
	TerminationReason string
	Participants      int
	AudioActive       bool
	TransferAccepted  bool
	TransferFailed    bool
	RespondBy         bool
	Command           commands.Status // of the command with the clientContext of Microsoft's samples
}

// documented is a notification body of Microsoft's documentation, or one made
// after its tables.
type documented struct {
	name    string
	body    string
	before  []string        // states that the call was notified of before
	command commands.Action // an accepted command with the samples' clientContext
	webhook bool            // it comes to the bot's global webhook
	kinds   []commands.Kind // of the events stored, in order
	want    folded
}

// Every notification body that is documented is accepted, stored as it came, and
// folded: over HTTP with a signed token, through the stream, into the registry.
func TestDocumentedNotificationsAreAcceptedStoredAndFolded(t *testing.T) {
	t.Parallel()
	r := startReception(t)
	rows := append(samples(t), tables()...)
	t.Run("sent", func(t *testing.T) {
		for i, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				r.send(t, row, i)
			})
		}
	})
	eventually(t, 20*time.Second, "all events are folded", r.idle)
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) { r.check(t, row, i) })
	}
}

// A notification that Graph delivers again is stored once, whatever it is called by.
func TestANotificationDeliveredAgainIsStoredOnce(t *testing.T) {
	t.Parallel()
	r := startReception(t)
	body, id := withOwnCallID(`{"value":[{"changeType":"updated",`+oneURL+`,"resourceData":{"state":"established"}},`+
		`{"changeType":"updated","resourceUrl":"/communications/calls/`+tableID+`/participants","resourceData":[{"id":"a"}]}]}`, 0)
	const message, original = "X-Microsoft-Skype-Message-ID", "X-Microsoft-Skype-Original-Message-ID"
	tests := []struct {
		name          string
		first, second map[string]string
	}{
		{"under the same message id", map[string]string{message: "m-1"}, map[string]string{message: "m-1"}},
		{"under another id that names the first", map[string]string{message: "m-2"}, map[string]string{message: "m-3", original: "m-2"}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			call := commands.CallKey{Producer: "crm", CallRef: fmt.Sprintf("again-%d", i)}
			r.accepted(t, call, "place", commands.Place, id)
			path := callbacks.CallPath(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: "place"}, 1)
			for _, headers := range []map[string]string{tt.first, tt.second, tt.second} {
				r.post(t, path, body, headers)
			}
			if events := r.stored(t, call); len(events) != 2 {
				t.Errorf("%d events stored; want 2", len(events))
			}
		})
	}
}

// names are what the i-th row's call is called, its URL, and its command.
func (row documented) names(i int) (call commands.CallKey, path string, command commands.Key) {
	_, id := withOwnCallID(row.body, i)
	call = commands.CallKey{Producer: "crm", CallRef: fmt.Sprintf("call-%d", i)}
	path = callbacks.CallPath(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: "place"}, 1)
	if row.webhook {
		call = commands.CallKey{Producer: commands.IncomingProducer, CallRef: commands.NormalCallID(id)}
		path = callbacks.WebhookPath
	}
	return call, path, commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: sampleContext}
}

// send brings the call into the state before, posts the body, and checks what is
// stored.
func (r *reception) send(t *testing.T, row documented, i int) {
	body, id := withOwnCallID(row.body, i)
	call, path, command := row.names(i)
	if !row.webhook {
		r.accepted(t, call, "place", commands.Place, id)
	}
	if row.command != "" {
		r.accepted(t, call, sampleContext, row.command, id)
	}
	for _, state := range row.before {
		changeType := "updated"
		if state == "incoming" {
			changeType = "created"
		}
		r.post(t, path, fmt.Sprintf(`{"value":[{"changeType":%q,"resourceUrl":"/communications/calls/%s","resourceData":{"state":%q}}]}`, changeType, id, state), nil)
		eventually(t, 20*time.Second, "the state before", func() (bool, string) {
			f, err := r.folded(t, call, command)
			return err == nil && f.State == state, fmt.Sprintf("%q, %v", f.State, err)
		})
	}
	before := len(r.told(t, call))
	r.post(t, path, body, nil)

	var kinds []commands.Kind
	for _, e := range r.told(t, call)[before:] {
		kinds = append(kinds, e.Kind)
		if !strings.Contains(compact(t, body), compact(t, string(e.Raw))) {
			t.Errorf("raw is not as it came: %s", e.Raw)
		}
	}
	if diff := cmp.Diff(row.kinds, kinds); diff != "" {
		t.Errorf("events stored (-want +got):\n%s", diff)
	}
}

func (r *reception) check(t *testing.T, row documented, i int) {
	call, _, command := row.names(i)
	got, err := r.folded(t, call, command)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(row.want, got); diff != "" {
		t.Errorf("folded (-want +got):\n%s", diff)
	}
}
