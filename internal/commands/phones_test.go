package commands

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPhones(t *testing.T) {
	tests := []struct {
		sentence string
		action   Action
		body     string
		want     []string
	}{
		{"a call to a user dials nothing", Place, place(`"targets":` + users(1)), nil},
		{"a call to a phone dials it", Place, dial("+12345678901"), []string{"+12345678901"}},
		{"a redirect may dial several", Redirect, place(`"targets":[` + phone("+491234567") + `,` + user("u") + `,` + phone("+12345678901") + `]`), []string{"+491234567", "+12345678901"}},
		{"a transfer dials its target", Transfer, params(`{"transferTarget":` + phone("+12345678901") + `}`), []string{"+12345678901"}},
		{"a hang-up has no parameters", Hangup, `{"id":"c1"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			cmd, err := Decode(testCall, tt.action, []byte(tt.body), testOptions)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, cmd.Phones()); diff != "" {
				t.Errorf("Phones() differs (-want +got):\n%s", diff)
			}
		})
	}
}
