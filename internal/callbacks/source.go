package callbacks

import (
	"context"

	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const maxKeyDocument = 1 << 20

var errNotLoaded = errors.New("not loaded yet")

// keySource is one OpenID discovery document and the keys it leads to.
type keySource struct {
	url    string
	client *http.Client

	mu   sync.RWMutex
	keys []jwkset.JWK // nil until loaded once
	err  error        // of the last load
}

func (s *keySource) loaded() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys != nil
}

func (s *keySource) lastErr() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.err == nil && s.keys == nil {
		return errNotLoaded
	}
	return s.err
}

// find gives the source's keys with the id, or all for an empty id.
func (s *keySource) find(kid string) (found []jwt.VerificationKey) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, key := range s.keys {
		if kid == "" || key.Marshal().KID == kid {
			found = append(found, key.Key())
		}
	}
	return found
}

// load fetches the discovery document and the keys it names. Keys that are
// gone there are gone here; after an error all stay as they were.
func (s *keySource) load(ctx context.Context) (int, error) {
	p, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if err == nil {
		s.keys = p.keys
	}
	return len(p.keys), err
}

// publication is what a source publishes.
type publication struct {
	issuer string // as the discovery document says; may be empty
	keys   []jwkset.JWK
	date   time.Time // of the discovery document by the source's clock; may be zero
}

func (s *keySource) fetch(ctx context.Context) (p publication, err error) {
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if p.date, err = s.get(ctx, s.url, &doc); err != nil {
		return p, fmt.Errorf("discovery document: %w", err)
	}
	p.issuer = doc.Issuer
	if err := checkSourceURL(doc.JWKSURI); err != nil {
		return p, fmt.Errorf("jwks_uri %q: %w", doc.JWKSURI, err)
	}
	var set jwkset.JWKSMarshal
	if _, err := s.get(ctx, doc.JWKSURI, &set); err != nil {
		return p, fmt.Errorf("keys: %w", err)
	}
	p.keys, err = usable(set)
	return p, err
}

// usable picks the RSA signing keys. A key we cannot read must not cost us the
// others. Certificates beside a key are dropped: the source's TLS vouches for it.
func usable(set jwkset.JWKSMarshal) ([]jwkset.JWK, error) {
	var keys []jwkset.JWK
	for _, m := range set.Keys {
		if m.KTY != jwkset.KtyRSA || m.USE != "" && m.USE != jwkset.UseSig {
			continue
		}
		bare := jwkset.JWKMarshal{KTY: m.KTY, USE: m.USE, KID: m.KID, N: m.N, E: m.E}
		key, err := jwkset.NewJWKFromMarshal(bare, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		if _, ok := key.Key().(*rsa.PublicKey); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("none of %d keys is a readable RSA signing key", len(set.Keys))
	}
	return keys, nil
}

// get fetches a JSON document and tells when it was served.
func (s *keySource) get(ctx context.Context, u string, into any) (date time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return date, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return date, err
	}
	defer resp.Body.Close()
	date, _ = http.ParseTime(resp.Header.Get("Date")) // zero when it is none
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyDocument))
	if err != nil {
		return date, err
	}
	if resp.StatusCode != http.StatusOK {
		return date, fmt.Errorf("status %d", resp.StatusCode)
	}
	return date, json.Unmarshal(body, into)
}

// fetchClient is the client with redirects held to the same rule as URLs, and
// with connections of its own, which close with the keyring, if it brings none.
func fetchClient(c *http.Client) *http.Client {
	transport := c.Transport
	if transport == nil {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	}
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) >= 5 {
				return errors.New("too many redirects")
			}
			return checkSourceURL(req.URL.String())
		},
	}
}

// checkSourceURL allows https, and plain http to this machine alone: whoever
// can change the keys on the way can sign notifications.
func checkSourceURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return errors.New("not a URL: want https://host/path")
	}
	switch {
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("want https, or http to a loopback address")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
