package graphsim

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// TokenHandler serves what Microsoft's authentication library asks of an
// authority: discovery and client credentials tokens, for any tenant. The library
// insists on https.
func (s *Sim) TokenHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.issueToken)
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		authority := baseURL(r) + "/" + r.PathValue("tenant")
		writeJSON(w, http.StatusOK, object{
			"issuer":                                authority + "/v2.0",
			"authorization_endpoint":                authority + "/oauth2/v2.0/authorize",
			"token_endpoint":                        authority + "/oauth2/v2.0/token",
			"jwks_uri":                              authority + "/discovery/v2.0/keys",
			"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
			"response_types_supported":              []string{"token"},
			"subject_types_supported":               []string{"pairwise"},
		})
	})
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", func(w http.ResponseWriter, r *http.Request) {
		keys, err := s.tokenKeys.jwks()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, http.StatusOK, keys)
	})
	mux.HandleFunc("GET /common/discovery/instance", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, object{
			"tenant_discovery_endpoint": baseURL(r) + "/common/v2.0/.well-known/openid-configuration",
			"api-version":               "1.1",
			"metadata": []object{
				{"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host}},
			},
		})
	})
	return s.whileOpen(mux)
}

// oauthError is a refusal in the form of Microsoft Entra.
type oauthError struct {
	status     int
	code       string // of OAuth
	aadsts     int
	message    string
	retryAfter string
}

// issueToken answers a client credentials request, or what a fault says.
func (s *Sim) issueToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLoggedBody)
	tenant := r.PathValue("tenant")
	parseErr := r.ParseForm()
	s.mu.Lock()
	f := s.faultForLocked(faultSite{operation: opToken, tenant: tenant})
	s.mu.Unlock()
	if !s.sleep(f.delay) || f.dropRequest() {
		panic(http.ErrAbortHandler)
	}
	if refused, raw := f.tokenAnswer(); refused != nil {
		s.refuseToken(w, r, *refused, raw)
		return
	}
	if parseErr != nil {
		s.refuseToken(w, r, oauthError{status: 400, code: "invalid_request", aadsts: 900144, message: "The request body cannot be read."}, nil)
		return
	}
	if e := s.checkClient(r); e != nil {
		s.refuseToken(w, r, *e, nil)
		return
	}
	token, err := s.accessToken(tenant, r.PostForm.Get("client_id"), resourceOf(r.PostForm.Get("scope")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	s.stats.tokens[tenant]++
	s.mu.Unlock()
	if f.dropAnswer() {
		panic(http.ErrAbortHandler)
	}
	lifetime := int(s.opts.TokenLifetime / time.Second)
	body := object{"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
	if s.opts.TokenRefreshIn > 0 {
		body["refresh_in"] = int(s.opts.TokenRefreshIn / time.Second)
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, body)
}

// accessToken signs a token for one tenant and app.
func (s *Sim) accessToken(tenant, appID, audience string) (string, error) {
	now := time.Now()
	token, _, err := s.tokenKeys.sign(accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: "https://sts.windows.net/" + tenant + "/", Subject: appID, ID: uuid.NewString(),
			Audience: jwt.ClaimStrings{cmp.Or(s.opts.TokenAudience, audience)}, IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(s.opts.TokenLifetime)),
		},
		AppID: appID, TenantID: tenant, Roles: s.opts.Roles, Version: "1.0",
	})
	return token, err
}

func (s *Sim) refuseToken(w http.ResponseWriter, r *http.Request, e oauthError, raw *string) {
	setIf(w.Header(), "Retry-After", e.retryAfter)
	if raw != nil {
		w.Header().Set("Content-Type", rawBody(*raw).contentType())
		w.WriteHeader(e.status)
		w.Write([]byte(*raw))
		return
	}
	writeJSON(w, e.status, object{
		"error": e.code, "error_description": e.message, "error_codes": []int{e.aadsts},
		"timestamp": time.Now().UTC().Format("2006-01-02 15:04:05Z"), "trace_id": uuid.NewString(),
		"correlation_id": r.Header.Get("client-request-id"),
	})
}

// checkClient tells whether the client is who it says it is.
func (s *Sim) checkClient(r *http.Request) *oauthError {
	form := r.PostForm
	clientID := form.Get("client_id")
	switch tenant := r.PathValue("tenant"); {
	case form.Get("grant_type") != "client_credentials":
		return &oauthError{status: 400, code: "unsupported_grant_type", aadsts: 70003, message: "AADSTS70003: The app requested an unsupported grant type, client_credentials is supported."}
	case clientID == "":
		return &oauthError{status: 400, code: "invalid_request", aadsts: 900144, message: "AADSTS900144: The request body must contain the following parameter: 'client_id'."}
	case s.opts.AppID != "" && !strings.EqualFold(clientID, s.opts.AppID):
		return &oauthError{status: 400, code: "unauthorized_client", aadsts: 700016, message: "AADSTS700016: Application with identifier '" + clientID + "' was not found in the directory '" + tenant + "'."}
	case resourceOf(form.Get("scope")) == "":
		return &oauthError{status: 400, code: "invalid_scope", aadsts: 1002012, message: "AADSTS1002012: The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier."}
	}
	if assertion := form.Get("client_assertion"); assertion != "" && form.Get("client_assertion_type") == assertionType {
		if err := s.checkAssertion(assertion, clientID, tokenURL(r)); err != nil {
			return &oauthError{status: 401, code: "invalid_client", aadsts: 700027, message: "AADSTS700027: The certificate used to sign the client assertion is not registered on application, or the assertion is not valid: " + err.Error() + "."}
		}
		return nil
	}
	switch secret := form.Get("client_secret"); {
	case secret == "":
		return &oauthError{status: 401, code: "invalid_client", aadsts: 7000218, message: "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}
	case s.opts.ClientSecret != "" && secret != s.opts.ClientSecret:
		return &oauthError{status: 401, code: "invalid_client", aadsts: 7000215, message: "AADSTS7000215: Invalid client secret provided."}
	}
	return nil
}

// resourceOf reads a scope "<resource>/.default", beside which the library asks
// for OpenID scopes that mean nothing here. It is "" for any other.
func resourceOf(scopes string) (resource string) {
	for scope := range strings.FieldsSeq(scopes) {
		switch scope {
		case "openid", "offline_access", "profile":
			continue
		}
		found, ok := strings.CutSuffix(scope, "/.default")
		if !ok || resource != "" {
			return ""
		}
		resource = found
	}
	return resource
}

func tokenURL(r *http.Request) string { return baseURL(r) + r.URL.Path }

// checkAssertion looks at a client assertion. One that an app signed for itself
// must be addressed to us and fresh; with ClientCertificate set every assertion must
// be signed by it. Another issuer's, as of a workload identity, is not looked into.
func (s *Sim) checkAssertion(assertion, clientID, audience string) error {
	var claims jwt.RegisteredClaims
	token, _, err := jwt.NewParser().ParseUnverified(assertion, &claims)
	if err != nil {
		return errors.New("it is not a JWT")
	}
	certificate := s.opts.ClientCertificate
	if certificate == nil && claims.Issuer != clientID {
		return nil
	}
	if claims.Issuer != clientID || claims.Subject != clientID {
		return errors.New("iss and sub are not the client id")
	}
	checks := []jwt.ParserOption{jwt.WithAudience(audience), jwt.WithExpirationRequired()}
	if certificate == nil {
		return jwt.NewValidator(checks...).Validate(claims)
	}
	// base64 with or without padding and in either alphabet has been seen.
	thumbprint := strings.NewReplacer("+", "-", "/", "_", "=", "")
	sum := sha256.Sum256(certificate.Raw)
	named, _ := token.Header["x5t#S256"].(string)
	if thumbprint.Replace(named) != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return errors.New("x5t#S256 is not the thumbprint of the registered certificate")
	}
	checks = append(checks, jwt.WithValidMethods([]string{"PS256", "RS256"}))
	_, err = jwt.ParseWithClaims(assertion, &claims, func(*jwt.Token) (any, error) { return certificate.PublicKey, nil }, checks...)
	return err
}
