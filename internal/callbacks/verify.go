package callbacks

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Refusal is why a token was refused, a closed set that is also counted. As an
// error it is what [Auth.Verify] returns.
type Refusal string

// The refusals.
const (
	RefusedNoToken     Refusal = "noToken"
	RefusedMalformed   Refusal = "malformed"
	RefusedAlgorithm   Refusal = "badAlgorithm" // anything but RS256
	RefusedUnknownKey  Refusal = "unknownKey"   // the kid is in no source
	RefusedSignature   Refusal = "badSignature"
	RefusedIssuer      Refusal = "issuer"
	RefusedAudience    Refusal = "audience"
	RefusedExpired     Refusal = "expired" // or without exp
	RefusedNotYetValid Refusal = "notYetValid"
	RefusedTenant      Refusal = "tenant"   // tid names a tenant that is not configured
	RefusedNoTenant    Refusal = "noTenant" // tid is missing where it is required
)

// Refusals lists every refusal.
var Refusals = []Refusal{RefusedNoToken, RefusedMalformed, RefusedAlgorithm, RefusedUnknownKey, RefusedSignature,
	RefusedIssuer, RefusedAudience, RefusedExpired, RefusedNotYetValid, RefusedTenant, RefusedNoTenant}

// Error says what was wrong; it never quotes the token.
func (r Refusal) Error() string { return "token refused: " + string(r) }

// ErrNoKeys joins RefusedUnknownKey while no source has ever been loaded: the
// token may well be good, so the sender should try again.
var ErrNoKeys = errors.New("no callback keys loaded yet")

// tokenClaims are the claims looked at.
type tokenClaims struct {
	jwt.RegisteredClaims
	TenantID string `json:"tid"`
}

// Verify checks a compact JWT without "Bearer ". perCall tells whether it came
// to a call's own URL, where a tid may be required that the global webhook does
// without. The error is, or wraps, a [Refusal]. Verify blocks while keys are
// fetched on account of an unknown key id: at most FetchTimeout, and no longer
// than ctx.
func (a *Auth) Verify(ctx context.Context, token string, perCall bool) (Claims, error) {
	if token == "" {
		return Claims{}, RefusedNoToken
	}
	if len(token) > maxTokenBytes {
		return Claims{}, RefusedMalformed
	}
	var claims tokenClaims
	if _, err := a.parser.ParseWithClaims(token, &claims, a.keyFor(ctx)); err != nil {
		return Claims{}, refusal(err, claims)
	}
	if !slices.Contains(a.opts.Issuers, trimIssuer(claims.Issuer)) {
		return Claims{}, RefusedIssuer
	}
	if err := a.checkTenant(claims.TenantID, perCall); err != nil {
		return Claims{}, err
	}
	return Claims{TenantID: claims.TenantID}, nil
}

// keyFor finds the keys for a token. Nothing but RS256 gets a key, so a token
// "signed" with HS256 and a public key, or with none, cannot be verified.
func (a *Auth) keyFor(ctx context.Context) jwt.Keyfunc {
	return func(t *jwt.Token) (any, error) {
		if t.Method.Alg() != signingAlgorithm {
			return nil, RefusedAlgorithm
		}
		kid, _ := t.Header["kid"].(string)
		keys, err := a.keys.find(ctx, kid)
		if err != nil {
			return nil, err
		}
		return jwt.VerificationKeySet{Keys: keys}, nil
	}
}

func (a *Auth) checkTenant(tid string, perCall bool) error {
	switch {
	case tid == "" && (a.opts.RequireTID == TIDAlways || a.opts.RequireTID == TIDAuto && perCall):
		return RefusedNoTenant
	case tid != "" && len(a.opts.Tenants) > 0 && !slices.Contains(a.opts.Tenants, strings.ToLower(tid)):
		return RefusedTenant
	}
	return nil
}

// refusal turns the jwt package's error into ours.
func refusal(err error, claims tokenClaims) error {
	if r, ok := errors.AsType[Refusal](err); ok { // from our key function
		if errors.Is(err, ErrNoKeys) {
			return errors.Join(r, ErrNoKeys)
		}
		return r
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return RefusedMalformed
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return RefusedSignature
	case errors.Is(err, jwt.ErrTokenUnverifiable): // an alg nobody knows, or none at all
		return RefusedAlgorithm
	case errors.Is(err, jwt.ErrTokenExpired), claims.ExpiresAt == nil:
		return RefusedExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return RefusedNotYetValid
	case errors.Is(err, jwt.ErrTokenInvalidAudience), len(claims.Audience) == 0:
		return RefusedAudience
	}
	return RefusedMalformed
}
