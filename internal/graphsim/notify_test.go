package graphsim

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestNotificationsAreAsDocumented(t *testing.T) {
	story(t, nil, func(w *world) {
		const scenario = "28b200d4-5ea9-4b3d-8cc7-ba3145d404e9"
		id := w.do("POST", calls, phoneCall("+12345678901"), "Scenario-Id", scenario).id()
		w.pass(w.opts.AnswerAfter)
		w.do("DELETE", calls+"/"+id, nil)
		w.pass(time.Minute)
		got := w.read()
		names := []string{"application-post-calls.1.establishing", "application-post-calls.1.established", "call-delete.1.terminating", "call-delete.1.terminated"}
		if len(got) != len(names) {
			t.Fatalf("%d notifications; want %d", len(got), len(names))
		}
		call, _ := w.Call(id)
		seen := map[string]bool{}
		for i, name := range names {
			n := got[i]
			contains(t, name, sample(t, "notification."+name), n.body)
			v := n.value()
			if v["resource"] != "/app/calls/"+id || v["resourceUrl"] != "/communications/calls/"+id || v["callbackUri"] != webhook || n.url != webhook {
				t.Errorf("%s: %v to %s; want both paths of the call and its callbackUri", name, v, n.url)
			}
			for header, want := range map[string]string{
				"Content-Type": "application/json; charset=utf-8", "User-Agent": "Microsoft-Skype/3.0,(Calling/1.0)",
				"Scenario-Id": scenario, "X-Microsoft-Skype-Chain-ID": call.CallChainID,
			} {
				if got := n.header.Get(header); got != want {
					t.Errorf("%s: %s %q; want %q", name, header, got, want)
				}
			}
			seen[n.header.Get("X-Microsoft-Skype-Message-ID")] = true
		}
		if len(seen) != len(names) || seen[""] {
			t.Errorf("message ids %v; want one each", seen)
		}
	})
	story(t, nil, func(w *world) {
		w.do("POST", calls, sample(t, "application-post-calls.5.request"))
		w.pass(w.opts.AnswerAfter)
		got := w.read()
		contains(t, "establishing", sample(t, "notification.application-post-calls.5.established"), got[1].body)
		contains(t, "roster", sample(t, "notification.application-post-calls.5.roster")["value"].([]any)[0].(object)["callbackUri"], got[2].value()["callbackUri"])
	})
}

func TestNotificationTokens(t *testing.T) {
	story(t, func(o *Options) { o.AppID = "the-app" }, func(w *world) {
		w.placed(with(userCall("a"), "tenantId", tenantA))
		claims := jwt.MapClaims{}
		w.place(with(userCall("a"), "tenantId", tenantA))
		w.pass(0)
		token, err := jwt.ParseWithClaims(strings.TrimPrefix(w.read()[0].header.Get("Authorization"), "Bearer "), claims, w.notifyKeys.find,
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(DefaultIssuer), jwt.WithAudience("the-app"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		if err != nil {
			t.Fatal(err)
		}
		if token.Header["kid"] != notifySigner.keys[0].id || claims["tid"] != tenantA || claims["nbf"] == nil {
			t.Errorf("header %v, claims %v; want our kid, the call's tenant, nbf", token.Header, claims)
		}
	})
}

func TestNotificationsAreDeliveredAgain(t *testing.T) {
	answers := func(statuses ...int) func(*http.Request) (int, http.Header, error) {
		return func(*http.Request) (int, http.Header, error) {
			status := statuses[0]
			if len(statuses) > 1 {
				statuses = statuses[1:]
			}
			if status == 0 {
				return 0, nil, errors.New("connection refused")
			}
			return status, http.Header{}, nil
		}
	}
	tests := []struct {
		name     string
		statuses []int // 0: nobody is there
		outcome  string
		attempts int
	}{
		{"taken at once", []int{202}, "sent", 1},
		{"taken with 200", []int{200}, "sent", 1},
		{"taken with 204", []int{204}, "sent", 1},
		{"not there, then broken, then taken", []int{0, 503, 202}, "sent", 3},
		{"refused for good", []int{403}, "refused", 1},
		{"moved, which only incoming calls may be", []int{302}, "refused", 1},
		{"never there", []int{0}, "refused", 5},
		{"broken for good", []int{500}, "refused", 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				w.respond = answers(tt.statuses...)
				id := w.place(userCall("alice-487"))
				w.pass(4 * time.Second)
				call, _ := w.Call(id)
				n := call.Notifications[0]
				if n.Outcome != tt.outcome || n.Attempts != tt.attempts || n.Status != tt.statuses[len(tt.statuses)-1] {
					t.Errorf("notification %+v; want %s after %d", n, tt.outcome, tt.attempts)
				}
				stats := w.Stats().Notifications
				want := NotificationStats{Retries: tt.attempts - 1}
				if tt.outcome == "sent" {
					want.Sent = 1
				} else {
					want.Refused = 1
				}
				if stats != want {
					t.Errorf("stats %+v; want %+v", stats, want)
				}
				ids := map[string]bool{}
				for _, r := range w.read() {
					ids[r.header.Get("X-Microsoft-Skype-Message-ID")] = true
				}
				if len(ids) > 1 {
					t.Errorf("message ids %v; want the same in every attempt", ids)
				}
			})
		})
	}
	t.Run("backoff doubles", func(t *testing.T) {
		story(t, nil, func(w *world) {
			var at []time.Duration
			start := time.Now()
			w.respond = func(*http.Request) (int, http.Header, error) {
				at = append(at, time.Since(start))
				return 500, http.Header{}, nil
			}
			w.place(userCall("alice-487"))
			w.pass(4 * time.Second)
			for i, want := range []time.Duration{0, 200, 600, 1400, 3000} {
				if at[i] != want*time.Millisecond {
					t.Errorf("attempt %d at %v; want %v", i+1, at[i], want*time.Millisecond)
				}
			}
		})
	})
}

func TestIncomingNotificationsMoveAndComeAgain(t *testing.T) {
	story(t, nil, func(w *world) {
		w.respond = func(r *http.Request) (int, http.Header, error) {
			if r.URL.Host == "bot.example" {
				return 302, http.Header{"Location": {"https://other.example/v1/notifications"}}, nil
			}
			return 202, http.Header{}, nil
		}
		incoming(w)
		if got := w.read(); len(got) != 2 || got[1].url != "https://other.example/v1/notifications" {
			t.Errorf("sent %v; want it moved", got)
		}
	})
	story(t, nil, func(w *world) {
		first := true
		w.respond = func(*http.Request) (int, http.Header, error) {
			defer func() { first = false }()
			if first {
				return 204, http.Header{}, nil // "I speak the older format, send it again"
			}
			return 202, http.Header{}, nil
		}
		incoming(w)
		w.pass(time.Second)
		w.wantTold("created incoming", "created incoming")
	})
}

func TestNotificationsOfACallStayInOrder(t *testing.T) {
	story(t, nil, func(w *world) {
		broken := 3
		w.respond = func(*http.Request) (int, http.Header, error) {
			if broken--; broken >= 0 {
				return 503, http.Header{}, nil
			}
			return 202, http.Header{}, nil
		}
		w.place(userCall("alice"))
		w.pass(time.Minute)
		const first = "updated establishing"
		w.wantTold(first, first, first, first, "updated established", "updated established audio active")
	})
}

func TestNotificationFaults(t *testing.T) {
	const establishing, established, active = "updated establishing", "updated established", "updated established audio active"
	tests := []struct {
		name   string
		faults []Fault
		want   []string
	}{
		{"none", nil, []string{establishing, established, active}},
		{"the first is lost", []Fault{{Notifications: Lose, Count: 1}}, []string{established, active}},
		{"one kind is lost", []Fault{{Notifications: Lose, Kind: "established"}}, []string{establishing}},
		{"the first is late", []Fault{{Operation: "notification", Notifications: Late, Count: 1}}, []string{established, active, establishing}},
		{"the first two are swapped", []Fault{{Operation: "*", Notifications: Swap, Kind: "establishing"}}, []string{established, establishing, active}},
		{"the last has nothing to swap with", []Fault{{Notifications: Swap, Kind: "established"}}, []string{establishing, established, active}},
		{"the first is doubled", []Fault{{Notifications: Double, Count: 1}}, []string{establishing, establishing, established, active}},
		{"the first is doubled later", []Fault{{Notifications: Double, Count: 1, Delay: time.Second}}, []string{establishing, established, active, establishing}},
		{"of this call", []Fault{{Notifications: Lose, CallRef: "order-*"}}, nil},
		{"of another call", []Fault{{Notifications: Lose, CallRef: "order-2"}}, []string{establishing, established, active}},
		{"of this path", []Fault{{Notifications: Lose, CallRef: "/v1/notifications/*/order-1/*"}}, nil},
		{"of this tenant", []Fault{{Notifications: Lose, TenantID: strings.ToUpper(DefaultTenantID)}}, nil},
		{"of another tenant", []Fault{{Notifications: Lose, TenantID: tenantA}}, []string{establishing, established, active}},
		{"of requests", []Fault{{Operation: "*", Delay: time.Millisecond}}, []string{establishing, established, active}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				if err := w.SetFaults(tt.faults...); err != nil {
					t.Fatal(err)
				}
				id := w.place(userCall("alice"))
				w.pass(10 * time.Second)
				got := w.read()
				var short []string
				ids := map[string]int{}
				for _, n := range got {
					short = append(short, n.short())
					ids[n.header.Get("X-Microsoft-Skype-Message-ID")]++
				}
				if strings.Join(short, ", ") != strings.Join(tt.want, ", ") {
					t.Errorf("told %q; want %q", short, tt.want)
				}
				if len(got) == 4 && len(ids) != 3 {
					t.Errorf("message ids %v; want the doubled one to have the same", ids)
				}
				stats := w.Stats().Notifications
				call, _ := w.Call(id)
				lost := 0
				for _, n := range call.Notifications {
					if n.Outcome == "lost" {
						lost++
					}
				}
				if stats.Sent != len(got) || stats.Lost != lost || stats.Pending != 0 {
					t.Errorf("stats %+v; want %d sent, %d lost, none pending", stats, len(got), lost)
				}
			})
		})
	}
}

func TestCloseEndsDeliveries(t *testing.T) {
	story(t, nil, func(w *world) {
		w.respond = func(*http.Request) (int, http.Header, error) { return 500, http.Header{}, nil }
		w.place(userCall("alice"))
		w.pass(0)
		w.SetFaults(Fault{Notifications: Late, Delay: time.Hour})
		w.place(userCall("bob"))
		w.Close()
		n := len(w.read())
		w.pass(24 * time.Hour)
		if more := w.read(); n != 1 || len(more) != 0 {
			t.Errorf("%d notifications, then %d; want one and none after Close", n, len(more))
		}
		if res := w.do("GET", calls+"/x", nil); res.status != 503 {
			t.Errorf("a closed simulator answers %d; want 503", res.status)
		}
	})
}
