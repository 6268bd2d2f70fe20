package graphsim

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What a simulator calls itself unless told otherwise. The ids are those of
// Microsoft's samples.
const (
	DefaultAppID    = "00001111-aaaa-2222-bbbb-3333cccc4444"
	DefaultTenantID = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	DefaultIssuer   = "https://graphsim.invalid"
)

// DefaultRoles are the application permissions in issued tokens: all that any
// kind of call needs.
var DefaultRoles = []string{"Calls.Initiate.All", "Calls.InitiateGroupCall.All", "Calls.JoinGroupCall.All", "Calls.AccessMedia.All"}

// Options configure a simulator. The zero value works. A duration of zero is the
// default named beside it; a negative one means at once.
type Options struct {
	// Logger gets what went wrong with deliveries; nothing is logged by default.
	Logger *slog.Logger

	// Token is a fixed bearer token, accepted besides the issued ones. It acts for
	// AppID, has every role and fits every tenant.
	Token string
	// AppID is the only app that gets tokens; by default any does, and DefaultAppID
	// stands for the app behind Token. Notifications carry the calling app as audience.
	AppID string
	// ClientSecret, if set, is the only one accepted by the token endpoint.
	ClientSecret string
	// ClientCertificate, if set, is the only one whose assertions the token endpoint accepts.
	ClientCertificate *x509.Certificate
	// TenantID is the tenant of calls that name none and come with Token (DefaultTenantID).
	TenantID string
	// Roles are the application permissions of issued tokens (DefaultRoles).
	Roles []string
	// TokenAudience is the audience of issued tokens; by default the resource that
	// was asked for, as Microsoft's.
	TokenAudience string
	// Issuer signs notifications (DefaultIssuer).
	Issuer string
	// NotifyKey is the first key that signs notifications; by default one is made
	// when it is needed, which takes its time.
	NotifyKey *rsa.PrivateKey

	AnswerAfter      time.Duration // ringing until answered, refused or joined (300 ms)
	RingTimeout      time.Duration // ringing until nobody answered (5 s; Microsoft about 2 min)
	StepDuration     time.Duration // short steps: audio becomes active, terminating until terminated (50 ms)
	HangupAfter      time.Duration // answered until a callee …333 hangs up (1 s)
	PromptDuration   time.Duration // one prompt (500 ms)
	IncomingTimeout  time.Duration // an incoming call waits for a decision (15 s, as Microsoft)
	KeepAliveTimeout time.Duration // a call lives without keepAlive (45 min, as Microsoft)
	TokenLifetime    time.Duration // of access tokens (1 h); whole seconds
	TokenRefreshIn   time.Duration // sent as refresh_in when set

	Limits Limits
	Faults []Fault
	// Seed makes the probabilities of faults repeatable; 0 draws a seed.
	Seed uint64
	// ErrorShape gives every error of the calling service this shape; by default
	// each has the shape it was documented or seen with.
	ErrorShape Shape
	// PageSize is the number of participants in one page unless $top asks for fewer (100).
	PageSize int

	// NotifyClient delivers notifications; it must not follow redirects. The
	// default one has its own connections and uses no proxy.
	NotifyClient   *http.Client
	NotifyTimeout  time.Duration // one attempt (10 s)
	NotifyAttempts int           // deliveries of one notification that is answered 5xx or by nobody (5)
	NotifyBackoff  time.Duration // before the second attempt, then doubled (200 ms)

	// LogSize bounds the request log and the number of ended calls kept (10,000).
	LogSize int
}

// withDefaults fills what was left out and reports everything wrong at once.
func (o Options) withDefaults() (Options, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		byDef time.Duration
	}{
		{&o.AnswerAfter, 300 * time.Millisecond}, {&o.RingTimeout, 5 * time.Second},
		{&o.StepDuration, 50 * time.Millisecond}, {&o.HangupAfter, time.Second},
		{&o.PromptDuration, 500 * time.Millisecond}, {&o.IncomingTimeout, 15 * time.Second},
		{&o.KeepAliveTimeout, 45 * time.Minute}, {&o.TokenLifetime, time.Hour},
		{&o.TokenRefreshIn, 0}, {&o.NotifyTimeout, 10 * time.Second}, {&o.NotifyBackoff, 200 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.byDef
		}
		*d.field = max(0, *d.field)
	}
	for _, n := range []struct {
		field *int
		byDef int
	}{{&o.PageSize, 100}, {&o.NotifyAttempts, 5}, {&o.LogSize, 10_000}} {
		if *n.field == 0 {
			*n.field = n.byDef
		}
	}
	for _, text := range []struct {
		field *string
		byDef string
	}{{&o.TenantID, DefaultTenantID}, {&o.Issuer, DefaultIssuer}} {
		if *text.field == "" {
			*text.field = text.byDef
		}
	}
	if len(o.Roles) == 0 {
		o.Roles = DefaultRoles
	}
	if o.NotifyClient == nil {
		o.NotifyClient = newNotifyClient(nil)
	}
	return o, o.validate()
}

func (o Options) validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	check(o.TokenLifetime >= time.Second, "token lifetime %v: at least 1s", o.TokenLifetime)
	check(o.PageSize > 0, "page size %d: at least 1", o.PageSize)
	check(o.NotifyAttempts > 0, "notify attempts %d: at least 1", o.NotifyAttempts)
	check(o.LogSize > 0, "log size %d: at least 1", o.LogSize)
	check(o.ErrorShape == "" || slices.Contains(Shapes, o.ErrorShape), "error shape %q: one of %s", o.ErrorShape, quoted(Shapes))
	if err := o.Limits.validate(); err != nil {
		problems = append(problems, err)
	}
	for i, f := range o.Faults {
		if err := f.validate(); err != nil {
			problems = append(problems, fmt.Errorf("fault %d: %w", i+1, err))
		}
	}
	return errors.Join(problems...)
}

// quoted lists what is allowed, for an error message.
func quoted[T ~string](words []T) string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = fmt.Sprintf("%q", string(w))
	}
	return strings.Join(list, ", ")
}
