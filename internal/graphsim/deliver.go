package graphsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"time"
)

// delivery is one notification on its way.
type delivery struct {
	note       *Notification // guarded by the Sim's lock
	stats      *counters     // likewise
	body       []byte
	uri        string
	audience   string
	tenant     string
	chainID    string
	scenarioID string
	incoming   bool // may be moved by a redirect, and 204 asks for it again
}

// userAgent is what Microsoft's callbacks were seen with.
const userAgent = "Microsoft-Skype/3.0,(Calling/1.0)"

// maxNotifyBackoff bounds the pause between two attempts.
const maxNotifyBackoff = 30 * time.Second

// newNotifyClient has connections of its own and follows no redirect. A nil pool
// trusts the system's authorities.
func newNotifyClient(pool *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = 32
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewNotifyClient returns a client for Options.NotifyClient that trusts only the
// given authorities.
func NewNotifyClient(pool *x509.CertPool) *http.Client { return newNotifyClient(pool) }

// deliver tries until the receiver took it, refused it, or the attempts are used up.
func (s *Sim) deliver(d *delivery) {
	backoff := s.opts.NotifyBackoff
	for attempt := 1; ; attempt++ {
		status, location, err := s.post(d)
		if location != "" && d.incoming {
			d.uri = location
			status, _, err = s.post(d)
		}
		sent := status/100 == 2 && !(d.incoming && status == http.StatusNoContent)
		again := err != nil || status >= 500 || d.incoming && status == http.StatusNoContent
		final := sent || !again || attempt == s.opts.NotifyAttempts || s.ctx.Err() != nil
		s.record(d, attempt, status, sent, final)
		if final {
			if !sent && s.ctx.Err() == nil {
				s.opts.Logger.Warn("notification refused", "component", "graphsim", "kind", d.note.Kind, "status", status, "attempts", attempt, "err", err)
			}
			return
		}
		if !s.sleep(backoff) {
			return
		}
		backoff = min(2*backoff, maxNotifyBackoff)
	}
}

func (s *Sim) record(d *delivery, attempt, status int, sent, final bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.note.Attempts++
	d.note.Status = status
	counts := &d.stats.notifications
	if attempt > 1 {
		counts.Retries++
	}
	if !final {
		return
	}
	counts.Pending--
	if sent {
		counts.Sent++
		d.note.Outcome = outcomeSent
	} else {
		counts.Refused++
		d.note.Outcome = outcomeRefused
	}
}

// post makes one attempt. The message id stays the same in all of them.
func (s *Sim) post(d *delivery) (status int, location string, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.NotifyTimeout)
	defer cancel()
	token, err := s.notificationToken(d.audience, d.tenant)
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.uri, bytes.NewReader(d.body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Scenario-Id", d.scenarioID)
	req.Header.Set("X-Microsoft-Skype-Chain-ID", d.chainID)
	req.Header.Set("X-Microsoft-Skype-Message-ID", d.note.MessageID)
	res, err := s.opts.NotifyClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, maxLoggedBody)) // so that the connection is used again
	if moved, err := res.Location(); err == nil && res.StatusCode/100 == 3 {
		location = moved.String()
	}
	return res.StatusCode, location, nil
}
