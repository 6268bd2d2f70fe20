package producer

import (
	"encoding/json"
	"strings"
	"testing"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
)

func TestJoinURLNamesTheMeeting(t *testing.T) {
	want := Meeting{
		ThreadID: "19:meeting_Win6Ydo4@thread.v2", MessageID: "0",
		TenantID: "86dc81db-c112-4228-9222-63f3e5aa1edb", OrganizerID: "5810cede-f3cc-42eb-b2c1-e9bd5d53ec96",
	}
	inChain := want
	inChain.ReplyChainID = "1449667808"
	const context = "%7b%22Tid%22%3a%2286dc81db-c112-4228-9222-63f3e5aa1edb%22%2c%22Oid%22%3a%225810cede-f3cc-42eb-b2c1-e9bd5d53ec96%22%7d"
	tests := []struct {
		name, url string
		want      Meeting
	}{
		{"as Teams writes it", "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Win6Ydo4%40thread.v2/0?context=" + context, want},
		{"encoded twice", "https://teams.microsoft.com/l/meetup-join/19%253ameeting_Win6Ydo4%2540thread.v2/0?context=" + strings.ReplaceAll(context, "%", "%25"), want},
		{"not encoded", `https://teams.microsoft.com/l/meetup-join/19:meeting_Win6Ydo4@thread.v2/0?context={"Tid":"86dc81db-c112-4228-9222-63f3e5aa1edb","Oid":"5810cede-f3cc-42eb-b2c1-e9bd5d53ec96"}`, want},
		{"another cloud, and something behind it", " https://gov.teams.microsoft.us/l/meetup-join/19%3ameeting_Win6Ydo4%40thread.v2/0?context=" + context + "&anon=true\n", want},
		{"a meeting in a channel", "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Win6Ydo4%40thread.v2/0?context=" + strings.TrimSuffix(context, "%7d") + "%2c%22MessageId%22%3a%221449667808%22%7d", inChain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseJoinURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseJoinURL() (-want +got):\n%s", diff)
			}
			parameters, _ := json.Marshal(got.Parameters())
			body, _ := json.Marshal(commands.Body{ID: "p1", Parameters: parameters})
			if _, err := commands.Decode(call, commands.Place, body, commands.DecodeOptions{}); err != nil {
				t.Errorf("Decode() of the meeting's parameters = %v; want nil", err)
			}
		})
	}
}

func TestJoinURLThatNamesNoMeeting(t *testing.T) {
	for url, want := range map[string]string{
		"": "no https address",
		"http://teams.microsoft.com/l/meetup-join/19:a@thread.v2/0?context={}":           "no https address",
		"https://teams.microsoft.com/":                                                   "names no meeting",
		"https://teams.microsoft.com/meet/2123456?p=abc":                                 "short one",
		"https://teams.microsoft.com/l/meetup-join/19:a@thread.v2":                       "names no meeting",
		"https://teams.microsoft.com/l/meetup-join/nothread/0?context={}":                "no thread and message",
		"https://teams.microsoft.com/l/meetup-join/19:a@thread.v2/0":                     "no readable context",
		"https://teams.microsoft.com/l/meetup-join/19:a@thread.v2/0?context={}":          "no Tid or no Oid",
		`https://teams.microsoft.com/l/meetup-join/19:a@thread.v2/0?context={"Tid":"a"}`: "no Tid or no Oid",
	} {
		if _, err := ParseJoinURL(url); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("ParseJoinURL(%q) = %v; want …%s…", url, err, want)
		}
	}
}

func TestPartiesBecomeGraphsIdentities(t *testing.T) {
	for text, want := range map[string]string{
		"user:u-1":          "user",
		"phone:+4930123456": "phone",
		"app:a-1":           "application",
		"instance: i-1 ":    "applicationInstance",
	} {
		p, err := ParseParty(text)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Identity map[string]struct{ ID string }
		}
		if err := json.Unmarshal(p.Participant(), &got); err != nil || got.Identity[want].ID != p.ID || len(got.Identity) != 1 {
			t.Errorf("ParseParty(%q) = %s; want %s of %s", text, p.Participant(), want, p.ID)
		}
	}
	for _, text := range []string{"", "u-1", "User:u-1", "user:", "user: ", ":x", "+4930123456"} {
		if p, err := ParseParty(text); err == nil || !strings.Contains(err.Error(), "want user:<id>") {
			t.Errorf("ParseParty(%q) = %v, %v; want an error that says what is allowed", text, p, err)
		}
	}
}
