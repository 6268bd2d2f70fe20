package callbacks

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestForwardedFor(t *testing.T) {
	tests := []struct {
		name    string
		headers []string
		want    string
	}{
		{"no proxy", nil, ""},
		{"one proxy", []string{"203.0.113.7"}, "203.0.113.7"},
		{"several proxies: what the nearest says", []string{"192.0.2.1, 203.0.113.7"}, "203.0.113.7"},
		{"several headers: the last", []string{"192.0.2.1", "203.0.113.7"}, "203.0.113.7"},
		{"an address of IPv6 with a port", []string{"[2001:db8::1]:443"}, "[2001:db8::1]:443"},
		{"what a stranger made up", []string{"203.0.113.7\nlevel=ERROR"}, "not an address"},
		{"without end", []string{strings.Repeat("1", 1000)}, "not an address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := post(callPath, "good", "")
			req.Header["X-Forwarded-For"] = tt.headers
			if got := forwardedFor(req); got != tt.want {
				t.Errorf("forwardedFor() = %q; want %q", got, tt.want)
			}
		})
	}
}

// What a proxy says of a request changes who is logged and nothing else.
func TestBehindAProxy(t *testing.T) {
	r, f := setup(t, nil)
	send := func(path, token string) int {
		req := post(path, token, body(value("updated", "", `{"state":"established"}`)))
		req.Host = "worker.internal"
		req.Header.Set("X-Forwarded-For", "203.0.113.7")
		req.Header.Set("X-Forwarded-Host", "callbus.contoso.com")
		req.Header.Set("X-Forwarded-Proto", "http")
		req.Header.Set("X-Forwarded-Prefix", "/elsewhere")
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		return rec.Code
	}
	if got := send(callPath, "good"); got != 202 || len(f.stored) != 1 {
		t.Errorf("status %d, %d events; want 202 and 1", got, len(f.stored))
	}
	if got := send(callPath, "badSignature"); got != 403 || !strings.Contains(f.log.String(), "forwarded_for=203.0.113.7") {
		t.Errorf("status %d, log %s; want 403 and the address", got, &f.log)
	}
	if got := send("/hooks/v1/other", "good"); got != 404 || !strings.Contains(f.log.String(), "path=/hooks/v1/other") {
		t.Errorf("status %d, log %s; want 404 and the path", got, &f.log)
	}
	f.lookErr = errors.New("not to be asked")
	if got := send(strings.TrimPrefix(callPath, "/hooks"), "good"); got != 202 {
		t.Errorf("status %d without the base path; want 202", got)
	}
}
