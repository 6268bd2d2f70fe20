package callbacks

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate puts a certificate of its own making, with the serial number,
// and its key into dir.
func writeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"callbus.contoso.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return certFile, keyFile
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serial is the serial number of the certificate that a new connection is shown.
func serial(t *testing.T, url string, minVersion, maxVersion uint16) (int64, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "http://"), &tls.Config{
		InsecureSkipVerify: true, MinVersion: minVersion, MaxVersion: maxVersion, NextProtos: []string{"h2", "http/1.1"},
	})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("protocol %q; want http/1.1", p)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestARenewedCertificateNeedsNoRestart(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writeCertificate(t, dir, 1)
	var log bytes.Buffer
	cert, err := LoadCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cert.now = func() time.Time { return now } // moved only between connections
	r, f := setup(t, nil)
	url := listen(t, NewServer(r, ServerOptions{Certificate: cert}))
	shows := func(want int64, when string) {
		t.Helper()
		if got, err := serial(t, url, tls.VersionTLS12, 0); err != nil || got != want {
			t.Errorf("%s: certificate %d, %v; want %d", when, got, err, want)
		}
	}

	shows(1, "at the start")
	writeCertificate(t, dir, 2)
	shows(1, "right after the renewal, when the files are not looked at yet")
	now = now.Add(certificateCheck)
	shows(2, "at the next look")

	write(t, certFile, []byte("half a"))
	now = now.Add(certificateCheck)
	shows(2, "in the middle of a renewal")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	now = now.Add(certificateCheck)
	shows(2, "without files")
	writeCertificate(t, dir, 3)
	now = now.Add(certificateCheck)
	shows(3, "when all is well again")

	if _, err := serial(t, url, tls.VersionTLS10, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	req := post(strings.Replace(url, "http:", "https:", 1)+callPath, "good", body(value("updated", "", `{"state":"established"}`)))
	req.RequestURI = ""
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 202 || len(f.stored) != 1 {
		t.Errorf("over TLS: status %d, %d events; want 202 and 1", resp.StatusCode, len(f.stored))
	}
	for _, want := range []string{"certificate of callbacks reloaded", "certificate of callbacks not reloaded"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, &log)
		}
	}
}

func TestTooManyConnectionsOverTLS(t *testing.T) {
	cert, err := LoadCertificate(firstTwo(writeCertificate(t, t.TempDir(), 1)))
	if err != nil {
		t.Fatal(err)
	}
	c := &counts{}
	r, _ := setup(t, nil)
	url := listen(t, NewServer(r, ServerOptions{MaxConnections: 1, Certificate: cert, Counter: c}))
	silent := dial(t, url)
	if got, err := serial(t, url, tls.VersionTLS12, 0); err != nil || got != 1 {
		t.Errorf("the second connection: certificate %d, %v; want 1", got, err)
	}
	if got := silent.status(); got != 0 || c.of(OutcomeTooManyConnections) != 1 {
		t.Errorf("the first connection: status %d, counted %d times; want just closed, once", got, c.of(OutcomeTooManyConnections))
	}
}

func firstTwo(certFile, keyFile string) (string, string, *slog.Logger) {
	return certFile, keyFile, slog.New(slog.DiscardHandler)
}

func TestLoadCertificateRefuses(t *testing.T) {
	certFile, keyFile := writeCertificate(t, t.TempDir(), 1)
	_, otherKey := writeCertificate(t, t.TempDir(), 2)
	for name, tt := range map[string]struct{ cert, key, want string }{
		"no certificate": {"/nowhere/tls.crt", keyFile, "/nowhere/tls.crt"},
		"no key":         {certFile, "/nowhere/tls.key", "/nowhere/tls.key"},
		"another key":    {certFile, otherKey, "does not match"},
		"key for cert":   {keyFile, keyFile, keyFile},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := LoadCertificate(tt.cert, tt.key, slog.New(slog.DiscardHandler))
			if c != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("LoadCertificate() = %v, %v; want one line with %q", c, err, tt.want)
			}
		})
	}
}
