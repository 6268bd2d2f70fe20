package callbacks

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateCheck is how often, at most, the files of a certificate are looked at.
const certificateCheck = 10 * time.Second

// Certificate is the receiver's own, for when no proxy ends TLS before it. It is
// read again when its files change, so that a renewed one needs no restart. Make
// one with [LoadCertificate]; it is safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	log               *occasional
	now               func() time.Time

	mu        sync.Mutex
	checked   time.Time
	cert, key []byte // of current, as read
	current   *tls.Certificate
}

// LoadCertificate reads the PEM files of a certificate, with its intermediates,
// and of its key. Its error names the file that is unfit.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: newOccasional(log, time.Now), now: time.Now}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	c.checked = c.now()
	return c, nil
}

// NotAfter is when the certificate in use ends.
func (c *Certificate) NotAfter() time.Time { return c.get().Leaf.NotAfter }

// config is for a listener; it never gives a client the choice of an old TLS.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.get(), nil
		},
	}
}

// get gives the certificate, after a look at its files when the last one was a
// while ago. While they do not fit, as in the middle of a renewal, the old one stays.
func (c *Certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		if changed, err := c.load(); err != nil {
			c.log.error("certificate of callbacks not reloaded", "certificate", "err", err)
		} else if changed {
			c.log.info("certificate of callbacks reloaded", "not_after", c.current.Leaf.NotAfter)
		}
	}
	return c.current
}

// load reads the files and tells whether they hold another certificate than before.
func (c *Certificate) load() (changed bool, err error) {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return false, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return false, fmt.Errorf("key: %w", err)
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.cert, c.key, c.current = cert, key, &pair
	return true, nil
}
