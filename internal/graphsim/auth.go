package graphsim

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// caller is who a bearer token speaks for.
type caller struct {
	app    string
	tenant string // "" for the fixed token, which fits every tenant
	fixed  bool
	roles  []string
}

func (c caller) has(role string) bool { return c.fixed || slices.Contains(c.roles, role) }

// mayUse tells whether the token fits the call: tokens are bound to a tenant and
// an app.
func (c caller) mayUse(call *call) *apiError {
	switch {
	case c.fixed:
		return nil
	case !strings.EqualFold(c.tenant, call.tenantID):
		return wrongTenant()
	case call.appID != "" && !strings.EqualFold(c.app, call.appID):
		return callNotFound()
	}
	return nil
}

func wrongTenant() *apiError {
	return service(http.StatusForbidden, 7505, "Tenant id in the token does not match the tenant of the call.")
}

// accessClaims are the claims of our access tokens, spelled as Microsoft Entra
// spells them in its version 1.0 tokens.
type accessClaims struct {
	jwt.RegisteredClaims
	AppID    string   `json:"appid"`
	TenantID string   `json:"tid"`
	Roles    []string `json:"roles"`
	Version  string   `json:"ver"`
}

// audiences are Graph's own names, of all clouds, and its application id.
var audiences = []string{
	"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us", "00000003-0000-0000-c000-000000000000",
}

// authenticate finds out who asks.
func (s *Sim) authenticate(x *exchange) *apiError {
	scheme, token, _ := strings.Cut(x.header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return unauthenticated("Access token is empty.")
	}
	if s.opts.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.opts.Token)) == 1 {
		x.caller = caller{app: s.appID(), fixed: true}
		return nil
	}
	var claims accessClaims
	if _, err := jwt.ParseWithClaims(token, &claims, s.tokenKeys.find, jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired()); err != nil {
		switch {
		case errors.Is(err, jwt.ErrTokenExpired):
			return unauthenticated("Lifetime validation failed, the token is expired.")
		case errors.Is(err, jwt.ErrTokenMalformed):
			return unauthenticated("CompactToken parsing failed with error code: 80049217")
		}
		return unauthenticated("Access token validation failure. Invalid token.")
	}
	if !slices.ContainsFunc(claims.Audience, func(aud string) bool { return slices.Contains(audiences, aud) }) {
		return unauthenticated("Access token validation failure. Invalid audience.")
	}
	x.caller = caller{app: claims.AppID, tenant: claims.TenantID, roles: claims.Roles}
	return nil
}

func unauthenticated(message string) *apiError {
	return &apiError{
		status: http.StatusUnauthorized, code: "InvalidAuthenticationToken", message: message,
		challenge: `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000", error="invalid_token"`,
	}
}

// appID is the app that is meant when nobody says which.
func (s *Sim) appID() string {
	if s.opts.AppID != "" {
		return s.opts.AppID
	}
	return DefaultAppID
}
