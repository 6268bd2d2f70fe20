package graphsim

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// exchange is one request to Graph and what is known about it.
type exchange struct {
	op      operation
	family  string
	session string
	query   url.Values
	header  http.Header
	body    []byte
	base    string // scheme and host as the client wrote them
	caller  caller
	entry   *Request // its line in the log
}

// serve is the way of one request: read, logged, authenticated, paced, faulted,
// done, answered.
func (s *Sim) serve(op operation, route, family string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		body, bodyErr := readBody(w, r)
		x := &exchange{
			op: op, family: family, session: r.PathValue("session"),
			query: r.URL.Query(), header: r.Header, body: body, base: baseURL(r),
		}
		s.begin(x, r, route, arrived)
		a, cut := s.answer(x, bodyErr)
		s.end(x, a, cut)
		if cut {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		s.write(w, x, a)
	}
}

// answer does what is asked, or what a fault says instead. cut is true if the
// connection is to be closed without an answer.
func (s *Sim) answer(x *exchange, bodyErr *apiError) (a answer, cut bool) {
	if err := s.authenticate(x); err != nil {
		return refuse(err), false
	}
	s.mu.Lock()
	x.entry.AppID = x.caller.app
	if x.caller.tenant != "" {
		x.entry.TenantID = x.caller.tenant
	}
	// Of the fixed token, which fits every tenant, it is the call's.
	tenant := cmp.Or(x.entry.TenantID, s.opts.TenantID)
	if err := s.paceLocked(x.caller.app, tenant); err != nil {
		s.mu.Unlock()
		return refuse(err), false
	}
	f := s.faultForLocked(faultSite{x.op.name, x.entry.CallbackURI, tenant, ""})
	x.entry.Fault = f.name()
	s.mu.Unlock()

	// A client that gives up does not stop what it asked for.
	if !s.sleep(f.delay) {
		return answer{}, true
	}
	instead, early := f.answer()
	switch {
	case f.dropRequest():
		return answer{}, true
	case early:
		return instead, false
	case bodyErr != nil:
		return refuse(bodyErr), false
	}
	s.mu.Lock()
	a = s.doLocked(x)
	s.mu.Unlock()
	if f.afterDoing() {
		return instead, false
	}
	return a, f.dropAnswer()
}

// doLocked finds the call and lets the operation work on it.
func (s *Sim) doLocked(x *exchange) answer {
	x.entry.Executed = x.op.name != opUnknown
	if x.op.name == opCreate || x.op.name == opUnknown {
		return x.op.do(s, x, nil)
	}
	c := s.calls[normalID(x.entry.CallID)]
	if c == nil || !c.ended.IsZero() {
		return refuse(callNotFound())
	}
	if err := x.caller.mayUse(c); err != nil {
		return refuse(err)
	}
	return x.op.do(s, x, c)
}

// write sends the answer with the headers that Graph sends.
func (s *Sim) write(w http.ResponseWriter, x *exchange, a answer) {
	requestID := uuid.NewString()
	clientRequestID := x.entry.ClientRequestID
	if clientRequestID == "" {
		clientRequestID = requestID
	}
	h := w.Header()
	h.Set("request-id", requestID)
	h.Set("client-request-id", clientRequestID)
	h.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"GRAPHSIM"}}`)
	if scenario := x.header.Get("Scenario-Id"); scenario != "" {
		h.Set("scenario-id", scenario)
	}
	if a.location != "" {
		h.Set("Location", x.base+version+a.location)
	}
	body := a.body
	if e := a.err; e != nil {
		setIf(h, "Retry-After", e.retryAfter)
		setIf(h, "WWW-Authenticate", e.challenge)
		if body == nil {
			body = e.body(s.opts.ErrorShape, requestID, clientRequestID)
		}
	}
	switch b := body.(type) {
	case nil:
		if a.text {
			h.Set("Content-Type", "text/plain")
			h.Set("Content-Length", "0")
		}
		w.WriteHeader(a.status)
	case rawBody:
		h.Set("Content-Type", b.contentType())
		w.WriteHeader(a.status)
		io.WriteString(w, string(b)) // a client that is gone is no concern of ours
	default:
		h.Set("Content-Type", "application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false; charset=utf-8")
		h.Set("OData-Version", "4.0")
		w.WriteHeader(a.status)
		json.NewEncoder(w).Encode(b)
	}
}

func setIf(h http.Header, key, value string) {
	if value != "" {
		h.Set(key, value)
	}
}

// rawBody is a body of a fault, sent as it is.
type rawBody string

func (b rawBody) contentType() string {
	switch text := strings.TrimSpace(string(b)); {
	case strings.HasPrefix(text, "<"):
		return "text/html"
	case strings.HasPrefix(text, "{"):
		return "application/json"
	}
	return "text/plain"
}

// readBody reads a body, compressed or not. It is read before anything else, so
// that a request that was sent has been received.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *apiError) {
	var from io.Reader = http.MaxBytesReader(w, r.Body, maxRequestBody)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return nil, badRequest("The request body is not gzip.")
		}
		from = io.LimitReader(unzip, maxRequestBody+1)
	default:
		return nil, &apiError{status: http.StatusUnsupportedMediaType, code: "UnsupportedMediaType",
			message: fmt.Sprintf("Content-Encoding '%s' is not supported, gzip is.", encoding)}
	}
	body, err := io.ReadAll(from)
	if tooLarge, _ := errors.AsType[*http.MaxBytesError](err); tooLarge != nil || len(body) > maxRequestBody {
		return nil, &apiError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLarge", message: "The request body is too large."}
	}
	if err != nil {
		return nil, badRequest("The request body cannot be read.")
	}
	if kind := r.Header.Get("Content-Type"); len(body) > 0 && kind != "" && !strings.Contains(strings.ToLower(kind), "json") {
		return body, badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	return body, nil
}

func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
