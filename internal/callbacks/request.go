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
	OutcomeTooLarge    = "tooLarge"    // more than MaxBody
	OutcomeStoreFailed = "storeFailed" // not stored, or its owner not found out
)

// Outcomes lists every outcome that a [Counter] is told.
var Outcomes = outcomes()

func outcomes() []string {
	all := []string{OutcomeStored, OutcomeDuplicate, OutcomeUnreadable, OutcomeTooLarge, OutcomeStoreFailed}
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
	r.log.warn("notification refused", string(reason), "reason", string(reason), "per_call", addr.perCall)

	status := http.StatusForbidden // as Microsoft's sample answers
	switch {
	case reason == RefusedNoToken:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	case errors.Is(err, ErrNoKeys):
		status = http.StatusServiceUnavailable
	}
	http.Error(w, reason.Error(), status)
	return Claims{}, false
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
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		status = http.StatusRequestTimeout
		err = errors.New("body is too slow")
	}
	r.opts.Counter.Notification("", outcome)
	r.log.warn("notification not read", outcome, "reason", outcome, "err", err)
	http.Error(w, err.Error(), status)
	return nil, false
}

// maxMessageID bounds what a stranger can make us put into a header.
const maxMessageID = 128

// messageID is Graph's id of the request, "" when it is missing or unfit to be
// a header of ours.
func messageID(req *http.Request) string {
	id := req.Header.Get("X-Microsoft-Skype-Message-ID")
	unfit := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(id) > maxMessageID || strings.ContainsFunc(id, unfit) {
		return ""
	}
	return id
}

// eventID names one of a request's events, "" without a message id.
func eventID(messageID string, index int) string {
	if messageID == "" {
		return ""
	}
	return messageID + "." + strconv.Itoa(index)
}
