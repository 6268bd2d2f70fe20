package graphsim

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// keyring signs tokens with RS256. Its first key is made when first needed. The
// zero value works.
type keyring struct {
	mu   sync.Mutex
	keys []signingKey // the newest first, at most two
}

type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

var errUnknownKey = errors.New("signed with a key that is not ours")

// current returns the signing key.
func (k *keyring) current() (signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) == 0 {
		if err := k.addLocked(); err != nil {
			return signingKey{}, err
		}
	}
	return k.keys[0], nil
}

func (k *keyring) addLocked() error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	k.keys = append([]signingKey{{uuid.NewString(), private}}, k.keys...)
	k.keys = k.keys[:min(len(k.keys), 2)]
	return nil
}

// rotate signs with a new key from now on; the one before stays published.
func (k *keyring) rotate() (id string, err error) {
	if _, err := k.current(); err != nil { // so that there is one before
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.addLocked(); err != nil {
		return "", err
	}
	return k.keys[0].id, nil
}

func (k *keyring) sign(claims jwt.Claims) (token, kid string, err error) {
	key, err := k.current()
	if err != nil {
		return "", "", err
	}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = key.id
	token, err = t.SignedString(key.private)
	if err != nil {
		return "", "", fmt.Errorf("sign token: %w", err)
	}
	return token, key.id, nil
}

// find is the key function for tokens that came back.
func (k *keyring) find(t *jwt.Token) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.keys {
		if key.id == t.Header["kid"] {
			return &key.private.PublicKey, nil
		}
	}
	return nil, errUnknownKey
}

// jwks is the published key set. A key is made if there is none yet.
func (k *keyring) jwks() (object, error) {
	if _, err := k.current(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := make([]object, len(k.keys))
	for i, key := range k.keys {
		keys[i] = object{
			"kty": "RSA", "use": "sig", "kid": key.id, "x5t": key.id,
			"n": base64.RawURLEncoding.EncodeToString(key.private.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.private.E)).Bytes()),
		}
	}
	return object{"keys": keys}, nil
}
