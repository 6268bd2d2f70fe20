package doctor

import (
	"errors"
	"testing"

	"callbus/internal/callbacks"
)

func TestKeys(t *testing.T) {
	skype := source{"https://a/keys", callbacks.Published{Issuer: "https://api.botframework.com/", Keys: 3}, nil}
	down := source{"https://b/keys", callbacks.Published{}, errors.New("status 503")}
	issuers := []string{"https://api.botframework.com", "https://graph.microsoft.com"}
	for _, row := range []struct {
		name string
		all  []source
		want []string
	}{
		{"all there", []source{skype, skype}, []string{"ok keys: 3 keys at https://a/keys", "ok keys"}},
		{"one of two is down", []source{skype, down}, []string{"ok keys", "warn keys: https://b/keys: status 503"}},
		{"all are down", []source{down, down}, []string{"FAIL keys: status 503", "FAIL keys"}},
		{"another issuer", []source{{"https://c", callbacks.Published{Issuer: "https://else", Keys: 1}, nil}}, []string{"warn keys: issuer https://else; accepted are https://api.botframework.com, https://graph.microsoft.com"}},
		{"no issuer said", []source{{"https://c", callbacks.Published{Keys: 1}, nil}}, []string{"ok keys: issuer none"}},
	} {
		t.Run(row.name, func(t *testing.T) { assertFindings(t, judgeKeys(row.all, issuers), row.want...) })
	}
	x := &examination{}
	assertFindings(t, x.keys(t.Context()), "skip keys: others")
}
