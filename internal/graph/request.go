package graph

import (
	"encoding/json"
	"net/http"
	"time"
)

// Request is one request to the calls API.
type Request struct {
	Operation Operation
	// TenantID is the tenant whose token is used.
	TenantID  string
	CallID    string
	SessionID string // GetContentSharingSession
	// Top and SkipToken page ListParticipants; zero values ask for everything
	// that fits MaxBody.
	Top       int
	SkipToken string
	// MaxBody bounds the data that ListParticipants gathers over its pages, in
	// bytes; 0 means 512 KiB. What does not fit is left behind a skip token.
	MaxBody int
	Body    []byte
	// ClientRequestID goes out as client-request-id; made when empty.
	ClientRequestID string
	// ScenarioID goes out as Scenario-Id when set.
	ScenarioID string
	// Guard, when set, is asked after a connection has been obtained and
	// before the first byte of the request is written. An error from it stops
	// the request: Do returns an *Error with Reason Guarded wrapping it, and
	// nothing was sent.
	Guard func() error
}

// Response is a 2xx answer.
type Response struct {
	Status          int
	Body            json.RawMessage // nil when empty
	Header          http.Header
	Location        string
	RequestID       string
	ClientRequestID string
	// SkipToken continues a participants list that did not fit.
	SkipToken string
	Duration  time.Duration
}
