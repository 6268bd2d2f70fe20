package graphsim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConcurrentCalls(t *testing.T) {
	story(t, func(o *Options) { o.Limits = Limits{Concurrent: 2} }, func(w *world) {
		first := w.place(userCall("a"))
		w.place(userCall("b"))
		if res := w.do("POST", calls, userCall("c")); res.status != 429 || res.code() != "8530" {
			t.Errorf("the third call: %d %s; want 429 8530", res.status, res.text)
		}
		w.do("DELETE", calls+"/"+first, nil)
		w.pass(w.opts.StepDuration)
		w.place(userCall("c"))
	})
}

func TestMonthlyCalls(t *testing.T) {
	story(t, func(o *Options) { o.Limits = Limits{Monthly: 1} }, func(w *world) { // the bubble begins on 1 January 2000
		id := w.place(userCall("a"))
		res := w.do("POST", calls, userCall("b"))
		if res.status != 429 || !strings.Contains(res.text, "8529") || res.header.Get("Retry-After") != "" {
			t.Errorf("the second call: %d %s; want 429 8529 without Retry-After", res.status, res.text)
		}
		w.post(id, "keepAlive", nil, 200) // control goes on
		w.pass(31 * 24 * time.Hour)
		w.place(userCall("b"))
	})
}

func TestCallsAreCountedByAppOrByTenant(t *testing.T) {
	for _, perTenant := range []bool{false, true} {
		story(t, func(o *Options) { o.Limits = Limits{Monthly: 1, Concurrent: 1, PerTenant: perTenant} }, func(w *world) {
			w.place(with(userCall("a"), "tenantId", "one"))
			if res := w.do("POST", calls, with(userCall("b"), "tenantId", "two")); (res.status == 201) != perTenant {
				t.Errorf("another tenant with PerTenant %v: %d", perTenant, res.status)
			}
			if res := w.do("POST", calls, with(userCall("b"), "tenantId", "one")); res.status != 429 {
				t.Errorf("the same tenant: %d; want 429", res.status)
			}
		})
	}
}

func TestRequestRateIsOfEachTenant(t *testing.T) {
	story(t, func(o *Options) { o.Limits = Limits{Rate: 0.001, Burst: 2}; o.TenantID = "home" }, func(w *world) {
		place := func(tenant string) response {
			body := userCall("a")
			if tenant != "" {
				body = with(body, "tenantId", tenant)
			}
			return w.do("POST", calls, body)
		}
		one := place("one")
		id, _ := one.body["id"].(string)
		for i, row := range []struct {
			name string
			res  response
			want int
		}{
			{"the first one", one, 201},
			{"a read of that call counts for its tenant", w.do("GET", calls+"/"+id, nil), 200},
			{"which has none left", place("ONE"), 429},
			{"another tenant has its own", place("two"), 201},
			{"a call that names no tenant is the default one's", place(""), 201},
			{"so is a call that is not known", w.do("GET", calls+"/x", nil), 404},
			{"which has none left either", place("home"), 429},
		} {
			if row.res.status != row.want {
				t.Errorf("%d, %s: %d; want %d", i, row.name, row.res.status, row.want)
			}
		}
	})
}

func TestFaultOfTheDefaultTenant(t *testing.T) {
	story(t, func(o *Options) { o.TenantID = "home"; o.Faults = []Fault{{TenantID: "home", Status: 503}} }, func(w *world) {
		if res := w.do("POST", calls, userCall("a")); res.status != 503 {
			t.Errorf("a call that names no tenant: %d; want 503", res.status)
		}
		if res := w.do("POST", calls, with(userCall("a"), "tenantId", "away")); res.status != 201 {
			t.Errorf("a call of another tenant: %d; want 201", res.status)
		}
	})
}

func TestRequestRate(t *testing.T) {
	ask := func(w *world) (int, string) {
		res := w.do("GET", calls+"/x", nil)
		return res.status, res.header.Get("Retry-After")
	}
	story(t, func(o *Options) { o.Limits = Limits{Rate: 10, Burst: 2} }, func(w *world) {
		for i, want := range []int{404, 404, 429, 429} {
			if status, _ := ask(w); status != want {
				t.Errorf("request %d: %d; want %d", i, status, want)
			}
		}
		if _, after := ask(w); after != "1" {
			t.Errorf("Retry-After %q; want whole seconds", after)
		}
		w.pass(100 * time.Millisecond)
		for _, want := range []int{404, 429} {
			if status, _ := ask(w); status != want {
				t.Errorf("a tenth of a second later: %d; want %d", status, want)
			}
		}
		if entry := w.Requests()[2]; entry.Status != 429 || entry.Executed {
			t.Errorf("log %+v; want 429, not executed", entry)
		}
	})
	story(t, func(o *Options) { o.Limits = Limits{Rate: 1, RetryAfter: 2128 * time.Millisecond} }, func(w *world) {
		ask(w)
		if status, after := ask(w); status != 429 || after != "2.128" {
			t.Errorf("%d, Retry-After %q; want 429 and 2.128", status, after)
		}
	})
	story(t, func(o *Options) { o.Limits = Limits{Rate: 1, CountRejected: true} }, func(w *world) {
		for range 11 {
			ask(w)
		}
		w.pass(10 * time.Second)
		if status, after := ask(w); status != 429 || after != "2" {
			t.Errorf("after ten rejected requests and ten seconds: %d, Retry-After %q; want 429 and 2", status, after)
		}
		w.pass(2 * time.Second)
		if status, _ := ask(w); status != 404 {
			t.Errorf("after the wait: %d; want 404", status)
		}
		if err := w.SetLimits(Limits{}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if status, _ := ask(w); status != 404 {
				t.Fatalf("without limits: %d; want 404", status)
			}
		}
	})
}

func TestParseLimits(t *testing.T) {
	want := Limits{Rate: 50, Burst: 10, Concurrent: 100, Monthly: 10000, RetryAfter: 2 * time.Second, CountRejected: true, PerTenant: true}
	got, err := ParseLimits("rate=50, burst=10,concurrent=100,monthly=10000,retry-after=2s,count-rejected,per-tenant")
	if err != nil || got != want {
		t.Errorf("ParseLimits() = %+v, %v; want %+v", got, err, want)
	}
	written, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var again Limits
	if err := json.Unmarshal(written, &again); err != nil || cmp.Diff(want, again) != "" {
		t.Errorf("written %s, read %+v, %v; want the same", written, again, err)
	}
	if got, err := ParseLimits(""); err != nil || got != (Limits{}) {
		t.Errorf("ParseLimits(\"\") = %+v, %v; want none", got, err)
	}
	for text, want := range map[string]string{
		"speed=1": "one of rate, burst", "rate=x": "a number", "retry-after=2": "a duration", "rate=-1": "not below 0",
		"rate=Inf": "not below 0", "count-rejected=no": "takes no value", "concurrent": "a number",
	} {
		if _, err := ParseLimits(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseLimits(%q): %v; want an error with %q", text, err, want)
		}
	}
	for text, want := range map[string]string{`{"rate":"x"}`: "rate", `{"speed":1}`: "unknown field", `{"retryAfter":"soon"}`: "a duration", `{"monthly":-1}`: "not below 0"} {
		if err := new(Limits).UnmarshalJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("limits %s: %v; want an error with %q", text, err, want)
		}
	}
}
