package graphsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// routeOIDC publishes the keys of notifications, as the Skype service does. The
// discovery document repeats its mistake: "RSA256" is no name of an algorithm, the
// tokens are RS256.
func (s *Sim) routeOIDC(mux *http.ServeMux) {
	mux.HandleFunc("GET /oidc/.well-known/openidconfiguration", func(w http.ResponseWriter, r *http.Request) {
		base := baseURL(r)
		writeJSON(w, http.StatusOK, object{
			"issuer":                                s.opts.Issuer,
			"authorization_endpoint":                base + "/oidc/authorize",
			"jwks_uri":                              base + "/oidc/keys",
			"id_token_signing_alg_values_supported": []string{"RSA256"},
			"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
		})
	})
	mux.HandleFunc("GET /oidc/keys", func(w http.ResponseWriter, r *http.Request) {
		keys, err := s.notifyKeys.jwks()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, http.StatusOK, keys)
	})
}

// RotateKey signs notifications with a new key from now on and returns its id.
// The key before stays published; older ones do not.
func (s *Sim) RotateKey() (kid string, err error) {
	kid, err = s.notifyKeys.rotate()
	if err != nil {
		return "", fmt.Errorf("rotate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.signed)
	return kid, nil
}

// notificationClaims are those of the tokens on Microsoft's callbacks.
type notificationClaims struct {
	jwt.RegisteredClaims
	TenantID string `json:"tid"`
}

// Notification tokens live 65 minutes like Microsoft's and are used for five.
const (
	notifyTokenLifetime = 65 * time.Minute
	notifyTokenReuse    = 5 * time.Minute
)

type signedToken struct {
	token string
	since time.Time
}

// notificationToken returns a signed token for one app and tenant.
func (s *Sim) notificationToken(audience, tenant string) (string, error) {
	now := time.Now()
	key := audience + " " + tenant
	s.mu.Lock()
	known, ok := s.signed[key]
	s.mu.Unlock()
	if ok && now.Sub(known.since) < notifyTokenReuse {
		return known.token, nil
	}
	token, kid, err := s.notifyKeys.sign(notificationClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.opts.Issuer, Audience: jwt.ClaimStrings{audience},
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(notifyTokenLifetime)),
		},
		TenantID: tenant,
	})
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if current, err := s.notifyKeys.current(); err == nil && current.id == kid { // not rotated meanwhile
		s.signed[key] = signedToken{token, now}
	}
	return token, nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // a client that is gone is no concern of ours
}
