package graph

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// scriptedCredential gives tokens "1", "2", … that live for life, unless fail
// says otherwise.
type scriptedCredential struct {
	life  time.Duration
	fail  func(ctx context.Context, n int) error
	asked int
}

func (s *scriptedCredential) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	s.asked++
	n := s.asked
	if s.fail != nil {
		if err := s.fail(ctx, n); err != nil {
			return azcore.AccessToken{}, err
		}
	}
	return azcore.AccessToken{Token: fmt.Sprint(n), ExpiresOn: time.Now().Add(s.life)}, nil
}

func cacheOf(c azcore.TokenCredential) *credentialTokens {
	return newCredentialTokens("scope", func(string) (azcore.TokenCredential, error) { return c, nil }, func(error) {})
}

func wantToken(t *testing.T, c *credentialTokens, want string) {
	t.Helper()
	got, err := c.token(t.Context(), "tenant")
	if err != nil || got.Token != want {
		t.Errorf("token() = %q, %v; want %q", got.Token, err, want)
	}
}

func TestTokenIsReplacedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(&scriptedCredential{life: time.Hour})
		wantToken(t, c, "1")
		time.Sleep(54 * time.Minute)
		wantToken(t, c, "1")
		time.Sleep(2*time.Minute + time.Second) // 80 to 100 % of five minutes before its end
		wantToken(t, c, "2")
	})
}

func TestShortLivedTokenIsUsedForHalfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(&scriptedCredential{life: 2 * time.Second})
		wantToken(t, c, "1")
		time.Sleep(900 * time.Millisecond)
		wantToken(t, c, "1")
		time.Sleep(400 * time.Millisecond)
		wantToken(t, c, "2")
		time.Sleep(3 * time.Second)
		wantToken(t, c, "3")
	})
}

func TestHangingAuthorityHoldsUpOneRequestForALittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(&scriptedCredential{life: time.Hour, fail: func(ctx context.Context, n int) error {
			if n == 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}})
		wantToken(t, c, "1")
		time.Sleep(57 * time.Minute)
		start := time.Now()
		go wantToken(t, c, "1") // takes the turn
		synctest.Wait()
		wantToken(t, c, "1")
		if took := time.Since(start); took != 0 {
			t.Errorf("others waited %v for the replacement; want 0", took)
		}
		time.Sleep(renewPatience)
		synctest.Wait()
		start = time.Now()
		wantToken(t, c, "1")
		if took := time.Since(start); took != 0 {
			t.Errorf("the next one waited %v soon after; want 0", took)
		}
	})
}

func TestWaitersShareOneFetchAndItsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		credential := &scriptedCredential{life: time.Hour, fail: func(_ context.Context, n int) error {
			time.Sleep(time.Second)
			if n == 1 {
				return errors.New("down")
			}
			return nil
		}}
		c := cacheOf(credential)
		failed := make(chan error, 10)
		for range cap(failed) {
			go func() {
				_, err := c.token(t.Context(), "tenant")
				failed <- err
			}()
		}
		for range cap(failed) {
			if err := <-failed; err == nil || err.Error() != "down" {
				t.Errorf("token() = %v; want down", err)
			}
		}
		if credential.asked != 1 {
			t.Errorf("credential was asked %d times; want 1", credential.asked)
		}
		time.Sleep(failurePause)
		wantToken(t, c, "2")
	})
}

func TestWaiterLeavesWithItsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(&scriptedCredential{life: time.Hour, fail: func(ctx context.Context, _ int) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Minute):
				return nil
			}
		}})
		// A first one that gives up says nothing to the others about the authority.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.token(ctx, "tenant"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("token() = %v; want its own deadline", err)
		}
		go wantToken(t, c, "2")
		synctest.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.token(ctx, "tenant"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("token() = %v after %v; want its own deadline after 1s", err, time.Since(start))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		wantToken(t, c, "2")
	})
}

func TestForcedRenewalsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		credential := &scriptedCredential{life: time.Hour}
		c := cacheOf(credential)
		wantToken(t, c, "1")
		renew := func(refused, want string) {
			t.Helper()
			token, changed, err := c.renew(t.Context(), "tenant", refused, "")
			if err != nil || changed != (want != "") || changed && token.Token != want {
				t.Errorf("renew(%s) = %q, %v, %v; want %q", refused, token.Token, changed, err, want)
			}
		}
		renew("1", "2")
		renew("1", "2") // someone was faster
		renew("2", "")  // too soon
		time.Sleep(forcePause)
		renew("2", "3")
		if credential.asked != 3 {
			t.Errorf("credential was asked %d times; want 3", credential.asked)
		}
	})
}

func TestFailedRenewalForgetsTheRefusedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cacheOf(&scriptedCredential{life: time.Hour, fail: func(_ context.Context, n int) error {
			if n == 2 {
				return errors.New("down")
			}
			return nil
		}})
		wantToken(t, c, "1")
		if _, _, err := c.renew(t.Context(), "tenant", "1", ""); err == nil {
			t.Error("renew() succeeded; want its failure")
		}
		time.Sleep(failurePause)
		wantToken(t, c, "3")
	})
}
