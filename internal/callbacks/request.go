package callbacks

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// What becomes of a notification, beside the [Refusal] of its token.
const (
	OutcomeStored      = "stored"
	OutcomeDuplicate   = "duplicate"   // stored before, says the store
	OutcomeUnreadable  = "unreadable"  // no notification in it, or cut off
	OutcomeTooLarge    = "tooLarge"    // more than MaxBody, or than MaxValues in it
	OutcomeTooSlow     = "tooSlow"     // not there within ReadTimeout
	OutcomeStoreFailed = "storeFailed" // not stored, or its owner not found out
	OutcomeNotFound    = "notFound"    // a path that is no notification's, or not POST

	// OutcomeTooManyConnections is a connection that was closed to make room, or
	// not let in; see [ServerOptions].
	OutcomeTooManyConnections = "tooManyConnections"
)

// Outcomes lists every outcome that a [Counter] is told.
var Outcomes = outcomes()

func outcomes() []string {
	all := []string{OutcomeStored, OutcomeDuplicate, OutcomeUnreadable, OutcomeTooLarge, OutcomeTooSlow,
		OutcomeStoreFailed, OutcomeNotFound, OutcomeTooManyConnections}
	for _, r := range Refusals {
		all = append(all, string(r))
	}
	return all
}

// authorize checks the bearer token and, if it does not hold, answers.
func (r *Receiver) authorize(w http.ResponseWriter, req *http.Request, addr address) (Claims, bool) {
	claims, err := r.opts.Auth.Verify(req.Context(), bearer(req), addr.perCall)
	if err == nil {
		return claims, true
	}
	reason, ok := errors.AsType[Refusal](err)
	if !ok {
		reason = RefusedMalformed
	}
	r.opts.Counter.Notification("", string(reason))
	r.log.warn("notification refused", string(reason), "reason", string(reason), "per_call", addr.perCall,
		"peer", req.RemoteAddr, "forwarded_for", forwardedFor(req))

	status := http.StatusForbidden // as Microsoft's sample answers
	switch {
	case reason == RefusedNoToken:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", challenge)
	case errors.Is(err, ErrNoKeys):
		status = http.StatusServiceUnavailable
	}
	refuse(w, reason.Error(), status)
	return Claims{}, false
}

// refusedBodyWait is how long the body of a refused request is waited for. The
// server reads it before it answers, to keep the connection usable; one who sends
// slowly would hold it for the whole of the server's ReadTimeout.
const refusedBodyWait = time.Second

// What refusals say; [WhoAnswered] knows us by it.
const (
	challenge  = "Bearer"
	noSuchPath = "no such path"
)

// refuse answers a request whose body was not read.
func refuse(w http.ResponseWriter, text string, status int) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedBodyWait))
	http.Error(w, text, status)
}

// bearer gives the token, "" when there is none.
func bearer(req *http.Request) string {
	scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// read reads and parses the body and, if it cannot, answers.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request) ([]Notification, bool) {
	// Not every ResponseWriter has deadlines; the server's own ReadTimeout stands behind.
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(r.opts.ReadTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.opts.MaxBody))
	_ = conn.SetReadDeadline(time.Time{})
	var notes []Notification
	if err == nil {
		notes, err = Parse(body)
	}
	if err == nil {
		return notes, true
	}

	status, outcome := http.StatusBadRequest, OutcomeUnreadable
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status, outcome = http.StatusRequestEntityTooLarge, OutcomeTooLarge
		err = errors.New("body is too large: want at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes")
	} else if errors.Is(err, errTooMany) {
		status, outcome = http.StatusRequestEntityTooLarge, OutcomeTooLarge
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		status, outcome = http.StatusRequestTimeout, OutcomeTooSlow
		err = errors.New("body is too slow")
	}
	r.opts.Counter.Notification("", outcome)
	r.log.warn("notification not read", outcome, "reason", outcome, "err", err, "peer", req.RemoteAddr)
	http.Error(w, err.Error(), status)
	return nil, false
}
