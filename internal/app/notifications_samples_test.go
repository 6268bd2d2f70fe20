package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"callbus/internal/commands"
)

// sampleContext is the clientContext of the samples' operations.
const sampleContext = "d45324c1-fcb5-430a-902c-f20af696537c"

// samples are the bodies that Microsoft's pages show, as the callbacks room
// keeps them. Each file must have a row.
func samples(t *testing.T) []documented {
	t.Helper()
	info := func(code, subcode int, message string) *commands.ResultInfo {
		return &commands.ResultInfo{Code: code, Subcode: subcode, Message: message}
	}
	state := func(s string) folded { return folded{State: s} }
	ended := func(i *commands.ResultInfo, reason string) folded {
		return folded{State: "terminated", Reason: reason, Info: i}
	}
	transferred := ended(info(0, 7015, "GracefulTransferCompleted"), commands.ExplainResult(0, 7015).Reason)
	transferred.TransferAccepted, transferred.Command = true, commands.Succeeded
	failed := folded{State: "established", TransferFailed: true, Command: commands.Failed}
	transfers := []string{"established", "transferring"}
	var (
		aState   = []commands.Kind{commands.KindState}
		aRoster  = []commands.Kind{commands.KindRoster}
		sharing  = []commands.Kind{commands.KindContentSharing}
		anOp     = []commands.Kind{commands.KindOperation}
		incoming = []commands.Kind{commands.KindIncoming}
	)
	rows := []documented{
		{name: "application-post-calls.1.establishing", kinds: aState, want: state("establishing")},
		{name: "application-post-calls.1.established", kinds: aState, want: state("established")},
		{name: "application-post-calls.1.contentsharing-created", before: []string{"established"}, kinds: sharing, want: state("established")},
		{name: "application-post-calls.1.contentsharing-updated", before: []string{"established"}, kinds: sharing, want: state("established")},
		{name: "application-post-calls.1.contentsharing-deleted", before: []string{"established"}, kinds: sharing, want: state("established")},
		{name: "application-post-calls.5.establishing", kinds: aState, want: state("establishing")},
		{name: "application-post-calls.5.established", kinds: aState, want: state("established")},
		{name: "application-post-calls.5.roster", before: []string{"established"}, kinds: aRoster, want: folded{State: "established", Participants: 2}},
		{name: "call-cancelmediaprocessing.1.recordOperation-failed", before: []string{"established"}, command: commands.PlayPrompt, kinds: anOp,
			want: folded{State: "established", Command: commands.Failed}},
		{name: "call-delete.1.terminated", before: []string{"established"}, kinds: aState,
			want: ended(info(200, 5001, "The conversation has ended."), commands.ExplainResult(200, 5001).Reason)},
		{name: "call-delete.1.terminating", before: []string{"established"}, kinds: aState, want: state("terminating")},
		{name: "call-mute.1.roster", before: []string{"established"}, kinds: aRoster, want: folded{State: "established", Participants: 1}},
		{name: "call-unmute.1.roster", before: []string{"established"}, kinds: aRoster, want: folded{State: "established", Participants: 1}},
		{name: "call-playprompt.1.playPromptOperation-completed", before: []string{"established"}, command: commands.PlayPrompt, kinds: anOp,
			want: folded{State: "established", Command: commands.Succeeded}},
		{name: "call-redirect.1.incoming", webhook: true, kinds: incoming, want: folded{State: "incoming", RespondBy: true}},
		{name: "call-redirect.1.terminated", webhook: true, before: []string{"incoming"}, kinds: aState,
			want: folded{State: "terminated", Reason: "ended", RespondBy: true}},
	}
	for _, page := range []string{"call-transfer.1.", "call-transfer.5."} {
		rows = append(rows,
			documented{name: page + "transferring", before: []string{"established"}, command: commands.Transfer, kinds: aState,
				want: folded{State: "transferring", Command: commands.Accepted}},
			documented{name: page + "transferAccepted", before: transfers, command: commands.Transfer, kinds: aState,
				want: folded{State: "transferAccepted", TransferAccepted: true, Command: commands.Accepted}},
			documented{name: page + "terminated", before: append(transfers, "transferAccepted"), command: commands.Transfer, kinds: aState, want: transferred},
			documented{name: page + "transfer-failed", before: transfers, command: commands.Transfer, kinds: aState, want: failed})
	}
	files, err := filepath.Glob("../callbacks/testdata/notification.*.json")
	if err != nil || len(files) != len(rows) {
		t.Fatalf("%d samples, %v; want the %d of the table", len(files), err, len(rows))
	}
	for i := range rows {
		body, err := os.ReadFile("../callbacks/testdata/notification." + rows[i].name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		rows[i].body = string(body)
	}
	return rows
}

var (
	sampleID = regexp.MustCompile(`(?i)calls(?:/|\(')([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?)([0-9a-f]{12})`)
	inBody   = `(?i)%s-?%s`
)

// withOwnCallID gives the call in the body an id of its own, in the spelling of
// the body: the samples use a few ids for many calls. A body without a call is
// left alone and gets the id.
func withOwnCallID(body string, i int) (string, string) {
	own := fmt.Sprintf("%012x", i+1)
	m := sampleID.FindStringSubmatch(body)
	if m == nil {
		return body, "57dab8b1-894c-409a-b240-" + own
	}
	head, tail := strings.TrimSuffix(m[1], "-"), m[2]
	dashes := strings.ReplaceAll(head, "-", "-?")
	body = regexp.MustCompile(fmt.Sprintf(inBody, dashes, tail)).ReplaceAllStringFunc(body, func(id string) string {
		if strings.ToUpper(id) == id {
			return id[:len(id)-12] + strings.ToUpper(own)
		}
		return id[:len(id)-12] + own
	})
	return body, m[1] + own
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
