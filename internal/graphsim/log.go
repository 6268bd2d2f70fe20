package graphsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Request is one request that Graph received.
type Request struct {
	Seq       int       `json:"seq"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"` // zero while it is being answered
	Operation string    `json:"operation"`
	Method    string    `json:"method"`
	Route     string    `json:"route"` // template
	Path      string    `json:"path"`
	// CallID is the call's, also for the request that created it.
	CallID      string `json:"callId,omitempty"`
	CallbackURI string `json:"callbackUri,omitempty"`
	// CallRef is the second segment after "notifications" in the path of CallbackURI.
	CallRef         string `json:"callRef,omitempty"`
	TenantID        string `json:"tenantId,omitempty"`
	AppID           string `json:"appId,omitempty"`
	ClientRequestID string `json:"clientRequestId,omitempty"`
	UserAgent       string `json:"userAgent,omitempty"`
	// Status is 0 if the connection was cut instead of answering.
	Status int `json:"status"`
	// Executed tells whether the operation was tried; throttled, unauthenticated
	// and faulted requests are not.
	Executed bool   `json:"executed"`
	Code     string `json:"code,omitempty"`  // of the error
	Fault    string `json:"fault,omitempty"` // that was applied
	// Body is the request's: JSON as it came, anything else or more than 16 KiB as a string.
	Body json.RawMessage `json:"body,omitempty"`
}

// begin enters a request into the log.
func (s *Sim) begin(x *exchange, r *http.Request, route string, arrived time.Time) {
	e := &Request{
		Start: arrived, Operation: x.op.name, Method: r.Method, Route: route, Path: r.URL.Path,
		CallID: r.PathValue("id"), ClientRequestID: r.Header.Get("client-request-id"),
		UserAgent: r.UserAgent(), Body: loggedBody(x.body),
	}
	var create struct {
		CallbackURI string `json:"callbackUri"`
		TenantID    string `json:"tenantId"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.op.name == opCreate {
		if json.Unmarshal(x.body, &create) == nil {
			e.CallbackURI, e.TenantID = create.CallbackURI, create.TenantID
		}
	} else if c := s.calls[normalID(e.CallID)]; c != nil {
		e.CallID, e.CallbackURI, e.TenantID = c.id, c.callbackURI, c.tenantID
		c.requests = appendBounded(c.requests, e)
	}
	e.CallRef = callRef(e.CallbackURI)
	x.entry = e
	s.log.add(e)
	s.stats.arrived(arrived)
}

// end completes the entry. It comes before the answer is written, so that who
// has the answer finds the entry complete.
func (s *Sim) end(x *exchange, a answer, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.entry.End = time.Now()
	if !cut {
		x.entry.Status = a.status
	}
	if a.err != nil {
		x.entry.Code = a.err.code
	}
	s.stats.answered(*x.entry)
}

// requestLog keeps the latest requests.
type requestLog struct {
	size    int
	seq     int
	entries []*Request
}

func (l *requestLog) add(e *Request) {
	l.seq++
	e.Seq = l.seq
	l.entries = append(l.entries, e)
	if len(l.entries) > 2*l.size { // seldom, so that forgetting is cheap
		l.entries = slices.Clone(l.latest())
	}
}

func (l *requestLog) latest() []*Request {
	return l.entries[max(0, len(l.entries)-l.size):]
}

// Requests returns the latest requests in order of arrival.
func (s *Sim) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return copyRequests(s.log.latest())
}

func copyRequests(entries []*Request) []Request {
	all := make([]Request, len(entries))
	for i, e := range entries {
		all[i] = *e
	}
	return all
}

func appendBounded[T any](list []T, item T) []T {
	if len(list) >= maxCallHistory {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, item)
}

func loggedBody(body []byte) json.RawMessage {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil
	case len(body) <= maxLoggedBody && json.Valid(body):
		return body
	}
	text, _ := json.Marshal(string(body[:min(len(body), maxLoggedBody)])) // a string always marshals
	return text
}

// callRef reads a callbackUri of the form …/notifications/{producer}/{callRef}/….
func callRef(callbackURI string) string {
	u, err := url.Parse(callbackURI)
	if err != nil {
		return ""
	}
	segments := strings.Split(u.Path, "/")
	if i := slices.Index(segments, "notifications"); i >= 0 && i+2 < len(segments) {
		return segments[i+2]
	}
	return ""
}

// normalID makes the spellings of an id equal: dashes and case do not count.
func normalID(id string) string { return strings.ToLower(strings.ReplaceAll(id, "-", "")) }
