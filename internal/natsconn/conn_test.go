package natsconn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"go.uber.org/goleak"

	"callbus/internal/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer runs a server on a free loopback port until the test ends.
func startServer(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	opts := &server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true}
	if change != nil {
		change(opts)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("server does not start")
	}
	return s
}

func TestConnectedAndUsable(t *testing.T) {
	s := startServer(t, nil)
	nc, err := Connect(ConnOptions{URL: s.ClientURL(), Name: "test", InboxPrefix: "_INBOX_crm"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if inbox := nc.NewInbox(); !strings.HasPrefix(inbox, "_INBOX_crm.") {
		t.Errorf("NewInbox() = %q; want it below _INBOX_crm", inbox)
	}
	if nc.Opts.MaxReconnect != -1 || nc.Opts.Name != "test" {
		t.Errorf("Connect() = reconnects %d, name %q; want -1 and test", nc.Opts.MaxReconnect, nc.Opts.Name)
	}
}

func TestWhoMayConnect(t *testing.T) {
	certs := newCerts(t)
	user, token := "alice", "s3cr3t-token"
	withPassword := startServer(t, func(o *server.Options) { o.Username, o.Password = user, "s3cr3t-pass" })
	withToken := startServer(t, func(o *server.Options) { o.Authorization = token })
	keyPair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := keyPair.PublicKey()
	seed, _ := keyPair.Seed()
	seedFile := write(t, "user.nk", seed)
	withNKey := startServer(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
	plain := startServer(t, nil)
	secured := startServer(t, func(o *server.Options) { o.TLS, o.TLSConfig = true, certs.serverConfig(tls.NoClientCert) })
	mutual := startServer(t, func(o *server.Options) {
		o.TLS, o.TLSConfig = true, certs.serverConfig(tls.RequireAndVerifyClientCert)
	})
	nobody := freePort(t)

	tests := []struct {
		name   string
		opts   ConnOptions
		reason Reason // empty: connected
		says   string
	}{
		{"the right password", ConnOptions{URL: withPassword.ClientURL(), User: user, Password: "s3cr3t-pass"}, "", ""},
		{"the wrong password", ConnOptions{URL: withPassword.ClientURL(), User: user, Password: "wrong-s3cr3t"}, Refused, `refuses user "alice" with this password`},
		{"no credentials where they are needed", ConnOptions{URL: withPassword.ClientURL()}, Refused, "refuses a client without credentials"},
		{"a password in the address is used but not repeated", ConnOptions{URL: "nats://alice:wrong-s3cr3t@" + address(withPassword)}, Refused, "refuses the user in the address"},
		{"a user without password is a token", ConnOptions{URL: withToken.ClientURL(), User: token}, "", ""},
		{"the wrong token", ConnOptions{URL: withToken.ClientURL(), User: "wrong-s3cr3t"}, Refused, "refuses the token"},
		{"an NKey", ConnOptions{URL: withNKey.ClientURL(), NKey: seedFile}, "", ""},
		{"an NKey the server does not know", ConnOptions{URL: withPassword.ClientURL(), NKey: seedFile}, Refused, "refuses the NKey of"},
		{"nobody there", ConnOptions{URL: "nats://" + nobody}, Unreachable, "no NATS server at nats://" + nobody + ": connection refused"},
		{"nobody at either of two", ConnOptions{URL: nobody + ", tls://u:s3cr3t@" + nobody}, Unreachable, "no NATS server at nats://" + nobody + ", tls://" + nobody},
		{"a certificate of an authority we know", ConnOptions{URL: secured.ClientURL(), CA: certs.caFile}, "", ""},
		{"a certificate of an unknown authority", ConnOptions{URL: secured.ClientURL()}, Secured, "unknown authority: give its CA file"},
		{"TLS asked for but not offered", ConnOptions{URL: plain.ClientURL(), CA: certs.caFile}, Secured, "offers no TLS"},
		{"a client certificate", ConnOptions{URL: mutual.ClientURL(), CA: certs.caFile, Cert: certs.certFile, Key: certs.keyFile}, "", ""},
		{"no client certificate where one is needed", ConnOptions{URL: mutual.ClientURL(), CA: certs.caFile}, Secured, "client certificate"},
		{"a credentials file that is not there", ConnOptions{Creds: "/no/such.creds"}, Settings, "credentials file /no/such.creds cannot be read: no such file"},
		{"an NKey file that is not there", ConnOptions{NKey: "/no/such.nk"}, Settings, "NKey seed file /no/such.nk cannot be read"},
		{"an NKey file with something else in it", ConnOptions{NKey: certs.caFile}, Settings, "cannot be used"},
		{"a CA file that is not there", ConnOptions{CA: "/no/ca.pem"}, Settings, "CA file /no/ca.pem cannot be read"},
		{"a CA file with something else in it", ConnOptions{URL: secured.ClientURL(), CA: seedFile}, Settings, "CA file"},
		{"a certificate without its key", ConnOptions{Cert: certs.certFile}, Settings, "belong together"},
		{"a certificate with another key", ConnOptions{URL: mutual.ClientURL(), CA: certs.caFile, Cert: certs.certFile, Key: certs.caKeyFile}, Settings, "client certificate"},
		{"a password without a user", ConnOptions{Password: "s3cr3t"}, Settings, "a password is given without a user"},
		{"a credentials file and an NKey", ConnOptions{Creds: seedFile, NKey: seedFile}, Settings, "want one of them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nc, err := Connect(tt.opts)
			if err == nil {
				nc.Close()
			}
			if tt.reason == "" {
				if err != nil {
					t.Fatalf("Connect() = %v; want a connection", err)
				}
				return
			}
			got, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("Connect() = %v; want an *Error", err)
			}
			if got.Reason != tt.reason || !strings.Contains(got.Error(), tt.says) {
				t.Errorf("Connect() = %s: %s; want %s: …%s…", got.Reason, got, tt.reason, tt.says)
			}
			if strings.Contains(got.Error(), "s3cr3t") || strings.ContainsAny(got.Error(), "\n\r") {
				t.Errorf("Connect() = %q; want one line without a secret", got)
			}
		})
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, err = Connect(ConnOptions{URL: "nats://" + silent.Addr().String(), Timeout: 50 * time.Millisecond})
	if got, ok := errors.AsType[*Error](err); !ok || got.Reason != Unreachable || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("Connect() = %v; want: no answer in time", err)
	}
}

func TestLostConnectionIsLoggedAndRegained(t *testing.T) {
	addr := freePort(t)
	s := startServer(t, at(t, addr))
	var log lockedBuffer
	nc, err := Connect(ConnOptions{URL: s.ClientURL(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
	startServer(t, at(t, addr))
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(log.String(), "connection regained") {
		if time.Now().After(deadline) {
			t.Fatalf("log = %q; want the connection regained", log.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.Contains(log.String(), "connection lost") {
		t.Errorf("log = %q; want that it was lost", log.String())
	}
}

func TestNoBufferFailsAtOnce(t *testing.T) {
	s := startServer(t, nil)
	nc, err := Connect(ConnOptions{URL: s.ClientURL(), NoBuffer: true})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
	deadline := time.Now().Add(20 * time.Second)
	for nc.IsConnected() {
		if time.Now().After(deadline) {
			t.Fatal("the connection is still up; want it lost with its server")
		}
		time.Sleep(time.Millisecond)
	}
	if err := nc.Publish("a", nil); err == nil {
		t.Error("Publish() = nil while the connection is down; want an error")
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func address(s *server.Server) string { return s.Addr().String() }

// freePort is an address where nobody listens, but who does so by name.
func freePort(t *testing.T) string {
	t.Helper()
	addr, release, err := ports.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

// at has a server listen there.
func at(t *testing.T, addr string) func(*server.Options) {
	t.Helper()
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *server.Options) { o.Port = int(to.Port()) }
}

func write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
