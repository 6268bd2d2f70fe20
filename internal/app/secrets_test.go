package app

import (
	"log/slog"
	"strings"
	"testing"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// TestNoSecretsInLogsAndErrors sends commands that are full of what must not be
// seen, some of them wrong, before a Graph that repeats it all in its errors, and
// looks for it in everything that the worker logs and says of them.
func TestNoSecretsInLogsAndErrors(t *testing.T) {
	t.Parallel()
	secrets := []string{
		"4255550123", "425-555-0123", // a number
		"Adele Vance", "adelev@contoso.com", // a person
		"sv=2024&sig=Zm9vYmFy", "Zm9vYmFy", // the query of a media URI
		"998877",                // a passcode
		"eyJqb2luIjoidG9rZW4if", // a join token
	}
	echo := "cannot reach +1 425-555-0123 or adelev@contoso.com, see https://cdn.contoso.com/x.wav?sv=2024&sig=Zm9vYmFy passcode: 998877"
	log := &logLines{t: t}
	c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{
		{Operation: "createCall", CallRef: "refused*", Status: 400, Code: "8523", Message: echo},
		{Operation: "createCall", CallRef: "forbidden*", Status: 403, Code: "7505", Message: echo},
		{Operation: "createCall", CallRef: "broken*", Status: 500, Code: "9999", Message: echo},
		{Operation: "playPrompt", Status: 400, Code: "8523", Message: echo},
	}}, func(o *Options) {
		o.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	phone := `{"source":{"identity":{"applicationInstance":{"id":"3fd8e0a4-5b7c-4b5e-9a6d-0c1d2e3f4a5b","displayName":"Adele Vance"}}},"tenantId":"` + graphsim.DefaultTenantID + `","targets":[{"identity":{"phone":{"id":"+14255550123"}}}]}`
	user := `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001","displayName":"Adele Vance"}}}]}`
	meeting := `{"tenantId":"` + graphsim.DefaultTenantID + `","meetingInfo":{"@odata.type":"#microsoft.graph.joinMeetingIdMeetingInfo","joinMeetingId":"1234567","passcode":"998877"}}`
	token := `{"tenantId":"` + graphsim.DefaultTenantID + `","meetingInfo":{"@odata.type":"#microsoft.graph.tokenMeetingInfo","token":"eyJqb2luIjoidG9rZW4if"}}`
	seen := 0
	for callRef, parameters := range map[string]string{
		"refused-phone": phone, "forbidden-user": user, "broken-phone": phone, "refused-meeting": meeting, "broken-token": token,
		"wrong-number":  strings.Replace(phone, "+14255550123", "425-555-0123", 1),
		"wrong-meeting": strings.Replace(meeting, `"passcode":"998877"`, `"passcode":998877`, 1),
		"wrong-token":   strings.Replace(token, `"eyJqb2luIjoidG9rZW4if"`, `["eyJqb2luIjoidG9rZW4if"]`, 1),
	} {
		r := c.ask(callRef, "p", commands.Place, parameters, nil)
		if r.Error == nil {
			t.Errorf("%s ended %s without an error; the test proves less than it says", callRef, r.Status)
			continue
		}
		seen++
		assertNone(t, callRef, r.Error.Message+" "+r.Error.Hint+" "+r.Error.Reason+" "+r.Error.Code, secrets)
	}
	c.want("up", "p", commands.Place, user, nil)
	r := c.ask("up", "prompt", commands.PlayPrompt, `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/x.wav?sv=2024&sig=Zm9vYmFy"}}]}`, nil)
	if r.Error == nil {
		t.Error("the prompt was not refused; the test proves less than it says")
	} else {
		assertNone(t, "prompt", r.Error.Message+" "+r.Error.Hint, secrets)
	}
	c.idle()
	log.mu.Lock()
	defer log.mu.Unlock()
	if n := strings.Count(log.text.String(), "command settled"); n < seen {
		t.Errorf("%d lines of settled commands; want %d", n, seen)
	}
	assertNone(t, "the log", log.text.String(), secrets)
}

func assertNone(t *testing.T, where, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("%s says %q", where, text[max(0, i-120):min(len(text), i+120)])
		}
	}
}
