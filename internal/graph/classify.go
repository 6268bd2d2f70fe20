package graph

import (
	"net/http"
	"time"
)

// classify turns any answer but a 2xx into an *Error. The calling service's
// numeric codes decide whichever HTTP status they come with; everything else
// goes by the status, for Microsoft's page "Microsoft Graph error responses"
// says to branch on codes and never on messages.
func classify(op Operation, status int, header http.Header, body []byte) *Error {
	parsed := parseErrorBody(header.Get("Content-Type"), body)
	e := &Error{
		Reason:    reasonOfCode(parsed.code),
		Operation: op,
		Sent:      Answered,
		Status:    status,
		Code:      parsed.code,
		Message:   parsed.message,
		RequestID: firstOf(header.Get("request-id"), parsed.requestID),
		Location:  header.Get("Location"),
	}
	if e.Reason == "" {
		e.Reason = reasonOfStatus(status)
	}
	if status == http.StatusNotFound && parsed.html {
		// Some other server's page: the wrong base URL, not the end of a call.
		e.Reason = Unreadable
	}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	if status == http.StatusUnauthorized {
		e.claims = claimsChallenge(header)
	}
	e.RetryAfter, e.HasRetryAfter = retryAfter(header, time.Now())
	return e
}

// reasonOfCode maps the calling service's numeric codes; "" for any other. The
// numbers are those of Azure Communication Services' troubleshooting tables,
// which is the same service, and coincide with those seen from Graph.
func reasonOfCode(code string) Reason {
	switch code {
	case "7501": // invalid token
		return Unauthorized
	case "7500", // unsupported identity: a delegated token
		"7502", // access not enabled
		"7503", // app not registered as a calling bot
		"7504", // permission or admin consent missing in that tenant
		"7505", // token of another tenant than the call's
		"7506",
		"7507": // source identity is not the app of the token
		return Forbidden
	case "8516":
		return Throttled
	case "8529":
		return MonthlyCalls
	case "8530":
		return LiveCalls
	case "8522", // call or participant not found
		"8528": // call already terminated
		return NotFound
	case "8501", // not established
		"8503", // audio inactive
		"8585": // not in this state
		return NotReady
	case "8519", // conflict with a parallel action
		"8607", // a transfer is already running
		"8583": // precondition failed: incompatible media action
		return Conflict
	case "8500", // invalid media mode
		"8520", // not implemented
		"8523", // invalid argument
		"8526", // bad join token
		"8527", // bad join URL
		"8548", // not a group call
		"8561", // bad meeting id
		"8566": // unmute not allowed
		return Invalid
	case "9001", "9002", "9003", // error, timeout, cancel in an underlying service
		"9998", "9999": // unknown or fatal, often a body that cannot be bound
		return ServerError
	default:
		return ""
	}
}

func reasonOfStatus(status int) Reason {
	switch status {
	case http.StatusUnauthorized:
		return Unauthorized
	case http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusUnavailableForLegalReasons:
		return Forbidden
	case http.StatusNotFound, http.StatusGone:
		return NotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusLocked:
		return Conflict
	case http.StatusTooManyRequests:
		return Throttled
	case http.StatusServiceUnavailable, http.StatusTooEarly:
		return Unavailable
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusGatewayTimeout:
		return GatewayLost
	}
	switch {
	case status >= 500:
		return ServerError
	case status >= 400:
		return Invalid
	default:
		return Unreadable // redirects are never followed
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
