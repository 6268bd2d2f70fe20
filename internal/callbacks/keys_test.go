package callbacks

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble makes an Auth whose sources are https://a.example and
// https://b.example on a wire without a network.
func bubble(t *testing.T, a, b *issuer, more func(*AuthOptions)) *Auth {
	a.jwksURI, b.jwksURI = "https://a.example/keys", "https://b.example/keys"
	opts := AuthOptions{
		OIDCURLs: []string{"https://a.example/openid", "https://b.example/openid"},
		Client:   &http.Client{Transport: wire{"a.example": a, "b.example": b}},
	}
	if more != nil {
		more(&opts)
	}
	return newAuth(t, opts)
}

func TestARotatedKeyIsFetchedAtOnce(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		src, other := &issuer{keys: []map[string]any{jwk("old", keys[0])}}, &issuer{keys: []map[string]any{jwk("other", keys[2])}}
		a := bubble(t, src, other, nil)
		old := token{kid: "old", key: keys[0]}.sign(t, time.Now())
		if _, err := a.Verify(t.Context(), old, true); err != nil {
			t.Fatalf("before the rotation: %v", err)
		}
		src.set(func(i *issuer) { i.keys = []map[string]any{jwk("new", keys[1])} })
		if _, err := a.Verify(t.Context(), token{kid: "new", key: keys[1]}.sign(t, time.Now()), true); err != nil {
			t.Errorf("the new key: %v", err)
		}
		// Gone at its source is gone here: it may have been revoked.
		if _, err := a.Verify(t.Context(), old, true); err != RefusedUnknownKey {
			t.Errorf("the old key: %v; want %v", err, RefusedUnknownKey)
		}
	})
}

func TestABurstAfterARotationWaitsForOneLoad(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{keys: []map[string]any{jwk("old", keys[0])}}
		a := bubble(t, src, &issuer{status: 500}, nil)
		hold := make(chan struct{})
		src.set(func(i *issuer) { i.keys, i.hold, i.loads = []map[string]any{jwk("new", keys[1])}, hold, 0 })
		signed := token{kid: "new", key: keys[1]}.sign(t, time.Now())
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := a.Verify(t.Context(), signed, true); err != nil {
					t.Errorf("Verify() = %v", err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		all.Wait()
		if n := src.loaded(); n != 1 {
			t.Errorf("the keys were loaded %d times; want 1", n)
		}
	})
}

func TestUnknownKeysCauseFewLoads(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{keys: []map[string]any{jwk("k", keys[0])}}
		a := bubble(t, src, &issuer{status: 500}, nil)
		src.set(func(i *issuer) { i.loads = 0 })
		stranger := token{kid: "nobody", key: keys[1]}.sign(t, time.Now())
		for range 100 {
			if _, err := a.Verify(t.Context(), stranger, true); err != RefusedUnknownKey {
				t.Fatalf("Verify() = %v; want %v", err, RefusedUnknownKey)
			}
		}
		if n := src.loaded(); n != 3 {
			t.Errorf("100 strangers caused %d loads; want 3", n)
		}
		time.Sleep(30 * time.Second)
		a.Verify(t.Context(), stranger, true)
		if n := src.loaded(); n != 4 {
			t.Errorf("after half a minute there were %d loads; want 4", n)
		}
	})
}

func TestKeysOutliveAnOutage(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{keys: []map[string]any{jwk("k", keys[0])}}
		a := bubble(t, src, &issuer{status: 500}, nil)
		src.set(func(i *issuer) { i.status = 503 })
		time.Sleep(24 * time.Hour)
		if _, err := a.Verify(t.Context(), token{kid: "k", key: keys[0]}.sign(t, time.Now()), true); err != nil {
			t.Errorf("after a day of outage: %v", err)
		}
		if err := a.Ready(); err != nil {
			t.Errorf("Ready() = %v", err)
		}
		src.set(func(i *issuer) { i.status, i.keys = 0, []map[string]any{jwk("new", keys[1])} })
		time.Sleep(2 * time.Minute)
		if n := len(a.keys.known("new")); n != 1 {
			t.Error("the new key was not fetched when the outage was over")
		}
	})
}

func TestKeysAreRefreshedEveryInterval(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{keys: []map[string]any{jwk("k", keys[0])}}
		bubble(t, src, &issuer{status: 500}, nil)
		time.Sleep(24*time.Hour + time.Minute)
		// Every 2 h, up to a tenth sooner.
		if n := src.loaded(); n < 13 || n > 15 {
			t.Errorf("the keys were loaded %d times in a day; want 13 to 15", n)
		}
	})
}

func TestNoKeysAtStartAreFetchedSoon(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{keys: []map[string]any{jwk("k", keys[0])}, status: 500}
		a := bubble(t, src, &issuer{status: 500}, nil)
		good := token{kid: "k", key: keys[0]}.sign(t, time.Now())
		_, err := a.Verify(t.Context(), good, true)
		if reason, _ := errors.AsType[Refusal](err); reason != RefusedUnknownKey || !errors.Is(err, ErrNoKeys) {
			t.Errorf("Verify() = %v; want an unknown key for want of keys", err)
		}
		if err := a.Ready(); !errors.Is(err, ErrNoKeys) {
			t.Errorf("Ready() = %v; want %v", err, ErrNoKeys)
		}
		src.set(func(i *issuer) { i.status = 0 })
		time.Sleep(2 * time.Second)
		if err := a.Ready(); err != nil {
			t.Errorf("Ready() = %v two seconds later", err)
		}
		if _, err := a.Verify(t.Context(), good, true); err != nil {
			t.Errorf("Verify() = %v", err)
		}
	})
}

func TestASilentSourceDelaysNobodyForLong(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		defer close(hold)
		start := time.Now()
		a := bubble(t, &issuer{hold: hold}, &issuer{keys: []map[string]any{jwk("k", keys[0])}}, nil)
		if took := time.Since(start); took != defaultFetchTimeout {
			t.Errorf("NewAuth took %v; want %v", took, defaultFetchTimeout)
		}
		if _, err := a.Verify(t.Context(), token{kid: "k", key: keys[0]}.sign(t, time.Now()), true); err != nil {
			t.Errorf("Verify() = %v", err)
		}
	})
}

func TestClosedAuthVerifiesWithWhatItHas(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{keys: []map[string]any{jwk("k", keys[0])}}
		a := bubble(t, src, &issuer{status: 500}, nil)
		a.Close()
		loads := src.loaded()
		if _, err := a.Verify(t.Context(), token{kid: "k", key: keys[0]}.sign(t, time.Now()), true); err != nil {
			t.Errorf("Verify() = %v", err)
		}
		if _, err := a.Verify(t.Context(), token{kid: "x", key: keys[0]}.sign(t, time.Now()), true); err != RefusedUnknownKey {
			t.Errorf("Verify() = %v; want %v", err, RefusedUnknownKey)
		}
		if src.loaded() != loads {
			t.Error("keys were loaded after Close")
		}
	})
}
