package graph

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const (
	// renewEarly is how long before its end a token is replaced, as azcore
	// does; half the life of a token that lives for less than twice as long.
	renewEarly = 5 * time.Minute
	// renewPatience bounds the fetch of a replacement while the old token is
	// still good, so that a hanging authority holds up one request for that long.
	renewPatience = 3 * time.Second
	// renewPause is how long the old token is used on after such a fetch failed.
	renewPause = 30 * time.Second
	// failurePause is how long a failure is handed on to others who wait for the
	// same token, so that they do not queue up to ask a dead authority in turn.
	failurePause = time.Second
	// forcePause is the least time between two fetches forced by 401s: a
	// misconfigured app must not hammer the authority.
	forcePause = 5 * time.Second
)

// credentialTokens keeps one token a tenant. azidentity caches too, but behind a
// lock that is held during a fetch, and it cannot be told to forget a token.
type credentialTokens struct {
	scope         string
	newCredential func(tenant string) (azcore.TokenCredential, error)
	now           func() time.Time
	told          func(error) // of every fetch

	mu      sync.Mutex
	tenants map[string]*tenantTokens
}

func newCredentialTokens(scope string, newCredential func(string) (azcore.TokenCredential, error), told func(error)) *credentialTokens {
	return &credentialTokens{
		scope:         scope,
		newCredential: newCredential,
		now:           time.Now,
		told:          told,
		tenants:       map[string]*tenantTokens{},
	}
}

// tenantTokens is one tenant's token. Whoever holds turn fetches; the others
// wait for it with their own contexts, or go on with the old token.
type tenantTokens struct {
	turn chan struct{} // capacity 1: full while someone fetches

	// Guarded by turn.
	credential azcore.TokenCredential
	forcedAt   time.Time

	mu       sync.Mutex
	current  azcore.AccessToken
	renewAt  time.Time // from when on a replacement is fetched
	endsAt   time.Time // from when on current is not used
	failed   error     // of the last fetch
	failedAt time.Time
}

func (c *credentialTokens) tenant(id string) *tenantTokens {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenants[id]
	if t == nil {
		t = &tenantTokens{turn: make(chan struct{}, 1)}
		c.tenants[id] = t
	}
	return t
}

func (c *credentialTokens) token(ctx context.Context, tenant string) (azcore.AccessToken, error) {
	t := c.tenant(tenant)
	token, good, due, _ := t.look(c.now())
	if good && !due {
		return token, nil
	}
	if good {
		select {
		case t.turn <- struct{}{}:
		default:
			return token, nil // someone is replacing it
		}
		defer func() { <-t.turn }()
		ctx, cancel := context.WithTimeout(ctx, renewPatience)
		defer cancel()
		fresh, err := c.fetch(ctx, tenant, t, "")
		if err != nil {
			t.postpone(c.now())
			return token, nil
		}
		return fresh, nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return azcore.AccessToken{}, ctx.Err()
	}
	defer func() { <-t.turn }()
	token, good, _, failed := t.look(c.now())
	if good {
		return token, nil
	}
	if failed != nil {
		return azcore.AccessToken{}, failed
	}
	return c.fetch(ctx, tenant, t, "")
}

func (c *credentialTokens) renew(ctx context.Context, tenant, refused, claims string) (azcore.AccessToken, bool, error) {
	t := c.tenant(tenant)
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return azcore.AccessToken{}, false, ctx.Err()
	}
	defer func() { <-t.turn }()
	now := c.now()
	token, good, _, failed := t.look(now)
	switch {
	case good && token.Token != refused:
		return token, true, nil // someone was faster
	case !good && failed != nil:
		return azcore.AccessToken{}, false, failed
	case !t.forcedAt.IsZero() && now.Sub(t.forcedAt) < forcePause:
		return azcore.AccessToken{}, false, nil
	}
	t.forcedAt = now
	if claims == "" {
		// With claims azidentity goes past its cache; without, only a new
		// credential does.
		t.credential = nil
	}
	t.forget()
	token, err := c.fetch(ctx, tenant, t, claims)
	if err != nil {
		return azcore.AccessToken{}, false, err
	}
	return token, token.Token != refused, nil
}

// fetch asks the credential; the caller holds t.turn.
func (c *credentialTokens) fetch(ctx context.Context, tenant string, t *tenantTokens, claims string) (azcore.AccessToken, error) {
	token, err := c.ask(ctx, tenant, t, claims)
	if err != nil {
		if ctx.Err() != nil {
			return azcore.AccessToken{}, ctx.Err() // says nothing about the authority to others
		}
		failure := newTokenError(err)
		t.fail(failure, c.now())
		c.told(failure)
		return azcore.AccessToken{}, failure
	}
	t.keep(token, c.now())
	c.told(nil)
	return token, nil
}

func (c *credentialTokens) ask(ctx context.Context, tenant string, t *tenantTokens, claims string) (azcore.AccessToken, error) {
	if t.credential == nil {
		credential, err := c.newCredential(tenant)
		if err != nil {
			return azcore.AccessToken{}, err
		}
		t.credential = credential
	}
	return t.credential.GetToken(ctx, policy.TokenRequestOptions{
		Scopes:    []string{c.scope},
		TenantID:  tenant,
		EnableCAE: true,
		Claims:    claims,
	})
}

// look returns the token, whether it is good, whether a replacement is due, and
// a failure that is recent enough to be handed on.
func (t *tenantTokens) look(now time.Time) (token azcore.AccessToken, good, due bool, failed error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	good = t.current.Token != "" && now.Before(t.endsAt)
	due = !now.Before(t.renewAt)
	if t.failed != nil && now.Sub(t.failedAt) < failurePause {
		failed = t.failed
	}
	return t.current, good, due, failed
}

func (t *tenantTokens) keep(token azcore.AccessToken, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	life := token.ExpiresOn.Sub(now)
	// Replicas started together do not ask together. Never earlier than
	// renewEarly: until then azidentity returns the token it has.
	early := time.Duration((0.8 + 0.2*rand.Float64()) * float64(min(renewEarly, life/2)))
	t.current = token
	t.renewAt = token.ExpiresOn.Add(-early)
	if !token.RefreshOn.IsZero() && token.RefreshOn.Before(t.renewAt) {
		t.renewAt = token.RefreshOn
	}
	t.endsAt = token.ExpiresOn.Add(-min(10*time.Second, life/4))
	t.failed = nil
}

func (t *tenantTokens) fail(err error, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed, t.failedAt = err, now
}

func (t *tenantTokens) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = azcore.AccessToken{}
}

// postpone lets the old token be used on for a while.
func (t *tenantTokens) postpone(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renewAt = now.Add(min(renewPause, t.endsAt.Sub(now)/2))
}
