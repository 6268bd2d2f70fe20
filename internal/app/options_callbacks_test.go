package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbus/internal/callbacks"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
)

func TestSettingsOfTheCallbackListener(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string // "" when they are taken
	}{
		{"none", func(*Options) {}, ""},
		{"certificate and key", func(o *Options) { o.CallbackTLSCert, o.CallbackTLSKey = "a", "b" }, ""},
		{"a certificate without its key", func(o *Options) { o.CallbackTLSCert = "a" }, "--callback-tls-key"},
		{"a key without its certificate", func(o *Options) { o.CallbackTLSKey = "b" }, "--callback-tls-cert"},
		{"the limit of before this setting", func(o *Options) { o.CallbackMaxConnections = 0 }, ""},
		{"a negative limit", func(o *Options) { o.CallbackMaxConnections = -1 }, "--callback-max-connections is -1: want 1 to 100000"},
		{"no limit worth the name", func(o *Options) { o.CallbackMaxConnections = 1e6 }, "--callback-max-connections is 1000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := DefaultOptions()
			o.Tenants, o.CallbackURL, o.CallbackAudience = []string{signerTenant}, "https://callbus.contoso.com", signerAudience
			tt.change(&o)
			err := o.Validate()
			if tt.want == "" {
				if err != nil {
					t.Errorf("Validate() = %v; want nil", err)
				}
				return
			}
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Validate() = %v; want one line with %q", err, tt.want)
			}
		})
	}
}

func TestTheCallbackListenerSpeaksTLS(t *testing.T) {
	t.Parallel()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	certFile, keyFile, roots := selfSigned(t)
	sim := startSim(t, graphsim.Options{})
	w, _ := startWorker(t, "tls", srv.URL(), sim, func(o *Options) { o.CallbackTLSCert, o.CallbackTLSKey = certFile, keyFile })

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)
	resp, err := client.Post("https://"+w.CallbackAddr()+callbacks.WebhookPath, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d; want 401", resp.StatusCode)
	}

	o := w.opts
	o.CallbackTLSKey = filepath.Join(t.TempDir(), "gone.key")
	if _, err := NewWorker(t.Context(), o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "--callback-tls-key") || !strings.Contains(err.Error(), "gone.key") {
		t.Errorf("NewWorker() = %v; want an error with the flag and the file", err)
	}
}

// selfSigned writes a certificate for loopback and its key.
func selfSigned(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	certFile, keyFile = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for file, text := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, roots
}
