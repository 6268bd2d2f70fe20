package callbacks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
)

var arrival = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// base is what a per-call URL and a token say.
var base = commands.Event{
	Producer: "crm", CallRef: "order-4711", CommandID: "01JDC9Z6M4Q8", Attempt: 1,
	Time: arrival, TenantID: "1fdd12d0-4620-44ed-baec-459b611f84b2",
}

func event(kind commands.Kind, changeType, callID string, more func(*commands.Event)) commands.Event {
	e := base
	e.Kind, e.ChangeType, e.CallID = kind, changeType, callID
	if more != nil {
		more(&e)
	}
	return e
}

func state(changeType, callID, state string, info *commands.ResultInfo) commands.Event {
	return event(commands.KindState, changeType, callID, func(e *commands.Event) {
		e.State, e.ResultInfo = state, info
	})
}

func roster(callID string, count int) commands.Event {
	return event(commands.KindRoster, "updated", callID, func(e *commands.Event) { e.Participants = &count })
}

// What Microsoft's documentation shows must come out as these events; Raw is
// compared apart.
func TestSamplesOfTheDocumentation(t *testing.T) {
	const (
		p2p     = "2e1a0b00-b3c5-4b0f-99b3-c133bc1e6116"
		p2pOld  = "2e1a0b00-2db4-4022-9570-243709c565ab"
		sharing = "421f4c00-4436-4c3a-9d9a-c4924cf98e67"
		meeting = "2f1a1100-b174-40a0-aba7-0b405e01ed92"
		doc     = "57dab8b1-894c-409a-b240-bd8beae78896"
		docHex  = "57DAB8B1894C409AB240BD8BEAE78896"
		in      = "491f0b00-ffff-4bc9-a43e-b226498ec22a"
		trans   = "341a0500-d4bf-4224-8b19-1581168d328b"
		context = "d45324c1-fcb5-430a-902c-f20af696537c"
	)
	transferred := &commands.ResultInfo{Code: 0, Subcode: 7015, Message: "GracefulTransferCompleted"}
	refused := &commands.ResultInfo{Code: 500, Subcode: 7000, Message: "<message>"}

	want := map[string]commands.Event{
		"application-post-calls.1.establishing":           state("updated", p2pOld, "establishing", nil),
		"application-post-calls.1.established":            state("updated", p2p, "established", nil),
		"application-post-calls.1.contentsharing-created": event(commands.KindContentSharing, "created", sharing, nil),
		"application-post-calls.1.contentsharing-updated": event(commands.KindContentSharing, "updated", sharing, nil),
		"application-post-calls.1.contentsharing-deleted": event(commands.KindContentSharing, "deleted", sharing, nil),
		"application-post-calls.5.establishing":           state("updated", meeting, "establishing", nil),
		"application-post-calls.5.established":            state("updated", meeting, "established", nil),
		"application-post-calls.5.roster":                 roster(meeting, 2),
		"call-cancelmediaprocessing.1.recordOperation-failed": event(commands.KindOperation, "deleted", docHex, func(e *commands.Event) {
			e.Operation = &commands.Operation{ID: "0fe0623f-d628-42ed-b4bd-8ac290072cc5", Status: "failed", ClientContext: context,
				ResultInfo: &commands.ResultInfo{Code: 400, Subcode: 8508, Message: "Action failed, the operation was cancelled."}}
		}),
		"call-delete.1.terminated":  state("deleted", doc, "terminated", &commands.ResultInfo{Code: 200, Subcode: 5001, Message: "The conversation has ended."}),
		"call-delete.1.terminating": state("updated", doc, "terminating", nil),
		"call-mute.1.roster":        roster(doc, 1),
		"call-unmute.1.roster":      roster(doc, 1),
		"call-playprompt.1.playPromptOperation-completed": event(commands.KindOperation, "deleted", docHex, func(e *commands.Event) {
			e.Operation = &commands.Operation{ID: "0FE0623FD62842EDB4BD8AC290072CC5", Status: "completed", ClientContext: context,
				ResultInfo: &commands.ResultInfo{Code: 200, Subcode: 0, Message: "Action completed successfully."}}
		}),
		"call-redirect.1.incoming": event(commands.KindIncoming, "created", in, func(e *commands.Event) {
			e.State, e.RespondBy = "incoming", new(arrival.Add(15*time.Second))
		}),
		"call-redirect.1.terminated":       state("deleted", in, "terminated", nil),
		"call-transfer.1.transferring":     state("updated", trans, "transferring", nil),
		"call-transfer.1.transferAccepted": state("updated", trans, "transferAccepted", nil),
		"call-transfer.1.terminated":       state("deleted", trans, "terminated", transferred),
		"call-transfer.1.transfer-failed":  state("updated", trans, "established", refused),
		"call-transfer.5.transferring":     state("updated", trans, "transferring", nil),
		"call-transfer.5.transferAccepted": state("updated", trans, "transferAccepted", nil),
		"call-transfer.5.terminated":       state("deleted", trans, "terminated", transferred),
		"call-transfer.5.transfer-failed":  state("updated", trans, "established", refused),
	}

	files, err := filepath.Glob("testdata/notification.*.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("found %d samples, %v; want the %d of the table", len(files), err, len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "notification."), ".json")
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			notes, err := Parse(body)
			if err != nil || len(notes) != 1 {
				t.Fatalf("Parse() = %d notifications, %v; want 1", len(notes), err)
			}
			got := notes[0].Event(base)
			var envelope struct{ Value []any }
			var raw any
			if err := json.Unmarshal(body, &envelope); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got.Raw, &raw); err != nil {
				t.Fatalf("Raw: %v", err)
			}
			if diff := cmp.Diff(envelope.Value[0], raw); diff != "" {
				t.Errorf("Raw is not the value received (-want +got):\n%s", diff)
			}
			got.Raw = nil
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}
