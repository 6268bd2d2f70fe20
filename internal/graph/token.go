package graph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// tokenSource gives bearer tokens by tenant. Its errors are *tokenError or the
// context's.
type tokenSource interface {
	// token returns a token that is still good for a request.
	token(ctx context.Context, tenant string) (azcore.AccessToken, error)
	// renew is asked after Graph refused a token with 401. It returns another
	// token, or false when there is none to be had now. claims are the decoded
	// claims of Graph's challenge, if any.
	renew(ctx context.Context, tenant, refused, claims string) (azcore.AccessToken, bool, error)
}

// tokenError says in one line, without secrets, why there is no token.
type tokenError struct {
	message string
	err     error
}

func (e *tokenError) Error() string { return e.message }
func (e *tokenError) Unwrap() error { return e.err }

// newTokenError takes Entra ID's own words out of azidentity's many lines. It
// reads the kept answer's body, so it is called once an error.
func newTokenError(err error) *tokenError {
	message := err.Error()
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		if said := entraMessage(failed.RawResponse); said != "" {
			message = said
		}
	}
	return &tokenError{message: redact(message), err: err}
}

// entraMessage returns error_description up to the trace ids that follow it.
func entraMessage(resp *http.Response) string {
	if resp == nil {
		return ""
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return ""
	}
	var w struct {
		Error       text `json:"error"`
		Description text `json:"error_description"`
	}
	if json.Unmarshal(body, &w) != nil {
		return "token endpoint answered " + resp.Status
	}
	said, _, _ := strings.Cut(string(w.Description), "Trace ID:")
	said, _, _ = strings.Cut(said, "\n")
	return firstOf(strings.TrimSpace(said), string(w.Error), "token endpoint answered "+resp.Status)
}

var (
	bearerChallenge = regexp.MustCompile(`(?i)\bBearer\s+((?:\w+="[^"]*"(?:\s*,\s*)?)+)`)
	challengeParam  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// claimsChallenge returns the decoded claims of a continuous access evaluation
// challenge, "" without one (Microsoft page "Claims challenges, claims requests,
// and client capabilities").
func claimsChallenge(header http.Header) string {
	for _, value := range header.Values("WWW-Authenticate") {
		for _, challenge := range bearerChallenge.FindAllStringSubmatch(value, -1) {
			params := map[string]string{}
			for _, p := range challengeParam.FindAllStringSubmatch(challenge[1], -1) {
				params[strings.ToLower(p[1])] = p[2]
			}
			if params["error"] != "insufficient_claims" || params["claims"] == "" {
				continue
			}
			raw := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(params["claims"])
			decoded, err := io.ReadAll(base64.NewDecoder(base64.RawStdEncoding, strings.NewReader(raw)))
			if err == nil && json.Valid(decoded) {
				return string(decoded)
			}
		}
	}
	return ""
}
