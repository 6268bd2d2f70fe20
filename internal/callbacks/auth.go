package callbacks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Microsoft's key sources and issuers for the tokens on notifications. Either
// source may have signed for either issuer (Teams, "Incoming call
// notifications"; Graph communications SDK, AuthenticationProvider sample). The
// government clouds have their own, which is why all of it is a setting.
const (
	OIDCSkype           = "https://api.aps.skype.com/v1/.well-known/OpenIdConfiguration"
	OIDCBotFramework    = "https://login.botframework.com/v1/.well-known/openidconfiguration"
	IssuerBotFramework  = "https://api.botframework.com"
	IssuerGraph         = "https://graph.microsoft.com"
	tokenSkew           = 5 * time.Minute // as the Bot Framework SDK allows
	maxTokenBytes       = 16 << 10
	signingAlgorithm    = "RS256" // the metadata says "RSA256", which is no JOSE name
	defaultRefresh      = 2 * time.Hour
	defaultFetchTimeout = 10 * time.Second
)

// DefaultOIDCURLs and DefaultIssuers are those of the global cloud.
var (
	DefaultOIDCURLs = []string{OIDCSkype, OIDCBotFramework}
	DefaultIssuers  = []string{IssuerBotFramework, IssuerGraph}
)

// RequireTID says where a token without a tid claim is refused.
type RequireTID string

// TIDAuto refuses it on per-call URLs and accepts it on the global webhook,
// TIDAlways refuses it everywhere, TIDNever nowhere.
const (
	TIDAuto   RequireTID = "auto"
	TIDAlways RequireTID = "always"
	TIDNever  RequireTID = "never"
)

// AuthOptions configures [NewAuth]. Only Audience has no default.
type AuthOptions struct {
	OIDCURLs   []string   // OpenID discovery documents; https, or http to loopback
	Issuers    []string   // a trailing slash does not matter
	Audience   string     // the bot's application (client) id
	Tenants    []string   // tenants a tid may name; empty: any
	RequireTID RequireTID // TIDAuto when empty

	// RefreshInterval is the time between two loads of the keys, 2 h by
	// default as in Microsoft's sample. UnknownKeyInterval is the time in which
	// one load on account of an unknown key is earned, 30 s by default; three
	// may be saved up.
	RefreshInterval    time.Duration
	UnknownKeyInterval time.Duration
	FetchTimeout       time.Duration // of one source, 10 s by default

	Client *http.Client // its Timeout and CheckRedirect are not used
	Logger *slog.Logger
	Now    func() time.Time
}

// Claims is what a valid token says about its sender.
type Claims struct {
	TenantID string // tid, empty when the token has none
}

// Auth checks the tokens on notifications. It is safe for concurrent use.
type Auth struct {
	opts   AuthOptions
	parser *jwt.Parser
	keys   *keyring
}

// NewAuth loads the keys of all sources once, for at most FetchTimeout, and
// keeps them fresh until [Auth.Close]. A source that cannot be reached is no
// error: it is tried again, at most a minute later, and [Auth.Ready] tells. ctx
// bounds the first load alone, so that keys stay fresh while a worker drains.
func NewAuth(ctx context.Context, opts AuthOptions) (*Auth, error) {
	opts, err := opts.checked()
	if err != nil {
		return nil, err
	}
	a := &Auth{
		opts: opts,
		// The algorithm is checked in Verify's key function, where its error
		// can be told from that of a wrong signature.
		parser: jwt.NewParser(jwt.WithLeeway(tokenSkew), jwt.WithAudience(opts.Audience),
			jwt.WithExpirationRequired(), jwt.WithTimeFunc(opts.Now)),
		keys: newKeyring(opts),
	}
	a.keys.start(ctx)
	return a, nil
}

// Ready is nil once the keys of at least one source are loaded.
func (a *Auth) Ready() error { return a.keys.ready() }

// Close ends the refreshing of keys and waits for it; tokens can still be
// verified with the keys at hand.
func (a *Auth) Close() { a.keys.close() }

func (o AuthOptions) checked() (AuthOptions, error) {
	if len(o.OIDCURLs) == 0 {
		o.OIDCURLs = DefaultOIDCURLs
	}
	if len(o.Issuers) == 0 {
		o.Issuers = DefaultIssuers
	}
	o.RequireTID = cmp.Or(o.RequireTID, TIDAuto)
	o.RefreshInterval = cmp.Or(o.RefreshInterval, defaultRefresh)
	o.UnknownKeyInterval = cmp.Or(o.UnknownKeyInterval, 30*time.Second)
	o.FetchTimeout = cmp.Or(o.FetchTimeout, defaultFetchTimeout)
	o.Client = cmp.Or(o.Client, &http.Client{})
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}

	var errs []error
	for _, u := range o.OIDCURLs {
		if err := checkSourceURL(u); err != nil {
			errs = append(errs, fmt.Errorf("callback OIDC URL %q: %w", u, err))
		}
	}
	if o.Audience == "" {
		errs = append(errs, errors.New("callback audience is empty: want the bot's application (client) id"))
	}
	if !slices.Contains([]RequireTID{TIDAuto, TIDAlways, TIDNever}, o.RequireTID) {
		errs = append(errs, fmt.Errorf("requirement of a tid is %q: want auto, always or never", o.RequireTID))
	}
	if o.RefreshInterval < 0 || o.UnknownKeyInterval < 0 || o.FetchTimeout < 0 {
		errs = append(errs, errors.New("callback key intervals and timeouts must be positive"))
	}
	o.Issuers = mapped(o.Issuers, trimIssuer)
	o.Tenants = mapped(o.Tenants, strings.ToLower)
	return o, errors.Join(errs...)
}

func trimIssuer(iss string) string { return strings.TrimSuffix(iss, "/") }

func mapped(list []string, f func(string) string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = f(s)
	}
	return out
}
