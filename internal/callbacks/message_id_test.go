package callbacks

import (
	"net/http"
	"testing"
	"time"
)

func TestWhichEventsAreTheSame(t *testing.T) {
	type delivery struct {
		path, message, original string
		at                      time.Duration // after a round time
		index                   int
		raw                     string
	}
	id := func(d delivery) string {
		req := post(d.path, "good", "")
		req.Header = http.Header{}
		if d.message != "" {
			req.Header.Set("X-Microsoft-Skype-Message-ID", d.message)
		}
		if d.original != "" {
			req.Header.Set("X-Microsoft-Skype-Original-Message-ID", d.original)
		}
		return identify(req, arrival.Add(d.at)).event(d.index, []byte(d.raw))
	}
	first := delivery{path: callPath, message: "m-1", raw: "established"}
	nameless := delivery{path: callPath, raw: "established"}

	tests := []struct {
		name string
		a, b delivery
		same bool
	}{
		{"delivered again much later", first, delivery{path: callPath, message: "m-1", at: 9 * time.Minute, raw: "established"}, true},
		{"delivered again under another id that names the first", first, delivery{path: callPath, message: "m-2", original: "m-1", raw: "established"}, true},
		{"the same news in another message", first, delivery{path: callPath, message: "m-2", raw: "established"}, false},
		{"other news under the same id", first, delivery{path: callPath, message: "m-1", raw: "terminated"}, false},
		{"the same news twice in one body", first, delivery{path: callPath, message: "m-1", index: 1, raw: "established"}, false},
		{"the same id at another call's URL", first, delivery{path: webhook, message: "m-1", raw: "established"}, false},
		{"no id, delivered again at once", nameless, delivery{path: callPath, at: 9 * time.Second, raw: "established"}, true},
		{"no id, the same news later", nameless, delivery{path: callPath, at: 10 * time.Second, raw: "established"}, false},
		{"no id, other news at once", nameless, delivery{path: callPath, raw: "hold"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a, b := id(tt.a), id(tt.b); (a == b) != tt.same {
				t.Errorf("ids %q and %q; want the same: %v", a, b, tt.same)
			}
		})
	}
}
