package commands

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bigData is JSON whose text has everything that JSON escapes.
func bigData(n int) json.RawMessage {
	return json.RawMessage(`{"a":"` + strings.Repeat(`é<>&\n\"`+"\u2028", n) + `"}`)
}

func TestResultFits(t *testing.T) {
	whole := Result{Producer: "crm", CallRef: "r", CommandID: "c", Action: ListParticipants, Status: Succeeded, Final: true,
		Time: testPublished, Data: bigData(1000), Metadata: map[string]string{"k": strings.Repeat("v", 200)},
		Error: &Error{Class: ClassInternal, Code: "x", Message: strings.Repeat("m", 3000)}}
	full := size(whole)
	if got := whole.Fit(full); !cmp.Equal(got, whole) {
		t.Errorf("Fit(%d) changed a record that fits", full)
	}
	for max := full - 1; max > 900; max -= 997 {
		got := whole.Fit(max)
		if n := size(got); n > max {
			t.Fatalf("Fit(%d) has %d bytes", max, n)
		}
		if !got.Truncated || got.Bytes != len(whole.Data) || got.SHA256 != hash(whole.Data) {
			t.Fatalf("Fit(%d) = truncated %t, bytes %d, sha256 %s; want the whole data's", max, got.Truncated, got.Bytes, got.SHA256)
		}
		if got.Data != nil {
			var text string
			if err := json.Unmarshal(got.Data, &text); err != nil || !strings.HasPrefix(string(whole.Data), text) {
				t.Fatalf("Fit(%d).Data = %.60s, %v; want the beginning of the data", max, got.Data, err)
			}
			if slack := max - size(got); slack > 30 {
				t.Fatalf("Fit(%d) leaves %d bytes unused", max, slack)
			}
		}
	}
	if whole.Truncated || len(whole.Error.Message) != 3000 {
		t.Error("Fit() changed the record it was called on")
	}
	again := whole.Fit(4000)
	if twice := again.Fit(2000); twice.Bytes != len(whole.Data) || twice.SHA256 != hash(whole.Data) || size(twice) > 2000 {
		t.Errorf("Fit(Fit()) = %d bytes of %s; want the first data's length and hash", twice.Bytes, twice.SHA256)
	}
}

func TestInvalidDataCanBePublished(t *testing.T) {
	got := Result{Data: json.RawMessage(`<html>`)}.Fit(10000)
	if _, err := json.Marshal(got); err != nil {
		t.Errorf("Marshal() = %v; want the page as a text", err)
	}
}

func TestEventFits(t *testing.T) {
	whole := Event{Producer: "crm", CallRef: "r", Kind: KindRoster, Time: testPublished, Raw: bigData(500), AnsweredBy: bigData(10)}
	for _, max := range []int{size(whole) - 1, 2000, 600, 300} {
		got := whole.Fit(max)
		if n := size(got); n > max || !got.Truncated || got.Bytes != len(whole.Raw) || got.SHA256 != hash(whole.Raw) {
			t.Errorf("Fit(%d) has %d bytes, truncated %t", max, n, got.Truncated)
		}
	}
	if got := whole.Fit(1 << 20); !cmp.Equal(got, whole) {
		t.Error("Fit() changed an event that fits")
	}
}

func TestDeadLetterKeepsTheOriginal(t *testing.T) {
	for _, body := range [][]byte{nil, []byte(`{"id":"é"}`), {0xff, 0xfe, 0}, bytes.Repeat([]byte{0xff}, 100)} {
		var d DeadLetter
		d.SetOriginal(body)
		got, err := d.OriginalBody()
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("OriginalBody() = %q, %v; want %q", got, err, body)
		}
	}
}

func TestDeadLetterFits(t *testing.T) {
	for name, body := range map[string][]byte{"text": []byte(bigData(800)), "bytes": bytes.Repeat([]byte{0xff}, 6000)} {
		whole := DeadLetter{Producer: "crm", CallRef: "r", CommandID: "c", Action: Place, Cause: CauseUnknown, Time: testPublished,
			Headers: map[string][]string{"X": {strings.Repeat("h", 500)}}}
		for range 5 {
			whole.Ledger = append(whole.Ledger, Result{CommandID: "c", Status: Started, Data: bigData(600)})
		}
		whole.SetOriginal(body)
		if got := whole.Fit(size(whole)); !cmp.Equal(got, whole) {
			t.Errorf("%s: Fit() changed a letter that fits", name)
		}
		for max := size(whole) - 1; max > 5000; max -= 3331 {
			got := whole.Fit(max)
			if n := size(got); n > max {
				t.Fatalf("%s: Fit(%d) has %d bytes", name, max, n)
			}
			if !got.Truncated {
				continue
			}
			if got.Bytes != len(body) || got.SHA256 != hash(body) || !strings.HasPrefix(whole.Original, got.Original) {
				t.Fatalf("%s: Fit(%d) = %d bytes, %s; want the body's", name, max, got.Bytes, got.SHA256)
			}
			if _, err := base64.StdEncoding.DecodeString(got.Original); name == "bytes" && err != nil {
				t.Fatalf("Fit(%d).Original is cut within a group of base64: %v", max, err)
			}
			if _, err := got.OriginalBody(); err == nil {
				t.Fatalf("%s: OriginalBody() of a cut letter = nil; want an error", name)
			}
		}
		if len(whole.Ledger) != 5 || whole.Ledger[0].Truncated {
			t.Errorf("%s: Fit() changed the letter it was called on", name)
		}
	}
}

func TestCloudEvents(t *testing.T) {
	r := Result{Producer: "crm", CallRef: "r", CommandID: "c", Status: Started, Time: testPublished}
	got := r.CloudEvent("staging")
	want := map[string]string{"ce-specversion": "1.0", "ce-id": got["ce-id"], "ce-type": "callbus.result.v1", "ce-source": "/callbus/staging",
		"ce-subject": "crm.r.c", "ce-time": "2026-11-23T10:00:00Z", "ce-dataschema": SchemaResult, "content-type": "application/json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CloudEvent() differs (-want +got):\n%s", diff)
	}
	other := r
	other.Status = Accepted
	if again := r.CloudEvent("staging"); again["ce-id"] != got["ce-id"] || len(got["ce-id"]) != 32 || other.CloudEvent("staging")["ce-id"] == got["ce-id"] {
		t.Errorf("ce-id = %q, then %q; want 32 characters, the same for the same record only", got["ce-id"], again["ce-id"])
	}
	e := Event{Producer: "crm", CallRef: "r", Kind: KindState}.CloudEvent(DefaultPrefix)
	d := DeadLetter{Producer: "crm", CallRef: "r", CommandID: "c"}.CloudEvent(DefaultPrefix)
	if e["ce-type"] != TypeEvent || e["ce-subject"] != "crm.r" || d["ce-type"] != TypeDead || d["ce-subject"] != "crm.r.c" {
		t.Errorf("CloudEvent() = %v and %v; want types and subjects of event and dead letter", e, d)
	}
}

func TestPrefixCountsWhatJSONNeeds(t *testing.T) {
	for _, s := range []string{"plain", `q"\\`, "<&>", "é\u2028\u2029😀", "\x00\x1f\x7f", "\xff\xfe", "\t\r\n\b\f"} {
		for room := range 40 {
			got := prefix(s, room)
			if n := len(quote(got)) - 2; n > room {
				t.Errorf("prefix(%q, %d) = %q, which needs %d", s, room, got, n)
			}
		}
		if got := prefix(s, 6*len(s)); got != s {
			t.Errorf("prefix(%q) = %q; want all of it", s, got)
		}
	}
}
