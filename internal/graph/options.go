package graph

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// DefaultTimeout bounds a request whose context has no deadline.
const DefaultTimeout = 10 * time.Second

// Options configure a Client. Exactly one of NewCredential, Credential,
// TokenFile and StaticToken says where tokens come from; everything else has
// a default.
type Options struct {
	// Cloud chooses Graph's root, the scope of the tokens and the authority;
	// empty means PublicCloud.
	Cloud Cloud
	// BaseURL is Graph's base with its version, such as
	// https://graph.microsoft.com/v1.0; empty means that of Cloud. Plain http is
	// accepted for loopback only.
	BaseURL string
	// Route is the preferred family of routes; empty means Communications.
	Route Family

	// NewCredential makes a credential for one tenant. It is called when the
	// tenant is first used, and again when Graph answers 401: azidentity
	// returns its cached token until that expires, so only a new credential
	// fetches a fresh one.
	NewCredential func(tenant string) (azcore.TokenCredential, error)
	// Credential serves every tenant. After a 401 without a claims challenge it
	// can only be asked again; if it gives the same token, the 401 stands.
	Credential azcore.TokenCredential
	// TokenFile holds a fixed bearer token, read again when the file changes.
	// Loopback base URLs only.
	TokenFile string
	// StaticToken is a fixed bearer token. Loopback base URLs only.
	StaticToken string

	// DefaultTenant is used for a Request without one. It may be empty when the
	// token is fixed or every request names its tenant.
	DefaultTenant string
	// Timeout bounds a request whose context has no deadline; zero means
	// DefaultTimeout.
	Timeout time.Duration
	// UserAgent names the program and its version, such as callbus/1.2.0.
	UserAgent string
	// Transport carries the requests; nil means a tuned one of our own. Of an
	// *http.Transport a copy is used, with HTTP/1.1 alone and its connections
	// watched. With any other RoundTripper Request.Guard is asked just before
	// RoundTrip, and whatever fails after that may have been sent.
	Transport http.RoundTripper
	// Logger takes one debug record a request; nil discards it.
	Logger *slog.Logger
	// OnRequest, when set, is told of every HTTP request that was sent or found
	// no connection. It is called on the goroutine of
	// Do with its context and must not block.
	OnRequest func(ctx context.Context, a Attempt)
	// OnToken, when set, is told of every token that was fetched from the
	// authority or read from a file, and with an error of every one that was not
	// to be had. It must not block.
	OnToken func(err error)
}

// Attempt is what became of one HTTP request.
type Attempt struct {
	Operation Operation
	Status    int    // HTTP; 0 without an answer
	Code      string // Graph's, if the answer carried one
	// ClientRequestID went out with it, RequestID came back.
	ClientRequestID, RequestID string
	Duration                   time.Duration
	// Date is when the answer was made by the clock of who made it, to the second;
	// zero without an answer, or without that header.
	Date time.Time
}
