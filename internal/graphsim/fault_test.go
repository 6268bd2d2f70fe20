package graphsim

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFaultsOfRequests(t *testing.T) {
	raw, html := `{"error":"odd"}`, "<html>gateway</html>"
	empty := ""
	tests := []struct {
		name    string
		fault   Fault
		status  int
		code    string
		text    string // if any
		cut     bool
		created int
	}{
		{"a status", Fault{Operation: "createCall", Status: 503}, 503, "ServiceUnavailable", "", false, 0},
		{"a gateway code", Fault{Status: 400, Code: "Odd", Message: "m"}, 400, "Odd", "", false, 0},
		{"a service code", Fault{Status: 403, Code: "7504"}, 403, "7504", "", false, 0},
		{"a service code that was seen wrapped", Fault{Status: 403, Code: "7503"}, 403, "UnknownError", "", false, 0},
		{"a service code, wrapped", Fault{Status: 403, Code: "7504", Shape: Wrapped}, 403, "UnknownError", "", false, 0},
		{"a service code behind a gateway's", Fault{Status: 403, Code: "7504", Shape: Textual}, 403, "Forbidden", "", false, 0},
		{"a raw body", Fault{Status: 500, Body: &raw}, 500, "", raw, false, 0},
		{"a page", Fault{Status: 502, Body: &html}, 502, "", html, false, 0},
		{"an empty body", Fault{Status: 504, Body: &empty}, 504, "", "", false, 0},
		{"an empty success", Fault{Status: 202}, 202, "", "", false, 0},
		{"done, but it does not say so", Fault{Status: 504, AfterDoing: true}, 504, "GatewayTimeout", "", false, 1},
		{"done, answer lost", Fault{DropAnswer: true}, 0, "", "", true, 1},
		{"request lost", Fault{DropRequest: true}, 0, "", "", true, 0},
		{"late", Fault{Delay: time.Hour}, 201, "", "", false, 1},
		{"another operation", Fault{Operation: "getCall", Status: 503}, 201, "", "", false, 1},
		{"another call", Fault{CallRef: "order-2", Status: 503}, 201, "", "", false, 1},
		{"this call", Fault{CallRef: "order-?", Status: 503}, 503, "ServiceUnavailable", "", false, 0},
		{"another tenant", Fault{TenantID: "t", Status: 503}, 201, "", "", false, 1},
		{"this tenant", Fault{TenantID: tenantA, Status: 503}, 503, "ServiceUnavailable", "", false, 0},
		{"tokens", Fault{Operation: "token", Status: 503}, 201, "", "", false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				if err := w.SetFaults(tt.fault); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				res := w.do("POST", calls, with(userCall("alice"), "tenantId", tenantA))
				if res.cut != tt.cut || !tt.cut && (res.status != tt.status || res.code() != tt.code) {
					t.Errorf("answered %d %q, cut %v; want %d %q, cut %v", res.status, res.code(), res.cut, tt.status, tt.code, tt.cut)
				}
				if tt.text != "" && res.text != tt.text {
					t.Errorf("body %q; want %q", res.text, tt.text)
				}
				if n := len(w.Calls()); n != tt.created {
					t.Errorf("%d calls; want %d", n, tt.created)
				}
				if took := time.Since(start); took != tt.fault.Delay {
					t.Errorf("took %v; want %v", took, tt.fault.Delay)
				}
				entry := w.Requests()[0]
				if want := (tt.created == 1); entry.Executed != want || entry.End.IsZero() || tt.cut != (entry.Status == 0) {
					t.Errorf("log %+v; want executed %v", entry, want)
				}
			})
		})
	}
}

func TestFaultsRetryAfter(t *testing.T) {
	story(t, nil, func(w *world) {
		for _, text := range []string{"7", "2.128", "Wed, 21 Oct 2026 07:28:00 GMT"} {
			w.SetFaults(Fault{Status: 429, RetryAfter: text})
			res := w.do("GET", calls+"/x", nil)
			if res.status != 429 || res.code() != "TooManyRequests" || res.header.Get("Retry-After") != text {
				t.Errorf("answered %d %s, Retry-After %q; want 429 and %q", res.status, res.code(), res.header.Get("Retry-After"), text)
			}
		}
	})
}

func TestFaultsEndAndAddUp(t *testing.T) {
	story(t, nil, func(w *world) {
		w.SetFaults(Fault{Delay: time.Second, Count: 3}, Fault{Delay: time.Minute}, Fault{Status: 500, Count: 2}, Fault{Status: 502})
		for i, want := range []int{500, 500, 502, 502} {
			start := time.Now()
			res := w.do("GET", calls+"/x", nil)
			delay := time.Minute
			if i < 3 {
				delay += time.Second
			}
			if took := time.Since(start); res.status != want || took != delay {
				t.Errorf("request %d: %d after %v; want %d after %v", i, res.status, took, want, delay)
			}
		}
		if left := w.Faults(); len(left) != 2 {
			t.Errorf("faults left %+v; want the two without a count", left)
		}
		w.SetFaults()
		if res := w.do("GET", calls+"/x", nil); res.status != 404 {
			t.Errorf("answered %d; want 404 without faults", res.status)
		}
	})
}

func TestProbabilityIsRepeatable(t *testing.T) {
	run := func(seed uint64) string {
		w := newWorld(t, func(o *Options) { o.Seed = seed; o.Faults = []Fault{{Status: 503, Probability: 0.5}} })
		var line strings.Builder
		for range 64 {
			if w.do("GET", calls+"/x", nil).status == 503 {
				line.WriteByte('x')
			} else {
				line.WriteByte('.')
			}
		}
		return line.String()
	}
	first, again, other := run(7), run(7), run(8)
	if first != again || first == other {
		t.Errorf("seed 7 gave\n%s\n%s\nseed 8\n%s\nwant the first two alike", first, again, other)
	}
	if n := strings.Count(first, "x"); n < 16 || n > 48 {
		t.Errorf("%d of 64 failed; want about half", n)
	}
}

func TestParseFaults(t *testing.T) {
	text, object := "gone", `{"a":1}`
	tests := []struct {
		json string
		want Fault
	}{
		{`{"operation":"createCall","status":429,"retryAfter":2,"count":3}`, Fault{Operation: "createCall", Status: 429, RetryAfter: "2", Count: 3}},
		{`{"status":429,"retryAfter":"1m30s"}`, Fault{Status: 429, RetryAfter: "90"}},
		{`{"status":429,"retryAfter":"0.25"}`, Fault{Status: 429, RetryAfter: "0.25"}},
		{`{"status":429,"code":8529,"shape":"numeric"}`, Fault{Status: 429, Code: "8529", Shape: Numeric}},
		{`{"status":503,"body":"gone","probability":0.5}`, Fault{Status: 503, Body: &text, Probability: 0.5}},
		{`{"status":503,"body":{"a":1},"afterDoing":true}`, Fault{Status: 503, Body: &object, AfterDoing: true}},
		{`{"callRef":"order-*","tenant":"t","delay":"250ms"}`, Fault{CallRef: "order-*", TenantID: "t", Delay: 250 * time.Millisecond}},
		{`{"dropAnswer":true}`, Fault{DropAnswer: true}},
		{`{"dropRequest":true}`, Fault{DropRequest: true}},
		{`{"notifications":"late","kind":"established","delay":"1s"}`, Fault{Notifications: Late, Kind: "established", Delay: time.Second}},
	}
	for _, tt := range tests {
		for _, list := range []string{"[" + tt.json + "]", ` {"faults": [` + tt.json + `]}`} {
			got, err := ParseFaults([]byte(list))
			if err != nil {
				t.Errorf("ParseFaults(%s): %v", list, err)
				continue
			}
			if diff := cmp.Diff([]Fault{tt.want}, got); diff != "" {
				t.Errorf("ParseFaults(%s) (-want +got):\n%s", list, diff)
			}
			written, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseFaults(written); err != nil || cmp.Diff(got, again) != "" {
				t.Errorf("%s is written %s: %v, %v", list, written, again, err)
			}
		}
	}
}

func TestParseFaultsRefuses(t *testing.T) {
	tests := []struct{ name, json, want string }{
		{"nothing", ``, "nothing there"},
		{"no JSON", `{`, "unexpected EOF"},
		{"no list", `{}`, `want {"faults": […]}`},
		{"an unknown member of the list", `{"fault":[]}`, `unknown field "fault"`},
		{"two lists", `[] []`, "more than one"},
		{"an unknown member", `[{"status":500},{"stauts":500}]`, `fault 2: json: unknown field "stauts"`},
		{"an unknown operation", `[{"operation":"hangup","status":500}]`, `operation "hangup": one of "*", "createCall"`},
		{"nothing to do", `[{"operation":"getCall"}]`, "it does nothing"},
		{"a probability of 0", `[{"status":500,"probability":0}]`, "above 0"},
		{"a probability above 1", `[{"status":500,"probability":2}]`, "at most 1"},
		{"a count of 0", `[{"status":500,"count":0}]`, "above 0"},
		{"a negative count", `[{"status":500,"count":-1}]`, "above 0"},
		{"a status that is none", `[{"status":99}]`, "200 to 599"},
		{"a code without a status", `[{"code":"x"}]`, "need a status"},
		{"a code that is a list", `[{"status":500,"code":[]}]`, "a string or a number"},
		{"a shape nobody knows", `[{"status":500,"code":"1","shape":"odd"}]`, `one of "textual"`},
		{"a shape for a word", `[{"status":500,"code":"x","shape":"wrapped"}]`, "needs a decimal code"},
		{"a Retry-After that is none", `[{"status":429,"retryAfter":"soon"}]`, "seconds or an HTTP date"},
		{"a delay that is none", `[{"delay":"5"}]`, "a duration such as"},
		{"a negative delay", `[{"delay":"-5s"}]`, "not negative"},
		{"two ends", `[{"status":500,"dropAnswer":true}]`, "only one of"},
		{"notifications of a request", `[{"operation":"getCall","notifications":"lose"}]`, `belongs to operation "notification"`},
		{"notifications that do something else", `[{"notifications":"burn"}]`, `one of "lose"`},
		{"a notification with a status", `[{"operation":"notification","status":500}]`, "can only be lost"},
		{"a kind of a request", `[{"kind":"roster","status":500}]`, "belongs to faults of notifications"},
		{"a callRef of a token", `[{"operation":"token","callRef":"x","status":500}]`, "has no callRef"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseFaults([]byte(tt.json)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseFaults() = %+v, %v; want an error with %q", got, err, tt.want)
			}
		})
	}
	if _, err := New(Options{Faults: []Fault{{}}, PageSize: -1}); err == nil || !strings.Contains(err.Error(), "fault 1: ") || !strings.Contains(err.Error(), "page size") {
		t.Errorf("New() = %v; want both mistakes", err)
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a*c", "abbc", true}, {"a*c", "abbd", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"**b", "ab", true}, {"abc", "ab", false}, {"ab", "abc", false}, {"*1", "11", true},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("glob(%q, %q) = %v; want %v", tt.pattern, tt.text, got, tt.want)
		}
	}
}

func FuzzParseFaults(f *testing.F) {
	f.Add([]byte(`{"faults":[{"operation":"*","status":429,"retryAfter":"1s","body":""}]}`))
	f.Add([]byte(`[{"notifications":"swap","delay":"1s"}]`))
	if raw, err := os.ReadFile("testdata/error.429-throttled.json"); err == nil {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		faults, err := ParseFaults(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(faults)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		if _, err := ParseFaults(written); err != nil {
			t.Errorf("written as %s, which is refused: %v", written, err)
		}
	})
}
