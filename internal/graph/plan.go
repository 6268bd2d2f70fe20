package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
)

// plan is a Request that has been checked and given its URL.
type plan struct {
	operation       Operation
	method          string
	url             string // without query
	tenant          string
	body            []byte
	clientRequestID string
	scenarioID      string
	guard           func() error
}

func (c *Client) plan(r Request) (plan, error) {
	route, ok := c.routes[r.Operation]
	if !ok {
		return plan{}, fmt.Errorf("unknown operation %q", r.Operation)
	}
	path, err := route.path(r.CallID, r.SessionID)
	if err != nil {
		return plan{}, err
	}
	body, err := requestBody(r)
	if err != nil {
		return plan{}, err
	}
	if r.Operation != ListParticipants && (r.Top != 0 || r.SkipToken != "" || r.MaxBody != 0) {
		return plan{}, errors.New("paging is for listParticipants only")
	}
	if r.Top < 0 || r.MaxBody < 0 {
		return plan{}, errors.New("top and the size limit must not be negative")
	}
	p := plan{
		operation:       r.Operation,
		method:          route.Method,
		url:             c.base.String() + path,
		tenant:          firstOf(r.TenantID, c.defaultTenant),
		body:            body,
		clientRequestID: r.ClientRequestID,
		scenarioID:      r.ScenarioID,
		guard:           r.Guard,
	}
	if p.clientRequestID == "" {
		p.clientRequestID = uuid.NewString()
	}
	for _, h := range []struct{ name, value string }{
		{"client request id", p.clientRequestID}, {"scenario id", p.scenarioID}, {"tenant", p.tenant},
	} {
		if h.value != "" && checkID(h.value) != nil {
			return plan{}, fmt.Errorf("%s: %w", h.name, checkID(h.value))
		}
	}
	return p, nil
}

// requestBody checks the body against the operation. The three actions without
// required parameters get an empty object when there is none.
func requestBody(r Request) ([]byte, error) {
	body := bytes.TrimSpace(r.Body)
	switch r.Operation {
	case Mute, Unmute, CancelMediaProcessing:
		if len(body) == 0 {
			return []byte("{}"), nil
		}
	case CreateCall, PlayPrompt, Redirect, Transfer:
		if len(body) == 0 {
			return nil, fmt.Errorf("%s needs a body", r.Operation)
		}
	default:
		if len(body) != 0 {
			return nil, fmt.Errorf("%s takes no body", r.Operation)
		}
		return nil, nil
	}
	if body[0] != '{' || !json.Valid(body) {
		return nil, errors.New("body is not a JSON object")
	}
	return body, nil
}

// header sets what every request carries. client-request-id is echoed and is
// what support asks for; Scenario-Id comes back on the call's notifications.
func (p plan) header(req *http.Request, token string) {
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("client-request-id", p.clientRequestID)
	if p.scenarioID != "" {
		req.Header.Set("Scenario-Id", p.scenarioID)
	}
	if len(p.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
		req.ContentLength = int64(len(p.body))
	}
}

// sign puts on an error what identifies the request.
func (p plan) sign(e *Error) *Error {
	e.ClientRequestID = p.clientRequestID
	return e
}
