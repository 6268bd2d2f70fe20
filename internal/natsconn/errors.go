package natsconn

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
)

// Reason sorts connection errors by whom they are for.
type Reason string

// The reasons.
const (
	Settings    Reason = "settings"    // what we were told cannot be used
	Unreachable Reason = "unreachable" // nobody answers there
	Refused     Reason = "refused"     // the server does not let us in
	Secured     Reason = "tls"         // the two sides do not agree on TLS
	Other       Reason = "other"
)

// Error is why there is no connection, in one line.
type Error struct {
	Reason  Reason
	Problem string
	err     error
}

func (e *Error) Error() string { return e.Problem }

// Unwrap gives the client's own error.
func (e *Error) Unwrap() error { return e.err }

// explain turns what the client says into one line that names the server and
// what to look at. It is the only place that knows the client's errors.
func explain(o ConnOptions, err error) *Error {
	at := servers(o.URL)
	problem := func(r Reason, format string, args ...any) *Error {
		return &Error{Reason: r, Problem: fmt.Sprintf(format, args...), err: err}
	}
	var (
		unknownCA x509.UnknownAuthorityError
		badHost   x509.HostnameError
		invalid   x509.CertificateInvalidError
		dns       *net.DNSError
		timeout   net.Error
	)
	switch {
	case errors.Is(err, nats.ErrSecureConnRequired):
		return problem(Secured, "NATS server at %s requires TLS: use tls:// or give the CA file", at)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return problem(Secured, "NATS server at %s offers no TLS, but tls:// or a certificate was asked for", at)
	case errors.As(err, &unknownCA):
		return problem(Secured, "NATS server at %s has a certificate of an unknown authority: give its CA file", at)
	case errors.As(err, &badHost):
		return problem(Secured, "NATS server at %s has a certificate for another name: %v", at, badHost)
	case errors.As(err, &invalid):
		return problem(Secured, "NATS server at %s has a certificate that is not valid: %v", at, invalid)
	case strings.Contains(err.Error(), "remote error: tls: "): // an alert, whose type crypto/tls keeps to itself
		return problem(Secured, "NATS server at %s ended the TLS handshake: %s: does it want a client certificate, or another one?", at, reason(err))
	case errors.Is(err, nats.ErrTLS): // in TLS 1.3 the server refuses the client after its handshake
		return problem(Secured, "NATS server at %s closed the connection after the TLS handshake: does it want a client certificate, or another one?", at)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired), errors.Is(err, nats.ErrNkeysNotSupported):
		return problem(Refused, "NATS server at %s refuses %s: %s", at, o.identity(), reason(err))
	case errors.As(err, &dns):
		return problem(Unreachable, "no NATS server at %s: the name %s cannot be resolved", at, dns.Name)
	case errors.Is(err, nats.ErrNoServers):
		return problem(Unreachable, "no NATS server at %s: connection refused", at)
	case errors.Is(err, nats.ErrTimeout), errors.As(err, &timeout) && timeout.Timeout():
		return problem(Unreachable, "no NATS server at %s: no answer in time", at)
	case strings.Contains(err.Error(), "tls: "):
		return problem(Secured, "NATS server at %s: %s: does it speak TLS there?", at, reason(err))
	case errors.As(err, &timeout):
		return problem(Unreachable, "no NATS server at %s: %s", at, reason(err))
	}
	return problem(Other, "connection to NATS server at %s: %s", at, reason(err))
}

// identity says what we showed the server, without showing it again.
func (o ConnOptions) identity() string {
	switch {
	case o.Creds != "":
		return "the credentials file " + o.Creds
	case o.NKey != "":
		return "the NKey of " + o.NKey
	case o.User != "" && o.Password != "":
		return fmt.Sprintf("user %q with this password", o.User)
	case o.User != "":
		return "the token"
	case o.Cert != "":
		return "the client certificate " + o.Cert
	case strings.Contains(o.URL, "@"):
		return "the user in the address"
	}
	return "a client without credentials"
}

func reason(err error) string {
	return strings.TrimPrefix(strings.TrimSpace(err.Error()), "nats: ")
}
