package graphsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Shape is how an error body says its code.
type Shape string

// The shapes that occur on this surface.
const (
	// Textual is Graph's gateway: "code": "NotFound".
	Textual Shape = "textual"
	// Numeric is the calling service, passed on: "code": "8522".
	Numeric Shape = "numeric"
	// Wrapped is the calling service inside the gateway's message: "code":
	// "UnknownError", "message": "{\"errorCode\":\"8529\",…}".
	Wrapped Shape = "wrapped"
)

// Shapes lists every shape.
var Shapes = []Shape{Textual, Numeric, Wrapped}

// apiError is an error answer of Graph.
type apiError struct {
	status     int
	code       string // textual, or a decimal number of the calling service
	message    string
	shape      Shape
	retryAfter string // header, as it is sent
	challenge  string // WWW-Authenticate
}

// badRequest is the gateway's own refusal of a body.
func badRequest(format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "BadRequest", message: fmt.Sprintf(format, args...)}
}

// invalid is the calling service's refusal of an argument.
func invalid(format string, args ...any) *apiError {
	return service(http.StatusBadRequest, 8523, format, args...)
}

// service is an error of the calling service. The shapes are those the codes
// were seen with; 7503 and 8529 came wrapped.
func service(status, code int, format string, args ...any) *apiError {
	shape := Numeric
	if code == 7503 || code == 8529 {
		shape = Wrapped
	}
	return &apiError{status: status, code: strconv.Itoa(code), message: fmt.Sprintf(format, args...), shape: shape}
}

func callNotFound() *apiError { return service(http.StatusNotFound, 8522, "Call not found.") }

func notEstablished(state string) *apiError {
	return service(http.StatusBadRequest, 8501, "Call is not established, its state is %s.", state)
}

func unbindable() *apiError {
	return service(http.StatusInternalServerError, 9999, "Unkown internal Server Error.") // Microsoft's spelling
}

func throttled(retryAfter string) *apiError {
	return &apiError{status: http.StatusTooManyRequests, code: "TooManyRequests", message: "Please retry again later.", retryAfter: retryAfter}
}

// gatewayCodes are the textual codes by status.
var gatewayCodes = map[int]string{
	400: "BadRequest", 401: "InvalidAuthenticationToken", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
	409: "Conflict", 410: "Gone", 412: "PreconditionFailed", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType",
	422: "UnprocessableEntity", 429: "TooManyRequests", 500: "InternalServerError", 501: "NotImplemented",
	502: "BadGateway", 503: "ServiceUnavailable", 504: "GatewayTimeout", 509: "BandwidthLimitExceeded",
}

func gatewayCode(status int) string {
	if code := gatewayCodes[status]; code != "" {
		return code
	}
	return "generalException"
}

// isServiceCode tells the calling service's decimal codes from textual ones.
func isServiceCode(code string) bool {
	_, err := strconv.Atoi(code)
	return err == nil
}

// body is the error in its shape, or in the forced one.
func (e *apiError) body(forced Shape, requestID, clientRequestID string) object {
	code, message := e.code, e.message
	shape := e.shape
	if forced != "" && isServiceCode(e.code) {
		shape = forced
	}
	switch {
	case !isServiceCode(e.code):
	case shape == Textual:
		code = gatewayCode(e.status)
	case shape == Wrapped:
		code = "UnknownError"
		wrapped, _ := json.Marshal(struct { // strings alone always marshal
			ErrorCode   string `json:"errorCode"`
			Message     string `json:"message"`
			Annotations []any  `json:"instanceAnnotations"`
		}{e.code, e.message, []any{}})
		message = string(wrapped)
	}
	inner := object{
		"date":              time.Now().UTC().Format("2006-01-02T15:04:05"),
		"request-id":        requestID,
		"client-request-id": clientRequestID,
	}
	if e.code == "TooManyRequests" {
		inner["code"], inner["status"], inner["message"] = "429", "429", "Please retry after"
	}
	return object{"error": object{"code": code, "message": message, "innerError": inner}}
}
